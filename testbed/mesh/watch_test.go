package mesh

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

func ptr[T any](v T) *T { return &v }

func slice(service string, port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "yelb", Name: service + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Ports:      []discoveryv1.EndpointPort{{Name: ptr("http"), Port: &port}}, Endpoints: endpoints}
}

func at(address, pod string, ready bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: pod}}
}

// fakeAPI is a client without a server, which holds these objects.
func fakeAPI(t *testing.T, manifests string, objects ...runtime.Object) (*fake.Clientset, *dynamicfake.FakeDynamicClient) {
	t.Helper()
	var list []map[string]any
	if err := yaml.Unmarshal([]byte(manifests), &list); err != nil {
		t.Fatal(err)
	}
	kinds := map[schema.GroupVersionResource]string{}
	for kind, r := range plurals {
		kinds[r] = kind + "List"
	}
	dyn := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)
	for _, o := range list { // one by one, as the fake would guess Mesh's plural wrong
		o["apiVersion"] = "appmesh.k8s.aws/v1beta2"
		u := &unstructured.Unstructured{Object: o}
		if _, err := dyn.Resource(plurals[u.GetKind()]).Namespace(u.GetNamespace()).Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientset(objects...), dyn
}

func TestEndpointsAreTheReadyOnesBehindTheServicesPort(t *testing.T) {
	service := func(name, ip string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "yelb", Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt(8080)}}}}
	}
	typed, dyn := fakeAPI(t, "[]", service("app", "127.9.128.1"), service("headless", corev1.ClusterIPNone),
		slice("app", 8080, at("127.9.1.2", "b", true), at("127.9.1.1", "a", true), at("127.9.1.3", "c", false)), slice("headless", 8080, at("127.9.1.4", "d", true)))
	w, err := newWatcher(typed, dyn)
	if err != nil {
		t.Fatal(err)
	}
	w.start(t.Context().Done())
	for name, tt := range map[string]struct {
		service string
		port    int
		want    []endpoint
	}{
		"the Service's port leads to the pods'":     {"app", 80, []endpoint{{"127.9.1.1:8080", "a"}, {"127.9.1.2:8080", "b"}}},
		"a port that the Service lacks is the pods": {"app", 4567, []endpoint{{"127.9.1.1:4567", "a"}, {"127.9.1.2:4567", "b"}}},
		"behind a headless one it is the pods' own": {"headless", 80, []endpoint{{"127.9.1.4:80", "d"}}},
		"a Service that is not there has none":      {"gone", 80, nil},
	} {
		if diff := cmp.Diff(tt.want, w.endpoints(key{"yelb", tt.service}, tt.port), cmp.AllowUnexported(endpoint{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatIsDecidedIsWritten(t *testing.T) {
	typed, dyn := fakeAPI(t, `
- {kind: Mesh, metadata: {name: bed, generation: 1}, spec: {namespaceSelector: {}}}
- {kind: VirtualNode, metadata: {name: app-1, namespace: yelb, generation: 1, uid: node}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], serviceDiscovery: {dns: {hostname: app-1.yelb.svc.cluster.local}}}}
- {kind: VirtualRouter, metadata: {name: app, namespace: yelb, generation: 4, uid: router}, spec: {listeners: [{portMapping: {port: 80, protocol: http}}], routes: [{name: x, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: app-1}, weight: 1}]}}}]}}
- {kind: VirtualService, metadata: {name: lost, namespace: yelb, generation: 1, uid: service}, spec: {provider: {virtualRouter: {virtualRouterRef: {name: none}}}}}
`, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "yelb"}})
	w, err := newWatcher(typed, dyn)
	if err != nil {
		t.Fatal(err)
	}
	w.start(t.Context().Done())
	world, err := w.world()
	if err != nil {
		t.Fatal(err)
	}
	out := &writer{typed: typed, dynamic: dyn, said: map[types.UID]string{}}
	for range 2 { // the second time nothing is left to write
		if err := out.write(t.Context(), newControl().look(world)); err != nil {
			t.Fatal(err)
		}
	}
	router, err := dyn.Resource(virtualRouters).Namespace("yelb").Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := router.GetFinalizers(); len(got) != 1 || got[0] != finalizer {
		t.Errorf("finalizers = %v; want the controller's", got)
	}
	if n, _, _ := unstructured.NestedInt64(router.Object, "status", "observedGeneration"); n != 4 {
		t.Errorf("observedGeneration = %d; want 4", n)
	}
	events, err := typed.CoreV1().Events("yelb").List(context.Background(), metav1.ListOptions{})
	if err != nil || len(events.Items) != 1 {
		t.Fatalf("events = %+v, %v; want one, said once", events.Items, err)
	}
	e := events.Items[0]
	if e.Reason != "ReconcileError" || e.Type != "Warning" || e.InvolvedObject.Name != "lost" || time.Since(e.LastTimestamp.Time) > time.Minute {
		t.Errorf("event = %+v; want a ReconcileError of lost", e)
	}
}
