package mesh

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const both = `{virtualNodeRef: {name: app-1}, weight: 90}, {virtualNodeRef: {name: app-2}, weight: 10}`

// twoVersions is a stage with app-1 and app-2 behind one route.
func twoVersions(t *testing.T) (*tried, *virtualRouter) {
	s := newStage(t)
	s.node("app-1", "yelb", "http")
	s.node("app-2", "yelb", "http")
	s.pod("app-1", says("v1", 200))
	s.pod("app-2", says("v2", 200))
	r := s.router("app", "http", weights(both))
	s.service("app")
	m := try(s)
	m.look()
	return m, r
}

// shares counts versions over n calls.
func (m *tried) shares(n int) map[string]int {
	got := map[string]int{}
	for range n {
		got[m.call("app").Header.Get("X-Version")]++
	}
	return got
}

func TestTrafficIsSplitByWeight(t *testing.T) {
	m, r := twoVersions(t)
	for w, want := range map[string]map[string]int{
		both: {"v1": 1800, "v2": 200},
		`{virtualNodeRef: {name: app-1}, weight: 50}, {virtualNodeRef: {name: app-2}, weight: 50}`: {"v1": 1000, "v2": 1000},
		`{virtualNodeRef: {name: app-1}, weight: 99}, {virtualNodeRef: {name: app-2}, weight: 1}`:  {"v1": 1980, "v2": 20},
		`{virtualNodeRef: {name: app-1}, weight: 0}, {virtualNodeRef: {name: app-2}, weight: 100}`: {"v2": 2000},
		`{virtualNodeRef: {name: app-2}, weight: 1}`:                                               {"v2": 2000},
		`{virtualNodeRef: {name: app-1}, weight: 2}, {virtualNodeRef: {name: app-2}, weight: 1}`:   {"v1": 1333, "v2": 667},
	} {
		m.routes(r, weights(w))
		m.look()
		for v, n := range m.shares(2000) {
			if diff := n - want[v]; diff < -20 || diff > 20 {
				t.Errorf("%s: %s got %d of 2000; want %d, give or take 1 %%", w, v, n, want[v])
			}
		}
	}
}

func TestStatusSpeaksOfWhatIsInForce(t *testing.T) {
	m, r := twoVersions(t)
	d := m.look()
	want := map[string]any{
		"virtualRouterARN":   "arn:aws:appmesh:us-east-1:000000000000:mesh/yelb/virtualRouter/app-virtual-router",
		"observedGeneration": int64(1),
		"conditions":         []any{map[string]any{"type": "VirtualRouterActive", "status": "True"}},
		"routeARNs":          map[string]any{"route-to-app": "arn:aws:appmesh:us-east-1:000000000000:mesh/yelb/virtualRouter/app-virtual-router/route/route-to-app"},
	}
	if diff := cmp.Diff(want, d.status[&r.header]); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if !d.adopt[&r.header] {
		t.Error("the router got no finalizer")
	}
}

func TestAMissingNodeKeepsTheRoutesInForce(t *testing.T) {
	m, r := twoVersions(t)
	m.routes(r, weights(`{virtualNodeRef: {name: app-3}, weight: 100}`))
	d := m.look()
	if got := refused(d, "app"); !strings.Contains(got, "virtualNodeRef yelb/app-3: no such active virtual node") {
		t.Errorf("event = %q; want the missing node", got)
	}
	if g := generation(d, "app"); g != nil {
		t.Errorf("observedGeneration = %v is written; want status left as it was", g)
	}
	if got := m.shares(100); got["v1"] != 90 || got["v2"] != 10 {
		t.Errorf("traffic = %v; want the old 90 and 10", got)
	}
	m.node("app-3", "yelb", "http")
	m.pod("app-3", says("v3", 200))
	if g := generation(m.look(), "app"); g != int64(2) {
		t.Errorf("observedGeneration with the node there = %v; want 2", g)
	}
	if got := m.shares(100); got["v3"] != 100 {
		t.Errorf("traffic = %v; want all to v3", got)
	}
}

