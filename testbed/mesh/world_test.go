package mesh

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// A stage is a world that a test builds, with real servers as pods.
type stage struct {
	t *testing.T
	world
	ready    map[key][]endpoint
	clusters map[key]string // cluster IPs
	ports    map[key][]int
}

// newStage has a mesh over the namespaces that are labelled as the ancestor's was.
func newStage(t *testing.T) *stage {
	s := &stage{t: t, ready: map[key][]endpoint{}, clusters: map[key]string{}, ports: map[key][]int{}}
	s.namespaces = map[string]labels.Set{"yelb": {"mesh": "yelb"}, "other": {}}
	s.world.endpoints = func(k key, _ int) []endpoint { return s.ready[k] }
	s.world.address = func(k key) (string, []int) { return s.clusters[k], s.ports[k] }
	s.meshes = []*meshObject{parse[meshObject](t, `{kind: Mesh, metadata: {name: yelb}, spec: {namespaceSelector: {matchLabels: {mesh: yelb}}}}`)}
	return s
}

func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.Unmarshal([]byte(text), v); err != nil {
		t.Fatal(err)
	}
	return v
}

// node adds a virtual node in the ancestor's form.
func (s *stage) node(name, namespace, protocol string) *virtualNode {
	s.t.Helper()
	n := parse[virtualNode](s.t, `
kind: VirtualNode
metadata: {name: `+name+`, namespace: `+namespace+`, generation: 1, uid: `+name+`}
spec:
  awsName: `+name+`-virtual-node
  listeners: [{portMapping: {port: 4567, protocol: `+protocol+`}}]
  serviceDiscovery: {dns: {hostname: `+name+`.`+namespace+`.svc.cluster.local}}
`)
	s.nodes = append(s.nodes, n)
	return n
}

// router adds a virtual router whose routes are given as YAML.
func (s *stage) router(name, protocol, routes string) *virtualRouter {
	s.t.Helper()
	r := parse[virtualRouter](s.t, `
kind: VirtualRouter
metadata: {name: `+name+`, namespace: yelb, generation: 1, uid: `+name+`}
spec:
  awsName: `+name+`-virtual-router
  listeners: [{portMapping: {port: 4567, protocol: `+protocol+`}}]
`)
	s.routes(r, routes)
	r.Generation = 1
	s.routers = append(s.routers, r)
	return r
}

// routes changes a router's routes, as a new generation.
func (s *stage) routes(r *virtualRouter, routes string) {
	s.t.Helper()
	r.Spec.Routes = *parse[[]routeSpec](s.t, routes)
	r.Generation++
}

func (s *stage) service(name string) *virtualService {
	s.t.Helper()
	v := parse[virtualService](s.t, `
kind: VirtualService
metadata: {name: `+name+`, namespace: yelb, generation: 1, uid: vs-`+name+`}
spec: {awsName: `+name+`, provider: {virtualRouter: {virtualRouterRef: {name: `+name+`}}}}
`)
	s.services = append(s.services, v)
	return v
}

// weights is the ancestor's route with CANARY_ROUTES filled in.
func weights(w string) string {
	return `[{name: route-to-app, httpRoute: {match: {prefix: /}, action: {weightedTargets: [` + w + `]}}}]`
}

// pod serves as the only ready endpoint of a Service.
func (s *stage) pod(service string, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	s.t.Cleanup(srv.Close)
	k := key{"yelb", service}
	s.ready[k] = append(s.ready[k], endpoint{strings.TrimPrefix(srv.URL, "http://"), service + "-pod"})
	return srv
}

// says is a pod that answers with a status and its version.
func says(version string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", version)
		w.WriteHeader(code)
	}
}

func deleted(h *header) { now := metav1.Now(); h.DeletionTimestamp = &now }

// A tried mesh is a control with its proxy.
type tried struct {
	*stage
	control *control
	proxy   *proxy
}

func try(s *stage) *tried { return &tried{s, newControl(), newProxy(newStats())} }

// look takes the stage up.
func (m *tried) look() decision {
	d := m.control.look(m.world)
	m.proxy.table.Store(m.control.table())
	return d
}

// call sends one request to the mesh.
func (m *tried) call(host string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "http://mesh/api/hostname", nil)
	r.Host = host
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	m.proxy.ServeHTTP(w, r)
	return w.Result()
}

func refused(d decision, uid string) string {
	for h, err := range d.refuse {
		if h.UID == types.UID(uid) {
			return err.Error()
		}
	}
	return ""
}

func generation(d decision, uid string) any {
	for h, s := range d.status {
		if h.UID == types.UID(uid) {
			return s["observedGeneration"]
		}
	}
	return nil
}
