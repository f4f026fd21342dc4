package appmesh_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/appmesh"
	"github.com/stepcanary/stepcanary/internal/traffic/traffictest"
)

const (
	route      = "checkout"
	apiVersion = "appmesh.k8s.aws/v1beta2"
)

// A mesh plays the controller's part: it reports on every generation.
type mesh struct {
	kubetest.Cluster
	stop context.CancelFunc
	done chan struct{}
}

func status(active string, generation int64) map[string]any {
	return map[string]any{"status": map[string]any{"observedGeneration": generation,
		"conditions": []any{map[string]any{"type": active, "status": "True"}}}}
}

func (m *mesh) start(t *testing.T) {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	m.stop, m.done = stop, done
	go func() {
		defer close(done)
		reported := int64(0)
		_ = m.Watch(ctx, kube.Selection{Namespace: m.Namespace, Resource: kube.VirtualRouters, Name: route}, func(o kube.Objects) bool {
			for _, r := range o {
				if g := r.GetGeneration(); g > reported && ctx.Err() == nil {
					reported = g
					m.Merge(t, kube.VirtualRouters, route, status("VirtualRouterActive", g), "status")
				}
			}
			return false
		})
	}()
}

func (m *mesh) ignore() {
	if m.stop != nil {
		m.stop()
		<-m.done
		m.stop = nil
	}
}

func open(t *testing.T) (*mesh, *appmesh.Router, traffic.Target) {
	m := &mesh{Cluster: kubetest.Open(t)}
	m.KeepMeshesOut(t)
	t.Cleanup(m.ignore)
	return m, appmesh.New(m.Client), traffic.Target{Namespace: m.Namespace, Route: route, Service: traffictest.Service}
}

// node puts an active VirtualNode there.
func (m *mesh) node(t *testing.T, name string, active bool) {
	o := m.Create(t, kube.VirtualNodes, kubetest.Object(apiVersion, "VirtualNode", name, map[string]any{"spec": map[string]any{}}))
	if active {
		m.Merge(t, kube.VirtualNodes, name, status("VirtualNodeActive", o.GetGeneration()), "status")
	}
}

func target(name string, weight int, more ...any) any {
	out := map[string]any{"virtualNodeRef": map[string]any{"name": name}, "weight": weight}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

func action(targets ...any) map[string]any { return map[string]any{"weightedTargets": targets} }

func spec(routes ...any) map[string]any {
	return map[string]any{"spec": map[string]any{
		"listeners": []any{map[string]any{"portMapping": map[string]any{"port": 80, "protocol": "http"}}},
		"routes":    routes,
	}}
}

func TestRouter(t *testing.T) {
	traffictest.Run(t, func(t *testing.T) traffictest.Subject {
		m, router, target_ := open(t)
		nodes := false
		return traffictest.Subject{
			Router: router,
			Target: target_,
			Prompt: 10 * time.Second,
			Define: func(t *testing.T, w map[string]rollout.Weight) {
				var targets []any
				for name, weight := range w {
					targets = append(targets, target(name, int(weight)))
				}
				s := spec(map[string]any{"name": "main", "httpRoute": map[string]any{
					"match": map[string]any{"prefix": "/"}, "action": action(targets...)}})
				if !nodes {
					nodes = true
					m.node(t, traffictest.Stable, true)
					m.node(t, traffictest.Canary, true)
					m.Create(t, kube.VirtualRouters, kubetest.Object(apiVersion, "VirtualRouter", route, s))
				} else {
					m.Merge(t, kube.VirtualRouters, route, s)
				}
				if m.stop == nil {
					m.start(t)
				}
				for range 500 {
					st, err := router.Read(t.Context(), target_)
					if err != nil {
						t.Fatal(err)
					}
					if st.InForce {
						return
					}
					time.Sleep(10 * time.Millisecond)
				}
				t.Fatal("the route is not in force")
			},
			Accept: func(t *testing.T) { m.start(t) },
			Ignore: func(t *testing.T) { m.ignore() },
		}
	})
}

var split = traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: 25}

