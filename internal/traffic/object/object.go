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

// Fence begins the annotation that carries the fence of a service's last write; the service's
// name ends it. Alone it is the mark of older engines, which had one for all services of a route.
const Fence = "stepcanary.dev/fence"

func fenceKey(service string) string { return Fence + "-" + service }

// attempts is how often a write is decided anew after it lost against another one.
const attempts = 5

// A Route is a traffic.Router of one kind of object. What a driver adds is how to
// read the object.
type Route struct {
	Client   *kube.Client
	Resource schema.GroupVersionResource
	// Kind is the object's kind, for errors.
	Kind string
	// Rules are the lists of back ends in which weights are moved.
	Rules func(*unstructured.Unstructured) ([]Rule, error)
	// Why says why the object's present generation is not in force; empty if it is.
	Why func(*unstructured.Unstructured) (string, error)
	// Clean, where set, takes out what the service's rollout added beside the weights of the two.
	// Its operations must not move the rules.
	Clean func(*unstructured.Unstructured, *kube.Patch, traffic.Target, traffic.Split)
}

func (r Route) name(t traffic.Target) string {
	return fmt.Sprintf("%s %s/%s", r.Kind, t.Namespace, t.Route)
}

// state reads the object: the shares of all back ends, or, where some are named,
// the shares among these alone.
func (r Route) state(t traffic.Target, o *unstructured.Unstructured, among ...string) (st traffic.State, err error) {
	st.Fence, err = fenceOf(o, t.Service)
	var rules []Rule
	if err == nil {
		rules, err = r.Rules(o)
	}
	if err == nil {
		st.Why, err = r.Why(o)
	}
	if err != nil {
		return traffic.State{}, fmt.Errorf("read %s: %w", r.name(t), err)
	}
	var differ string
	if st.Weights, differ = shares(rules, among); st.Why == "" && len(among) > 0 {
		st.Why = differ
	}
	st.InForce = st.Why == ""
	return st, nil
}

// fenceOf reads the service's fence. Where it has none of its own, the mark that all services shared counts: a rollout may
// have begun under an older engine.
func fenceOf(o *unstructured.Unstructured, service string) (rollout.Fence, error) {
	key := fenceKey(service)
	text, own := o.GetAnnotations()[key]
	if !own {
		key = Fence
		text = o.GetAnnotations()[key]
	}
	f, err := rollout.ParseFence(text)
	if err != nil {
		return f, fmt.Errorf("annotation %s: %w: %w", key, fault.Invalid, err)
	}
	return f, nil
}

// mark writes the service's fence. The mark that all shared goes along where this very rollout wrote it last: a late function
// of an older engine sees no other, and it must not tell of a rollout under way for ever.
func mark(o *unstructured.Unstructured, p *kube.Patch, service string, f rollout.Fence) {
	p.Annotate(o, fenceKey(service), f.String())
	if shared, err := rollout.ParseFence(o.GetAnnotations()[Fence]); err == nil && shared.Epoch == f.Epoch && shared.Before(f) && shared.Epoch > 0 {
		p.Annotate(o, Fence, f.String())
	}
}

// Read gives the route's state.
func (r Route) Read(ctx context.Context, t traffic.Target) (traffic.State, error) {
	o, err := r.Client.Get(ctx, r.Resource, t.Namespace, t.Route)
	if err != nil {
		return traffic.State{}, kube.Fault("read "+r.name(t), err)
	}
	return r.state(t, o)
}

// Try plans the splits on the route as it was last seen, which costs no request where it was just read.
func (r Route) Try(ctx context.Context, t traffic.Target, splits ...traffic.Split) error {
	o := r.Client.Recall(r.Resource, t.Namespace, t.Route)
	if o == nil {
		var err error
		if o, err = r.Client.Get(ctx, r.Resource, t.Namespace, t.Route); err != nil {
			return kube.Fault("read "+r.name(t), err)
		}
	}
	r.Client.Remember(r.Resource, o) // for whoever writes it
	for _, s := range splits {
		err := s.Validate()
		if err == nil {
			err = r.shift(o, &kube.Patch{}, s)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", r.name(t), err)
		}
	}
	return nil
}

