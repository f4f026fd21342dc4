// Package gatewayapi splits traffic by the weights of an HTTPRoute of the Gateway
// API (gateway.networking.k8s.io/v1), whether its parent is a Gateway or, for
// traffic between services, a Service.
package gatewayapi

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/object"
)

// A Router moves the weights of HTTPRoutes.
type Router struct{ route object.Route }

// New gives a router of the client's cluster.
func New(c *kube.Client) *Router {
	return &Router{object.Route{Client: c, Resource: kube.HTTPRoutes, Kind: "HTTPRoute", State: state}}
}

// Read gives the route's state.
func (r *Router) Read(ctx context.Context, t traffic.Target) (traffic.State, error) {
	return r.route.Read(ctx, t)
}

// Await waits until the split is in force, at most for d.
func (r *Router) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (traffic.State, error) {
	return r.route.Await(ctx, t, s, d)
}

// Shift writes the split into every rule that names one of the two back ends.
func (r *Router) Shift(ctx context.Context, t traffic.Target, s traffic.Split, f rollout.Fence) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("shift HTTPRoute %s/%s: %w", t.Namespace, t.Route, err)
	}
	return r.route.Write(ctx, t, f, func(o *unstructured.Unstructured, p *kube.Patch) error {
		rules, err := rulesOf(o)
		if err != nil {
			return err
		}
		moves, err := object.Plans(rules.plain(), s)
		if err != nil {
			return err
		}
		for i, m := range moves {
			rules[i].move(p, m, s)
		}
		return nil
	})
}

// Settle gives keep everything in every rule that names one of the two, and takes
// drop out, together with a rule of ours that matches requests to it.
func (r *Router) Settle(ctx context.Context, t traffic.Target, keep, drop string, f rollout.Fence) error {
	return r.route.Write(ctx, t, f, func(o *unstructured.Unstructured, p *kube.Patch) error {
		rules, err := rulesOf(o)
		if err != nil {
			return err
		}
		moves, err := object.Plans(rules.plain(), traffic.Split{Stable: drop, Canary: keep, Weight: 100})
		if err != nil {
			return err
		}
		for i, m := range moves {
			rules[i].settle(p, m, keep)
		}
		rules.unmatch(p)
		return nil
	})
}

// A rule is one rule of the route with what is needed to write it.
type rule struct {
	object.Rule
	index int
	refs  []any
	// ours tells that the rule is the one that Match makes; weights are not moved there.
	ours bool
}

type rules []rule

// plain gives the rules without what is ours, at the same places.
func (rs rules) plain() []object.Rule {
	out := make([]object.Rule, len(rs))
	for i, r := range rs {
		if !r.ours {
			out[i] = r.Rule
		}
	}
	return out
}

func rulesOf(o *unstructured.Unstructured) (rules, error) {
	list, _, err := unstructured.NestedSlice(o.Object, "spec", "rules")
	if err != nil {
		return nil, fmt.Errorf("spec.rules: %w: %w", fault.Invalid, err)
	}
	out := make(rules, len(list))
	for i, v := range list {
		m, _ := v.(map[string]any)
		r := rule{Rule: object.Rule{Path: fmt.Sprintf("rules[%d]", i)}, index: i}
		r.refs, _ = m["backendRefs"].([]any)
		r.ours = m["name"] == matchRule
		for _, v := range r.refs {
			ref, _ := v.(map[string]any)
			r.Backends = append(r.Backends, backendOf(ref, o.GetNamespace()))
		}
		out[i] = r
	}
	return out, nil
}

// backendOf reads a backendRef; its group, kind and weight have defaults.
func backendOf(ref map[string]any, namespace string) object.Backend {
	b := object.Backend{Weight: 1}
	if w, ok := ref["weight"].(int64); ok {
		b.Weight = w
	}
	group, _ := ref["group"].(string)
	kind, hasKind := ref["kind"].(string)
	in, hasNamespace := ref["namespace"].(string)
	if group == "" && (!hasKind || kind == "Service") && (!hasNamespace || in == namespace) {
		b.Name, _ = ref["name"].(string)
	}
	return b
}

func (r rule) path(more ...string) []string {
	return append([]string{"spec", "rules", strconv.Itoa(r.index), "backendRefs"}, more...)
}

func (r rule) weigh(p *kube.Patch, at int, weight int64) {
	ref, _ := r.refs[at].(map[string]any)
	if have, explicit := ref["weight"].(int64); !explicit || have != weight {
		p.Set(weight, r.path(strconv.Itoa(at), "weight")...)
	}
}

// move writes the weights of the two, and the one that is missing beside the other.
func (r rule) move(p *kube.Patch, m object.Move, s traffic.Split) {
	if m.Stable >= 0 {
		r.weigh(p, m.Stable, m.StableWeight)
	}
	if m.Canary >= 0 {
		r.weigh(p, m.Canary, m.CanaryWeight)
	}
	switch {
	case m.Canary < 0:
		p.Set(r.like(m.Stable, s.Canary, m.CanaryWeight), r.path(strconv.Itoa(m.Stable+1))...)
	case m.Stable < 0 && s.Stable != "":
		p.Set(r.like(m.Canary, s.Stable, m.StableWeight), r.path(strconv.Itoa(m.Canary))...)
	}
}

// settle leaves the one that is kept, with the weight of both. Here the plan's
// stable is the one to be dropped, and its canary the one to be kept.
func (r rule) settle(p *kube.Patch, m object.Move, keep string) {
	if m.Canary < 0 {
		p.Set(r.like(m.Stable, keep, m.CanaryWeight), r.path(strconv.Itoa(m.Stable))...)
		p.Remove(r.path(strconv.Itoa(m.Stable + 1))...)
		return
	}
	r.weigh(p, m.Canary, m.CanaryWeight)
	if m.Stable >= 0 {
		p.Remove(r.path(strconv.Itoa(m.Stable))...)
	}
}

// like is a reference to another back end of the same kind and port. Filters of a
// single back end are about that one, and are not copied.
func (r rule) like(at int, name string, weight int64) map[string]any {
	ref, _ := r.refs[at].(map[string]any)
	out := map[string]any{"name": name, "weight": weight}
	for _, key := range []string{"group", "kind", "namespace", "port"} {
		if v, ok := ref[key]; ok {
			out[key] = v
		}
	}
	return out
}

// matchRule is the name of the rule that Match writes.
const matchRule = "stepcanary-match"

// unmatch takes the rule of ours out.
func (rs rules) unmatch(p *kube.Patch) {
	for i := len(rs) - 1; i >= 0; i-- {
		if rs[i].ours {
			p.Remove("spec", "rules", strconv.Itoa(i))
		}
	}
}