// Routes of every protocol are shifted, and what else they say survives: the
// ancestor's rollback made one target of them all.
func TestRoutesOfEveryProtocolKeepTheirMatchesAndPolicies(t *testing.T) {
	m, router, where := open(t)
	retry := map[string]any{"maxRetries": 2, "perRetryTimeout": map[string]any{"unit": "ms", "value": 1500}, "httpRetryEvents": []any{"server-error"}}
	m.Create(t, kube.VirtualRouters, kubetest.Object(apiVersion, "VirtualRouter", route, spec(
		map[string]any{"name": "beta", "priority": 1, "httpRoute": map[string]any{
			"match":       map[string]any{"prefix": "/", "headers": []any{map[string]any{"name": "x-beta", "match": map[string]any{"exact": "on"}}}},
			"retryPolicy": retry, "action": action(target("checkout-1", 1, "port", 8080))}},
		map[string]any{"name": "two", "http2Route": map[string]any{"match": map[string]any{"prefix": "/two"}, "action": action(target("checkout-1", 1))}},
		map[string]any{"name": "rpc", "grpcRoute": map[string]any{"match": map[string]any{"serviceName": "shop"}, "action": action(target("checkout-1", 1))}},
		map[string]any{"name": "raw", "tcpRoute": map[string]any{"action": action(target("checkout-1", 40), target("mirror", 60))}},
		map[string]any{"name": "theirs", "httpRoute": map[string]any{"match": map[string]any{"prefix": "/theirs"}, "action": action(target("billing", 1))}},
	)))
	routes := func() []any {
		list, _ := m.Read(t, kube.VirtualRouters, route).Object["spec"].(map[string]any)["routes"].([]any)
		return list
	}
	before := routes()
	if err := router.Shift(t.Context(), where, split, rollout.Fence{Epoch: 1, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	after := routes()
	want := [][]string{
		{"checkout-1=75:8080", "checkout-2=25:8080"},
		{"checkout-1=75", "checkout-2=25"},
		{"checkout-1=75", "checkout-2=25"},
		{"checkout-1=30", "checkout-2=10", "mirror=60"},
		{"billing=1"},
	}
	for i := range before {
		b, a := before[i].(map[string]any), after[i].(map[string]any)
		take(b)
		if diff := cmp.Diff(want[i], take(a)); diff != "" {
			t.Errorf("targets of routes[%d] (-want +got):\n%s", i, diff)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("routes[%d] beside its targets (-want +got):\n%s", i, diff)
		}
	}
	if err := router.Settle(t.Context(), where, "checkout-2", "checkout-1", rollout.Fence{Epoch: 1, Seq: 2}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"checkout-2=40", "mirror=60"}, take(routes()[3].(map[string]any))); diff != "" {
		t.Errorf("targets after Settle (-want +got):\n%s", diff)
	}
}

// take takes the targets out of a route and lists them.
func take(r map[string]any) []string {
	var out []string
	for _, v := range r {
		protocol, ok := v.(map[string]any)
		if !ok || protocol["action"] == nil {
			continue
		}
		targets, _ := protocol["action"].(map[string]any)["weightedTargets"].([]any)
		delete(protocol, "action")
		for _, v := range targets {
			m := v.(map[string]any)
			line := fmt.Sprintf("%v=%v", m["virtualNodeRef"].(map[string]any)["name"], m["weight"])
			if port, ok := m["port"]; ok {
				line += fmt.Sprintf(":%v", port)
			}
			out = append(out, line)
		}
	}
	return out
}

// The controller leaves the whole router alone until all of its nodes are active;
// the reason is on the node.
func TestANodeThatIsNotActiveIsTold(t *testing.T) {
	m, router, where := open(t)
	m.node(t, "checkout-1", true)
	m.node(t, "checkout-2", false)
	m.Create(t, kube.VirtualRouters, kubetest.Object(apiVersion, "VirtualRouter", route, spec(
		map[string]any{"name": "main", "httpRoute": map[string]any{"match": map[string]any{"prefix": "/"}, "action": action(target("checkout-1", 1))}})))
	if err := router.Shift(t.Context(), where, split, rollout.Fence{Epoch: 1, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	st, err := router.Await(t.Context(), where, split, 100*time.Millisecond)
	if err != nil || st.InForce || !strings.Contains(st.Why, "VirtualNode checkout-2: ") {
		t.Errorf("Await() = in force %v, why %q, %v; want the node that is not active", st.InForce, st.Why, err)
	}
}

func TestARouterThatIsNotActiveIsNotInForce(t *testing.T) {
	m, router, where := open(t)
	o := m.Create(t, kube.VirtualRouters, kubetest.Object(apiVersion, "VirtualRouter", route, spec(
		map[string]any{"name": "main", "httpRoute": map[string]any{"match": map[string]any{"prefix": "/"}, "action": action(target("checkout-1", 1))}})))
	for name, tt := range map[string]struct {
		status map[string]any
		want   string
	}{
		"no condition": {map[string]any{"observedGeneration": o.GetGeneration(), "conditions": nil}, "has not reported VirtualRouterActive"},
		"not active": {map[string]any{"observedGeneration": o.GetGeneration(), "conditions": []any{
			map[string]any{"type": "VirtualRouterActive", "status": "False", "reason": "Deleted"}}}, "VirtualRouterActive=False: Deleted"},
		"an older generation": {map[string]any{"observedGeneration": o.GetGeneration() - 1, "conditions": []any{
			map[string]any{"type": "VirtualRouterActive", "status": "True"}}}, "has taken up generation"},
	} {
		t.Run(name, func(t *testing.T) {
			m.Merge(t, kube.VirtualRouters, route, map[string]any{"status": tt.status}, "status")
			st, err := router.Read(t.Context(), where)
			if err != nil || st.InForce || !strings.Contains(st.Why, tt.want) {
				t.Errorf("Read() = in force %v, why %q, %v; want why %q", st.InForce, st.Why, err, tt.want)
			}
		})
	}
}
