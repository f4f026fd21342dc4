package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A pending object is one that is to be applied, with what is there now.
type pending struct {
	object   workload.Object
	resource schema.GroupVersionResource
	live     *unstructured.Unstructured
	// scaled tells that an autoscaler comes with the object: how large it is by now is the
	// autoscaler's to say.
	scaled bool
}

// Apply writes the objects in the order in which they need each other. All are
// looked at before the first is written.
func (c *Cluster) Apply(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	todo, err := c.look(ctx, objects, o, c.client.Get)
	if err != nil {
		return err
	}
	return c.write(ctx, todo, o)
}

// write sends the objects. What is wrong with one object says nothing of the next, so that a dry run
// tells it of all.
func (c *Cluster) write(ctx context.Context, todo []pending, o workload.Ownership, dryRun ...string) error {
	slices.SortStableFunc(todo, func(a, b pending) int {
		return slices.Index(order, a.object.Kind()) - slices.Index(order, b.object.Kind())
	})
	kinds := kindsOf(todo, o)
	var refused error
	for _, p := range todo {
		p.scaled = strings.Contains(kinds, "HorizontalPodAutoscaler")
		err := c.apply(ctx, p, o, kinds, dryRun)
		if apierrors.IsNotFound(err) { // not the object, which is what is written
			err = fmt.Errorf("%w: the cluster lacks its kind or its namespace: %w", fault.Invalid, err)
		}
		err = Fault(fmt.Sprintf("apply %v", p.object), err)
		if err != nil && (len(dryRun) == 0 || fault.Of(err) != fault.Invalid) {
			return err
		}
		refused = errors.Join(refused, err)
	}
	return refused
}

// annotationKinds lists, on the Deployment, of which kinds its version has objects,
// so that its removal asks for these alone.
const annotationKinds = "stepcanary.dev/kinds"

func kindsOf(todo []pending, o workload.Ownership) string {
	var kinds []string
	for _, p := range todo {
		if o.Versioned(p.object.Name()) && !p.object.CreateOnly() && !slices.Contains(kinds, p.object.Kind()) {
			kinds = append(kinds, p.object.Kind())
		}
	}
	return strings.Join(kinds, ",")
}

// look reads what exists of the objects, refuses what is not ours to write, and
// leaves out what stays as it is.
func (c *Cluster) look(ctx context.Context, objects []workload.Object, o workload.Ownership, get getter) ([]pending, error) {
	var todo []pending
	var refused error
	for _, obj := range objects {
		resource, err := resourceOf(obj)
		if err != nil {
			return nil, fmt.Errorf("apply: %w", err)
		}
		if obj.Namespace() != o.Service.Namespace {
			return nil, fmt.Errorf("apply %v: %w: namespace %q; the service's own, %q, is expected",
				obj, fault.Invalid, obj.Namespace(), o.Service.Namespace)
		}
		live, err := get(ctx, resource, obj.Namespace(), obj.Name())
		switch {
		case apierrors.IsNotFound(err):
			todo = append(todo, pending{object: obj, resource: resource})
		case err != nil:
			return nil, Fault(fmt.Sprintf("look at %v", obj), err)
		case o.Keeps(obj, live.GetLabels()):
		case !o.Owned(live.GetLabels()):
			refused = errors.Join(refused, fmt.Errorf("%v exists and %s", obj, workload.Describe(live.GetLabels())))
		default:
			todo = append(todo, pending{object: obj, resource: resource, live: live})
		}
	}
	if refused != nil {
		return nil, fmt.Errorf("apply: %w: not ours to change: %w", fault.Invalid, refused)
	}
	return todo, nil
}

func (c *Cluster) apply(ctx context.Context, p pending, o workload.Ownership, kinds string, dryRun []string) error {
	ctx, cancel := Within(ctx)
	defer cancel()
	u, err := labelled(p, o)
	if err != nil {
		return err
	}
	if p.object.Kind() == "Deployment" {
		u.SetAnnotations(merged(u.GetAnnotations(), map[string]string{annotationKinds: kinds}))
	}
	in := c.client.In(p.object.Namespace(), p.resource)
	if p.object.CreateOnly() {
		// Strict, as an apply is by itself: a field that the kind does not have would be dropped.
		_, err := in.Create(ctx, u, metav1.CreateOptions{
			FieldManager: workload.Manager, FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	}
	// By force, because look saw that the object is ours: a field that a person edited by
	// hand goes back to what the template says.
	stored, err := in.Apply(ctx, p.object.Name(), u, metav1.ApplyOptions{
		FieldManager: workload.Manager, Force: true, DryRun: dryRun})
	if err != nil {
		return err
	}
	if len(dryRun) > 0 {
		return expected(p, stored)
	}
	if p.object.Kind() == "Deployment" {
		c.client.know(p.object.Namespace(), p.object.Name(), stored.GetUID())
	}
	return nil
}

// labelled gives the object as it is written: marked as ours, and the Deployment
// with its number of replicas. The caller's object stays as it is.
func labelled(p pending, o workload.Ownership) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := convert(p.object, u); err != nil {
		return nil, err
	}
	own := o.Labels(p.object.Name())
	u.SetLabels(merged(u.GetLabels(), own))
	u.SetAnnotations(merged(u.GetAnnotations(), map[string]string{workload.AnnotationRollout: o.Execution}))
	if p.object.Kind() != "Deployment" {
		return u, nil
	}
	for key, values := range map[string]map[string]string{
		"labels": own, "annotations": {workload.AnnotationRollout: o.Execution},
	} {
		at := []string{"spec", "template", "metadata", key}
		have, _, err := unstructured.NestedStringMap(u.Object, at...)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
		if err := unstructured.SetNestedStringMap(u.Object, merged(have, values), at...); err != nil {
			return nil, fmt.Errorf("%w: %w", fault.Invalid, err)
		}
	}
	return u, size(u, p, o.Replicas)
}

// size sets the replicas. A Deployment that exists is never made smaller: somebody
// may have grown it since the first delivery of this task. One with an autoscaler stays as
// large as it is.
func size(u *unstructured.Unstructured, p pending, replicas int) error {
	want, err := replicasOf(u)
	if err != nil {
		return err
	}
	if replicas > 0 {
		want = int64(replicas)
	}
	if p.live != nil {
		have, err := replicasOf(p.live)
		if err != nil {
			return err
		}
		if want = max(want, have); p.scaled {
			want = have
		}
	}
	return unstructured.SetNestedField(u.Object, want, "spec", "replicas")
}

func replicasOf(u *unstructured.Unstructured) (int64, error) {
	v, ok, err := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas")
	if err != nil {
		return 0, fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	switch n := v.(type) {
	case int64:
		return n, nil
	case float64:
		return int64(n), nil
	}
	if ok {
		return 0, fmt.Errorf("%w: spec.replicas: %v (%T); a whole number is expected", fault.Invalid, v, v)
	}
	return 1, nil
}

// convert copies the object through JSON, so that its numbers have the types that
// the API machinery knows.
func convert(o workload.Object, u *unstructured.Unstructured) error {
	b, err := json.Marshal(o)
	if err == nil {
		err = u.UnmarshalJSON(b)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", fault.Invalid, err)
	}
	return nil
}

func merged(into, from map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range into {
		out[k] = v
	}
	for k, v := range from {
		out[k] = v
	}
	return out
}
