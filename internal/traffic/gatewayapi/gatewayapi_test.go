package gatewayapi_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
	"github.com/stepcanary/stepcanary/internal/traffic/traffictest"
)

const route = "checkout"

// A controller plays the gateway's part: it reports on every generation.
type controller struct {
	kubetest.Cluster
	parents []map[string]any
	stop    context.CancelFunc
	done    chan struct{}
}

func parent(name string) map[string]any {
	return map[string]any{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}
}

func ok(kind string, generation int64) map[string]any {
	return map[string]any{"type": kind, "status": "True", "observedGeneration": generation, "reason": kind, "message": "",
		"lastTransitionTime": metav1.Now().UTC().Format(time.RFC3339)}
}

// report writes what the parents say of the generation.
func (c *controller) report(t *testing.T, conditions func(parent int) []any) {
	parents := []any{}
	for i, p := range c.parents {
		if cs := conditions(i); cs != nil {
			parents = append(parents, map[string]any{"parentRef": p, "controllerName": "example.com/controller", "conditions": cs})
		}
	}
	c.Merge(t, kube.HTTPRoutes, route, map[string]any{"status": map[string]any{"parents": parents}}, "status")
}

func (c *controller) accept(t *testing.T, generation int64) {
	c.report(t, func(int) []any { return []any{ok("Accepted", generation), ok("ResolvedRefs", generation)} })
}

// start reports on each generation until it is ignored.
func (c *controller) start(t *testing.T) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	c.stop, c.done = stop, done
	go func() {
		defer close(done)
		reported := int64(0)
		_ = c.Watch(ctx, kube.Selection{Namespace: c.Namespace, Resource: kube.HTTPRoutes, Name: route}, func(o kube.Objects) bool {
			for _, r := range o {
				if g := r.GetGeneration(); g > reported && ctx.Err() == nil {
					reported = g
					c.accept(t, g)
				}
			}
			return false
		})
	}()
}

func (c *controller) ignore() {
	if c.stop != nil {
		c.stop()
		<-c.done
		c.stop = nil
	}
}

func httpRoute(rules ...any) map[string]any { return below(map[string]any{"name": "public"}, rules...) }

// below is a route with that parent.
func below(parent map[string]any, rules ...any) map[string]any {
	return map[string]any{"spec": map[string]any{"parentRefs": []any{parent}, "rules": rules}}
}

func refs(weights map[string]rollout.Weight) []any {
	var out []any
	for name, w := range weights {
		out = append(out, map[string]any{"name": name, "port": 80, "weight": int(w)})
	}
	return out
}

func open(t *testing.T) (*controller, *gatewayapi.Router, traffic.Target) {
	c := &controller{Cluster: kubetest.Open(t), parents: []map[string]any{parent("public")}}
	t.Cleanup(c.ignore)
	return c, gatewayapi.New(c.Client), traffic.Target{Namespace: c.Namespace, Route: route, Service: traffictest.Service}
}

func subject(t *testing.T) (traffictest.Subject, *controller) {
	return subjectBelow(t, map[string]any{"name": "public"})
}

// subjectBelow is a route with that parent, on which the parent's controller reports.
func subjectBelow(t *testing.T, parent map[string]any) (traffictest.Subject, *controller) {
	c, router, target := open(t)
	if parent["kind"] != nil {
		c.parents = []map[string]any{parent}
	}
	return traffictest.Subject{
		Router: router,
		Target: target,
		Prompt: 10 * time.Second,
		Define: func(t *testing.T, w map[string]rollout.Weight) {
			spec := below(parent, map[string]any{"backendRefs": refs(w)})
			if c.Read(t, kube.HTTPRoutes, route) == nil {
				c.Create(t, kube.HTTPRoutes, kubetest.Object("gateway.networking.k8s.io/v1", "HTTPRoute", route, spec))
			} else {
				c.Merge(t, kube.HTTPRoutes, route, spec)
			}
			if c.stop == nil {
				c.start(t)
			}
			inForce(t, router, target)
		},
		Accept: func(t *testing.T) { c.start(t) },
		Ignore: func(t *testing.T) { c.ignore() },
	}, c
}

func TestRouter(t *testing.T) {
	traffictest.Run(t, func(t *testing.T) traffictest.Subject {
		s, _ := subject(t)
		return s
	})
}

// inside is a Service as parent: how a mesh splits what is called from inside the cluster.
func inside() map[string]any {
	return map[string]any{"group": "", "kind": "Service", "name": route, "port": int64(80)}
}

func TestRouterBelowAService(t *testing.T) {
	traffictest.Run(t, func(t *testing.T) traffictest.Subject {
		s, _ := subjectBelow(t, inside())
		return s
	})
}

// A whole rollout over a route below a Service: each weight comes into force, the loser goes, and the
// parent stays.
func TestARolloutBelowAService(t *testing.T) {
	s, c := subjectBelow(t, inside())
	s.Define(t, map[string]rollout.Weight{"checkout-1": 100})
	for seq, w := range []rollout.Weight{0, 25, 50, 100} {
		want := traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: w}
		if err := s.Router.Shift(t.Context(), s.Target, want, fence(int64(seq+1))); err != nil {
			t.Fatal(err)
		}
		st, err := s.Router.Await(t.Context(), s.Target, want, s.Prompt)
		if err != nil || !st.InForce || st.Weights["checkout-2"] != w {
			t.Fatalf("at %d %%: %+v, %v; want it in force", w, st, err)
		}
	}
	if err := s.Router.Settle(t.Context(), s.Target, "checkout-2", "checkout-1", fence(9)); err != nil {
		t.Fatal(err)
	}
	inForce(t, s.Router, s.Target)
	st, err := s.Router.Read(t.Context(), s.Target)
	if diff := cmp.Diff(map[string]rollout.Weight{"checkout-2": 100}, st.Weights); err != nil || diff != "" {
		t.Errorf("settled (-want +got): %v\n%s", err, diff)
	}
	spec := c.Read(t, kube.HTTPRoutes, route).Object["spec"].(map[string]any)
	if diff := cmp.Diff([]any{any(inside())}, spec["parentRefs"]); diff != "" {
		t.Errorf("parents of the route (-want +got):\n%s", diff)
	}
}

func TestMatcher(t *testing.T) {
	traffictest.RunMatcher(t, func(t *testing.T) (traffictest.Subject, func(*testing.T) bool) {
		s, c := subject(t)
		return s, func(t *testing.T) bool {
			for _, r := range c.rules(t) {
				if r.(map[string]any)["name"] == "stepcanary-match.checkout" {
					return true
				}
			}
			return false
		}
	})
}

func inForce(t *testing.T, r traffic.Router, target traffic.Target) {
	t.Helper()
	var st traffic.State
	for range 500 {
		var err error
		if st, err = r.Read(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		if st.InForce {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the route is not in force: %s", st.Why)
}
