// Package object is what routers share whose route is one Kubernetes object: the
// fence in an annotation, one precise patch for fence and weights together, and
// a watch that tells when the controller has taken them up.
package object

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// Fence is the annotation that carries the fence of our last write.
const Fence = "stepcanary.dev/fence"

// attempts is how often a write is decided anew after it lost against another one.
const attempts = 5

// A Route is one kind of object that holds a split.
type Route struct {
	Client   *kube.Client
	Resource schema.GroupVersionResource
	// Kind is the object's kind, for errors.
	Kind string
	// State reads the object: the shares of all back ends, or, where some are named,
	// the shares among these alone. The fence is read for it.
	State func(o *unstructured.Unstructured, among ...string) (traffic.State, error)
}

func (r Route) name(t traffic.Target) string {
	return fmt.Sprintf("%s %s/%s", r.Kind, t.Namespace, t.Route)
}

// state is State with the fence.
func (r Route) state(t traffic.Target, o *unstructured.Unstructured, among ...string) (traffic.State, error) {
	fence, err := fenceOf(o)
	if err != nil {
		return traffic.State{}, fmt.Errorf("read %s: %w", r.name(t), err)
	}
	st, err := r.State(o, among...)
	if err != nil {
		return traffic.State{}, fmt.Errorf("read %s: %w", r.name(t), err)
	}
	st.Fence = fence
	return st, nil
}

func fenceOf(o *unstructured.Unstructured) (rollout.Fence, error) {
	f, err := rollout.ParseFence(o.GetAnnotations()[Fence])
	if err != nil {
		return f, fmt.Errorf("annotation %s: %w: %w", Fence, fault.Invalid, err)
	}
	return f, nil
}

// Read gives the route's state.
func (r Route) Read(ctx context.Context, t traffic.Target) (traffic.State, error) {
	o, err := r.Client.Get(ctx, r.Resource, t.Namespace, t.Route)
	if err != nil {
		return traffic.State{}, kube.Fault("read "+r.name(t), err)
	}
	return r.state(t, o)
}

// Write changes the route as edit says, and its fence to f, in one patch of the
// object as it was read; so the check of the fence and the write are one step.
// Where the object has changed in between, it is read again and decided anew.
// Where nothing would change, nothing is written.
func (r Route) Write(ctx context.Context, t traffic.Target, f rollout.Fence, edit func(*unstructured.Unstructured, *kube.Patch) error) error {
	op := "write " + r.name(t)
	var err error
	for range attempts {
		err = r.write(ctx, t, f, edit)
		if !errors.Is(err, fault.Conflict) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (r Route) write(ctx context.Context, t traffic.Target, f rollout.Fence, edit func(*unstructured.Unstructured, *kube.Patch) error) error {
	o, err := r.Client.Get(ctx, r.Resource, t.Namespace, t.Route)
	if err != nil {
		return kube.Fault("read", err)
	}
	fence, err := fenceOf(o)
	if err != nil {
		return err
	}
	if f.Before(fence) {
		return fmt.Errorf("%w: it carries fence %v, newer than %v", fault.Fenced, fence, f)
	}
	var p kube.Patch
	if err := edit(o, &p); err != nil {
		return err
	}
	if fence != f {
		p.Annotate(o, Fence, f.String())
	}
	if len(p) == 0 {
		return nil
	}
	return kube.Fault("patch", r.Client.Patch(ctx, r.Resource, o, p))
}

// Await watches the route until the split is in force, at most for d.
func (r Route) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (traffic.State, error) {
	var st traffic.State
	var failed error
	seen := false
	look := func(o *unstructured.Unstructured) bool {
		seen = true
		if st, failed = r.state(t, o, s.Stable, s.Canary); failed == nil {
			st = s.Judge(st)
		}
		return failed != nil || st.InForce
	}
	watched, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	what := kube.Selection{Namespace: t.Namespace, Resource: r.Resource, Name: t.Route}
	err := r.Client.Watch(watched, what, func(objects kube.Objects) bool {
		for _, o := range objects {
			return look(o)
		}
		seen, failed = true, fmt.Errorf("read %s: %w", r.name(t), fault.NotFound)
		return true
	})
	switch {
	case failed != nil:
		return traffic.State{}, failed
	case ctx.Err() != nil:
		return traffic.State{}, fmt.Errorf("await %s: %w", r.name(t), ctx.Err())
	case err != nil && watched.Err() == nil:
		return traffic.State{}, err
	case seen:
		return st, nil
	}
	// The time was too short for a watch to show anything: one look is owed.
	o, err := r.Client.Get(ctx, r.Resource, t.Namespace, t.Route)
	if err != nil {
		return traffic.State{}, kube.Fault("read "+r.name(t), err)
	}
	look(o)
	return st, failed
}
