package kube

import (
	"context"
	"encoding/json"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Patch is a JSON patch (RFC 6902) of one object: precise, so that what it does
// not name stays as it is.
type Patch []Operation

// An Operation is one step of a Patch.
type Operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Set adds or replaces the value at a path.
func (p *Patch) Set(value any, path ...string) {
	*p = append(*p, Operation{Op: "add", Path: Pointer(path...), Value: value})
}

// Annotate sets an annotation of the object as read.
func (p *Patch) Annotate(o *unstructured.Unstructured, key, value string) {
	if o.GetAnnotations() == nil {
		p.Set(map[string]any{key: value}, "metadata", "annotations")
		return
	}
	p.Set(value, "metadata", "annotations", key)
}

// Pointer is a JSON pointer (RFC 6901).
func Pointer(path ...string) string {
	var b strings.Builder
	for _, part := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
	}
	return b.String()
}

// Patch applies p to the object as it was read: where it has changed since, the
// server refuses the patch as a whole, and the error is a conflict. So it does, as invalid, where
// the kind lacks a field of the patch: it would drop that field, and keep the rest.
func (c *Client) Patch(ctx context.Context, r schema.GroupVersionResource, read *unstructured.Unstructured, p Patch) error {
	p = append(Patch{{Op: "replace", Path: "/metadata/resourceVersion", Value: read.GetResourceVersion()}}, p...)
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := Within(ctx)
	defer cancel()
	o, err := c.In(read.GetNamespace(), r).Patch(ctx, read.GetName(), types.JSONPatchType, body,
		metav1.PatchOptions{FieldManager: workload.Manager, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return err
	}
	c.Remember(r, o)
	return nil
}

// Get reads one object.
func (c *Client) Get(ctx context.Context, r schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	ctx, cancel := Within(ctx)
	defer cancel()
	o, err := c.In(namespace, r).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		c.Recall(r, namespace, name) // whatever was seen is gone
	}
	if err != nil {
		return nil, err
	}
	c.Remember(r, o)
	return o, nil
}

// Remove takes away what is at a path.
func (p *Patch) Remove(path ...string) {
	*p = append(*p, Operation{Op: "remove", Path: Pointer(path...)})
}
