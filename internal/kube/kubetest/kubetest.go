// Package kubetest opens a real API server for tests, with a namespace of their
// own.
package kubetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stepcanary/stepcanary/internal/kube"
)

// Env names the variable that leads to a kubeconfig whose current context may do
// everything. `make test` starts a cluster and sets it.
const Env = "STEPCANARY_TEST_KUBECONFIG"

// A Cluster is an API server under test. What a test sends through Client is
// counted; what the test does by its own hands, with the methods here, is not.
type Cluster struct {
	*kube.Client
	Namespace string
	Requests  *Requests

	hands *kube.Client
}

// Open gives the API server with a new namespace, which goes away with the test.
// Without a server the test is skipped, and says so.
func Open(t *testing.T) Cluster {
	t.Helper()
	path := os.Getenv(Env)
	if path == "" {
		t.Skipf("needs a real API server: %s is not set; `make test` sets it", Env)
	}
	c := Cluster{Requests: &Requests{}, Namespace: fmt.Sprintf("test-%x", time.Now().UnixNano())}
	config := kube.Config{Kubeconfig: path, Context: Context(t, path), Version: "test"}
	var err error
	if c.hands, err = kube.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	config.Wrap = c.Requests.wrap
	if c.Client, err = kube.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	namespace := Object("v1", "Namespace", c.Namespace, nil)
	namespace.SetLabels(map[string]string{Played: "yes"})
	c.Create(t, Namespaces, namespace)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = c.hands.In("", Namespaces).Delete(ctx, c.Namespace, metav1.DeleteOptions{})
	})
	return c
}

// Played is the label of every namespace made here: the test plays its controllers.
const Played = "stepcanary.dev/played"

// The resources that have no namespace.
var (
	Namespaces     = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	Nodes          = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	Policies       = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	PolicyBindings = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
	Meshes         = schema.GroupVersionResource{Group: "appmesh.k8s.aws", Version: "v1beta2", Resource: "meshes"}
)

// KeepMeshesOut lets every mesh of the cluster leave the namespaces alone that are
// played.
func (c Cluster) KeepMeshesOut(t *testing.T) {
	t.Helper()
	list, err := c.hands.In("", Meshes).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("list meshes: %v", err)
	}
	for _, mesh := range list.Items {
		c.Merge(t, Meshes, mesh.GetName(), map[string]any{"spec": map[string]any{"namespaceSelector": map[string]any{
			"matchExpressions": []any{map[string]any{"key": Played, "operator": "DoesNotExist"}}}}})
	}
}

// Context is the kubeconfig's current context.
func Context(t *testing.T, path string) string {
	t.Helper()
	name, err := kube.CurrentContext(path)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// Object builds an object.
func Object(apiVersion, kind, name string, more map[string]any) *unstructured.Unstructured {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
	for k, v := range more {
		o[k] = v
	}
	// Through JSON, so that every number has the type that an API server's answer gives it.
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var u unstructured.Unstructured
	if err := u.UnmarshalJSON(b); err != nil {
		panic(err)
	}
	return &u
}

func (c Cluster) space(r schema.GroupVersionResource) string {
	switch r {
	case Namespaces, Nodes, Meshes, Policies, PolicyBindings:
		return ""
	}
	return c.Namespace
}

// Create makes an object in the test's namespace.
func (c Cluster) Create(t *testing.T, r schema.GroupVersionResource, o *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	made, err := c.hands.In(c.space(r), r).Create(t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s %s: %v", o.GetKind(), o.GetName(), err)
	}
	return made
}

// Delete deletes an object, if it is there.
func (c Cluster) Delete(t *testing.T, r schema.GroupVersionResource, name string) {
	t.Helper()
	err := c.hands.In(c.space(r), r).Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatalf("delete %s %s: %v", r.Resource, name, err)
	}
}

// Read reads an object; nil where there is none.
func (c Cluster) Read(t *testing.T, r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	t.Helper()
	o, err := c.hands.In(c.space(r), r).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatalf("get %s %s: %v", r.Resource, name, err)
	}
	return o
}

// Merge applies a JSON merge patch, to the object itself or to a subresource such
// as status.
func (c Cluster) Merge(t *testing.T, r schema.GroupVersionResource, name string, patch any, subresource ...string) {
	t.Helper()
	b, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.hands.In(c.space(r), r).Patch(context.WithoutCancel(t.Context()), name, types.MergePatchType, b, metav1.PatchOptions{}, subresource...)
	if err != nil {
		t.Errorf("patch %s %s: %v", r.Resource, name, err)
	}
}

// As opens the server as another user: one of the group, with no rights but those
// that the group has. Its requests go through wrap, where that is not nil.
func (c Cluster) As(t *testing.T, group string, wrap func(http.RoundTripper) http.RoundTripper) *kube.Client {
	t.Helper()
	file, err := clientcmd.LoadFromFile(os.Getenv(Env))
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range file.AuthInfos {
		user.Impersonate, user.ImpersonateGroups = "engine", []string{group}
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	client, err := kube.Open(t.Context(), kube.Config{Kubeconfig: path, Context: file.CurrentContext, Version: "test", Wrap: wrap})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// NoInitialEvents makes a server that cannot send the present state in a watch, as those without the
// feature WatchList: by default Kubernetes before 1.32, and 1.33.
func NoInitialEvents(next http.RoundTripper) http.RoundTripper { return listing{next} }

type listing struct{ next http.RoundTripper }

// RoundTrip is for net/http.
func (l listing) RoundTrip(r *http.Request) (*http.Response, error) {
	if !r.URL.Query().Has("sendInitialEvents") {
		return l.next.RoundTrip(r)
	}
	const refusal = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,` +
		`"message":"sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}`
	return &http.Response{
		StatusCode: http.StatusUnprocessableEntity, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(refusal)), Request: r,
	}, nil
}

// Requests counts what was sent to the API server.
type Requests struct {
	mu   sync.Mutex
	seen []string
}

type counting struct {
	next http.RoundTripper
	to   *Requests
}

func (r *Requests) wrap(next http.RoundTripper) http.RoundTripper { return counting{next, r} }

// RoundTrip is for net/http.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	line := r.Method + " " + r.URL.Path
	if r.URL.Query().Get("watch") != "" {
		line = "WATCH " + r.URL.Path
	}
	c.to.mu.Lock()
	c.to.seen = append(c.to.seen, line)
	c.to.mu.Unlock()
	return c.next.RoundTrip(r)
}

// Reset forgets what was sent so far.
func (r *Requests) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = nil
}

// Lines are the requests sent since the last Reset, watches aside, and the watches.
func (r *Requests) Lines() (requests, watches []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.seen {
		if strings.HasPrefix(line, "WATCH ") {
			watches = append(watches, line)
		} else {
			requests = append(requests, line)
		}
	}
	return requests, watches
}
