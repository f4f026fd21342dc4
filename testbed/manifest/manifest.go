// Package manifest applies YAML manifests to the bed's API server.
package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	sigsyaml "sigs.k8s.io/yaml"
)

// fieldManager is who the API server says owns what was applied.
const fieldManager = "testbed"

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// An Applier applies manifests by server-side apply.
type Applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
}

// New returns an Applier that talks to the API server of the configuration.
func New(config *rest.Config) (*Applier, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Applier{client: client, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(groups))}, nil
}

// Apply applies every document of a YAML text, in order.
func (a *Applier) Apply(ctx context.Context, text []byte) error {
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		object := &unstructured.Unstructured{}
		if err := sigsyaml.Unmarshal(document, &object.Object); err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		if err := a.apply(ctx, object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func (a *Applier) apply(ctx context.Context, object *unstructured.Unstructured) error {
	mapping, err := a.mapping(ctx, object.GroupVersionKind())
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		resource = a.client.Resource(mapping.Resource).Namespace(object.GetNamespace())
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

// discoveryTime bounds how long a kind whose definition was just made may be
// missing from discovery.
const discoveryTime = 10 * time.Second

func (a *Applier) mapping(ctx context.Context, kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	for deadline := time.Now().Add(discoveryTime); ; {
		mapping, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if !meta.IsNoMatchError(err) || time.Now().After(deadline) {
			return mapping, err
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
		a.mapper.Reset()
	}
}

// AwaitCRDs waits until every custom resource definition is served.
func (a *Applier) AwaitCRDs(ctx context.Context) error {
	for {
		definitions, err := a.client.Resource(crdResource).List(ctx, metav1.ListOptions{})
		if err != nil && !apierrors.IsTooManyRequests(err) {
			return fmt.Errorf("list custom resource definitions: %w", err)
		}
		if err == nil && allEstablished(definitions.Items) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("wait for custom resource definitions: %w", err)
		}
	}
}

func allEstablished(definitions []unstructured.Unstructured) bool {
	for i := range definitions {
		if !hasCondition(&definitions[i], "Established") {
			return false
		}
	}
	return true
}

func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

// Condition reports whether an object has the condition with status True.
func (a *Applier) Condition(ctx context.Context, resource schema.GroupVersionResource, namespace, name, kind string) bool {
	object, err := a.client.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	return err == nil && hasCondition(object, kind)
}

func hasCondition(object *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == kind && c["status"] == "True" {
			return true
		}
	}
	return false
}