func TestOneBadRouteKeepsAllRoutes(t *testing.T) {
	m, r := twoVersions(t)
	m.routes(r, `[{name: route-to-app, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: app-2}, weight: 1}]}}},
		{name: more, httpRoute: {match: {prefix: /x}, action: {weightedTargets: [{virtualNodeRef: {name: gone}, weight: 1}]}}}]`)
	m.look()
	if got := m.shares(100); got["v1"] != 90 {
		t.Errorf("traffic = %v; want the old weights, because another route of the router is bad", got)
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		build func(*stage)
		uid   string
		want  string
	}{
		"a namespace without a mesh": {func(s *stage) { s.node("lost", "other", "http") }, "lost", "meshes that select namespace other: found 0, expected 1"},
		"two meshes for one namespace": {func(s *stage) {
			s.meshes = append(s.meshes, s.meshes[0])
			s.node("torn", "yelb", "http")
		}, "torn", "found 2, expected 1"},
		"a node found by other than DNS": {func(s *stage) { s.node("lone", "yelb", "http").Spec.ServiceDiscovery.DNS = nil }, "lone", "expected dns"},
		"a host name beyond the cluster": {func(s *stage) {
			s.node("lone", "yelb", "http").Spec.ServiceDiscovery.DNS.Hostname = "example.com"
		}, "lone", "expected SERVICE.NAMESPACE.svc.cluster.local"},
		"a service whose router is missing": {func(s *stage) { s.service("app") }, "vs-app", "virtualRouterRef yelb/app: no such active virtual router"},
		"an HTTP/2 route":                   {func(s *stage) { s.router("r", "http", `[{name: x, http2Route: {}}]`) }, "r", "expected httpRoute or tcpRoute"},
		"a route that no listener speaks": {func(s *stage) {
			s.node("lone", "yelb", "tcp")
			s.router("r", "http", `[{name: x, tcpRoute: {action: {weightedTargets: [{virtualNodeRef: {name: lone}, weight: 1}]}}}]`)
		}, "r", "route x: no listener speaks tcp"},
		"an expression that is none": {func(s *stage) {
			s.router("r", "http", `[{name: x, httpRoute: {match: {headers: [{name: a, match: {regex: "("}}]}}}]`)
		}, "r", "header a"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			tt.build(s)
			if got := refused(try(s).look(), tt.uid); !strings.Contains(got, tt.want) {
				t.Errorf("event = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestWhatIsInUseIsNotLetGo(t *testing.T) {
	m, r := twoVersions(t)
	node, service := m.nodes[1], m.services[0]
	deleted(&node.header)
	d := m.look()
	if got := refused(d, "app-2"); !strings.Contains(got, "ResourceInUseException: virtual node yelb/app-2 is used by a route of virtual router yelb/app") {
		t.Errorf("event = %q; want the router that uses it", got)
	}
	if got := m.shares(100); got["v2"] != 10 {
		t.Errorf("traffic = %v; want the deleted node still served", got)
	}
	m.routes(r, weights(`{virtualNodeRef: {name: app-1}, weight: 100}`))
	if d = m.look(); !d.free[&node.header] {
		t.Error("the node is still held after the last route to it went")
	}
	deleted(&r.header)
	d = m.look()
	if got := refused(d, "app"); !strings.Contains(got, "is used by virtual service yelb/app") {
		t.Errorf("event = %q; want the service that uses the router", got)
	}
	if code := m.call("app").StatusCode; code != http.StatusNotFound {
		t.Errorf("call to a router that is going = %d; want 404, since its routes go first", code)
	}
	deleted(&service.header)
	if d = m.look(); !d.free[&r.header] || !d.free[&service.header] {
		t.Error("router and service are still held; want both let go")
	}
}

func TestStatusIsWrittenOnlyWhenItChanges(t *testing.T) {
	h := &header{}
	h.Generation = 2
	t0, t1 := time.Unix(1000, 0), time.Unix(2000, 0)
	want := status(h, "VirtualNode", "arn", nil)
	if !stale(nil, want, t0) {
		t.Fatal("an empty status is not stale")
	}
	if again := status(h, "VirtualNode", "arn", nil); stale(want, again, t1) {
		t.Error("the same status is written again")
	}
	h.Generation = 3
	next := status(h, "VirtualNode", "arn", nil)
	if !stale(want, next, t1) {
		t.Error("a new generation is not written")
	}
	if at := next["conditions"].([]any)[0].(map[string]any)["lastTransitionTime"]; at != "1970-01-01T00:16:40Z" {
		t.Errorf("lastTransitionTime = %v; want the first one, as the condition did not change", at)
	}
}