// Shift writes the split into every rule that names one of the two back ends.
func (r Route) Shift(ctx context.Context, t traffic.Target, s traffic.Split, f rollout.Fence) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("write %s: %w", r.name(t), err)
	}
	return r.Write(ctx, t, f, func(o *unstructured.Unstructured, p *kube.Patch) error {
		return r.shift(o, p, s)
	})
}

// Settle gives keep everything in every rule that names one of the two, and takes
// drop out.
func (r Route) Settle(ctx context.Context, t traffic.Target, keep, drop string, f rollout.Fence) error {
	return r.Write(ctx, t, f, func(o *unstructured.Unstructured, p *kube.Patch) error {
		if r.Clean != nil {
			defer r.Clean(o, p, t, traffic.Split{Stable: drop, Canary: keep, Weight: 100})
		}
		rules, err := r.Rules(o)
		if err != nil {
			return err
		}
		named := false
		for _, rule := range rules {
			named = rule.settle(p, keep, drop) || named
		}
		if !named {
			return unnamed(rules, drop, keep)
		}
		return nil
	})
}

// shift makes the operations that write the split.
func (r Route) shift(o *unstructured.Unstructured, p *kube.Patch, s traffic.Split) error {
	rules, err := r.Rules(o)
	if err != nil {
		return err
	}
	moves, err := plans(rules, s)
	if err != nil {
		return err
	}
	for i, rule := range rules {
		if m, ok := moves[i]; ok {
			rule.move(p, m, s)
		}
	}
	return nil
}

// An edit makes the operations that change the route as it was read.
type edit func(*unstructured.Unstructured, *kube.Patch) error

// Write changes the route as e says, and its fence to f, in one patch of the object
// as it was read; so the check of the fence and the write are one step. Where the
// object has changed in between, it is read again and decided anew. Where nothing
// would change, nothing is written.
func (r Route) Write(ctx context.Context, t traffic.Target, f rollout.Fence, e edit) error {
	op := "write " + r.name(t)
	if err := t.Validate(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if done, err := r.writeSeen(ctx, t, f, e); done || err != nil {
		return kube.Fault(op, err)
	}
	var err error
	for range attempts {
		err = r.write(ctx, t, f, e)
		if !errors.Is(err, fault.Conflict) {
			break
		}
	}
	return kube.Fault(op, err)
}

// writeSeen writes on top of the route as it was last seen, which saves a reading.
// Only a patch that the server takes counts: whatever else comes of an old sight is
// decided on a new one.
func (r Route) writeSeen(ctx context.Context, t traffic.Target, f rollout.Fence, e edit) (done bool, err error) {
	o := r.Client.Recall(r.Resource, t.Namespace, t.Route)
	if o == nil {
		return false, nil
	}
	p, err := plan(o, t.Service, f, e)
	if err != nil || len(p) == 0 {
		return false, nil
	}
	switch err := kube.Fault("patch", r.Client.Patch(ctx, r.Resource, o, p)); fault.Of(err) {
	case fault.Conflict, fault.NotFound, fault.Invalid:
		return false, nil
	default:
		return err == nil, err
	}
}

func (r Route) write(ctx context.Context, t traffic.Target, f rollout.Fence, e edit) error {
	o, err := r.Client.Get(ctx, r.Resource, t.Namespace, t.Route)
	if err != nil {
		return kube.Fault("read", err)
	}
	p, err := plan(o, t.Service, f, e)
	if err != nil || len(p) == 0 {
		return err
	}
	return kube.Fault("patch", r.Client.Patch(ctx, r.Resource, o, p))
}

// plan gives the patch of the route as read; none where nothing would change.
func plan(o *unstructured.Unstructured, service string, f rollout.Fence, e edit) (kube.Patch, error) {
	fence, err := fenceOf(o, service)
	if err != nil {
		return nil, err
	}
	if f.Before(fence) {
		return nil, fmt.Errorf("%w: it carries fence %v, newer than %v", fault.Fenced, fence, f)
	}
	var p kube.Patch
	if err := e(o, &p); err != nil {
		return nil, err
	}
	if fence != f {
		mark(o, &p, service, f)
	}
	return p, nil
}

// Await watches the route until the split is in force, at most for d.
func (r Route) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (traffic.State, error) {
	var st traffic.State
	var failed error
	seen := false
	look := func(o *unstructured.Unstructured) bool {
		seen = true
		r.Client.Remember(r.Resource, o)
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
