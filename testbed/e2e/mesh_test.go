package e2e

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/stepcanary/stepcanary/testbed/load"
	"github.com/stepcanary/stepcanary/testbed/mesh"
)

func meshResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "appmesh.k8s.aws", Version: "v1beta2", Resource: plural}
}

// oneMesh is started by the first test that needs it, and runs on to let go of
// the objects in namespaces that are being deleted.
var oneMesh = sync.OnceValues(func() (*mesh.Mesh, error) {
	return mesh.Start(context.Background(), mesh.Options{Config: config, Listen: "127.0.0.1:0"})
})

func startMesh(t *testing.T) *mesh.Mesh {
	t.Helper()
	m, err := oneMesh()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// meshVersion is one version of a service in an App Mesh pipeline's form.
func meshVersion(ns string, number int) string {
	return fmt.Sprintf(`
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualNode
metadata: {name: app-%[2]d, namespace: %[1]s}
spec:
  awsName: app-%[2]d-virtual-node
  podSelector: {matchLabels: {app: app, version: "%[2]d"}}
  listeners:
  - portMapping: {port: 8080, protocol: http}
    healthCheck: {healthyThreshold: 2, intervalMillis: 5000, path: "/", port: 8080, protocol: http, timeoutMillis: 2000, unhealthyThreshold: 2}
  logging: {accessLog: {file: {path: /dev/stdout}}}
  serviceDiscovery: {dns: {hostname: app-%[2]d.%[1]s.svc.cluster.local}}
  backends: [{virtualService: {virtualServiceRef: {name: db}}}]
---
apiVersion: v1
kind: Service
metadata: {name: app-%[2]d, namespace: %[1]s}
spec: {selector: {app: app, version: "%[2]d"}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app-%[2]d, namespace: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: app, version: "%[2]d"}}
  template:
    metadata: {labels: {app: app, version: "%[2]d"}}
    spec:
      containers:
      - {name: app, image: "podlet:v%[2]d", ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /readyz, port: 8080}, periodSeconds: 1}}
`, ns, number)
}

// meshRouter is the router, the virtual service and the Service that gives it an address.
func meshRouter(ns string, weights ...int) string {
	var targets []string
	for i, w := range weights {
		targets = append(targets, fmt.Sprintf("{virtualNodeRef: {name: app-%d}, weight: %d}", i+1, w))
	}
	return fmt.Sprintf(`
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualRouter
metadata: {name: app, namespace: %[1]s}
spec:
  awsName: app-virtual-router
  listeners: [{portMapping: {port: 8080, protocol: http}}]
  routes:
  - name: route-to-app
    httpRoute:
      match: {prefix: /}
      action: {weightedTargets: [%[2]s]}
      retryPolicy: {maxRetries: 2, perRetryTimeout: {unit: ms, value: 2000}, httpRetryEvents: [server-error, client-error, gateway-error]}
---
apiVersion: appmesh.k8s.aws/v1beta2
kind: VirtualService
metadata: {name: app, namespace: %[1]s}
spec: {awsName: app.%[1]s, provider: {virtualRouter: {virtualRouterRef: {name: app}}}}
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: %[1]s}
spec: {ports: [{name: http, port: 8080}]}
`, ns, strings.Join(targets, ", "))
}

func meshObject(t *testing.T, plural, ns, name string) *unstructured.Unstructured {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	o, err := client.Resource(meshResource(plural)).Namespace(ns).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// observed reports whether an object's status speaks of its present generation.
func observed(o *unstructured.Unstructured) error {
	seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
	if seen != o.GetGeneration() {
		return fmt.Errorf("%s %s: observedGeneration %d of %d", o.GetKind(), o.GetName(), seen, o.GetGeneration())
	}
	return nil
}

// setMeshWeights patches the router and gives the time until its status says
// that they are in force.
func setMeshWeights(t *testing.T, ns string, weights ...int) time.Duration {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for i, w := range weights {
		targets = append(targets, fmt.Sprintf(`{"virtualNodeRef":{"name":"app-%d"},"weight":%d}`, i+1, w))
	}
	change := fmt.Sprintf(`[{"op":"replace","path":"/spec/routes/0/httpRoute/action/weightedTargets","value":[%s]}]`, strings.Join(targets, ","))
	if _, err := client.Resource(meshResource("virtualrouters")).Namespace(ns).Patch(t.Context(), "app", types.JSONPatchType, []byte(change), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for {
		if err := observed(meshObject(t, "virtualrouters", ns, "app")); err == nil {
			return time.Since(begin)
		} else if time.Since(begin) > 20*time.Second {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// meshSplit sends 2,000 requests and wants the second version's share within one percent.
func meshSplit(t *testing.T, at load.Target, want float64) {
	t.Helper()
	r, err := load.Run(t.Context(), load.Options{Targets: []load.Target{at}, Requests: 2000})
	if err != nil {
		t.Fatal(err)
	}
	if share := r.Share("v2"); r.Failed > 0 || math.Abs(share-want) > 0.01 {
		t.Errorf("v2 got %.4f of %d requests, %d failed; want %.2f and none", share, r.Sent, r.Failed, want)
	}
}

func TestVirtualRouterSplitsByWeight(t *testing.T) {
	m := startMesh(t)
	ns := namespace(t)
	apply(t, meshVersion(ns, 1)+"---\n"+meshVersion(ns, 2)+"---\n"+meshRouter(ns, 90, 10))
	available(t, ns, "app-1")
	available(t, ns, "app-2")
	byHost := load.Target{URL: m.URL, Host: "app." + ns + ".svc.cluster.local"}
	for plural, name := range map[string]string{"virtualnodes": "app-1", "virtualrouters": "app", "virtualservices": "app"} {
		eventually(t, 10*time.Second, func() error { return observed(meshObject(t, plural, ns, name)) })
	}
	answering(t, byHost)
	meshSplit(t, byHost, .10)
	var slowest time.Duration
	for _, canary := range []int{50, 1, 100, 0, 25} {
		slowest = max(slowest, setMeshWeights(t, ns, 100-canary, canary))
		meshSplit(t, byHost, float64(canary)/100)
	}
	t.Logf("the slowest of 5 weight changes was in force, and said so, after %v", slowest)

	// A pod's plain call to the Service goes through the mesh too.
	s, err := cluster.CoreV1().Services(ns).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	meshSplit(t, load.Target{URL: "http://" + net.JoinHostPort(s.Spec.ClusterIP, "8080")}, .25)
}

// answering waits until the mesh has endpoints for the target.
func answering(t *testing.T, at load.Target) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		r, err := load.Run(t.Context(), load.Options{Targets: []load.Target{at}, Requests: 20})
		if err == nil && r.Failed > 0 {
			err = fmt.Errorf("%d of 20 requests failed: %v, last %v", r.Failed, r.Errors, r.LastBad)
		}
		return err
	})
}

func TestVirtualRouterWithAMissingNodeKeepsItsRoutes(t *testing.T) {
	m := startMesh(t)
	ns := namespace(t)
	apply(t, meshVersion(ns, 1)+"---\n"+meshRouter(ns, 100))
	available(t, ns, "app-1")
	at := load.Target{URL: m.URL, Host: "app." + ns}
	answering(t, at)
	apply(t, meshRouter(ns, 50, 50)) // app-2 does not exist
	eventually(t, 10*time.Second, func() error {
		if message := events(t, ns, "app")["ReconcileError"]; !strings.Contains(message, "virtualNodeRef "+ns+"/app-2") {
			return fmt.Errorf("events of app: %q", message)
		}
		return nil
	})
	if err := observed(meshObject(t, "virtualrouters", ns, "app")); err == nil {
		t.Error("status speaks of a generation whose node is missing")
	}
	answering(t, at)
	apply(t, meshVersion(ns, 2))
	eventually(t, 10*time.Second, func() error { return observed(meshObject(t, "virtualrouters", ns, "app")) })
}

func TestVirtualNodeInUseIsNotDeleted(t *testing.T) {
	startMesh(t)
	ns := namespace(t)
	apply(t, meshVersion(ns, 1)+"---\n"+meshVersion(ns, 2)+"---\n"+meshRouter(ns, 50, 50))
	eventually(t, 10*time.Second, func() error { return observed(meshObject(t, "virtualservices", ns, "app")) })
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	nodes := client.Resource(meshResource("virtualnodes")).Namespace(ns)
	if err := nodes.Delete(t.Context(), "app-2", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		if message := events(t, ns, "app-2")["ReconcileError"]; !strings.Contains(message, "ResourceInUseException") {
			return fmt.Errorf("events of app-2: %q", message)
		}
		return nil
	})
	setMeshWeights(t, ns, 100)
	eventually(t, 10*time.Second, func() error {
		if _, err := nodes.Get(t.Context(), "app-2", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("app-2 is still there: %v", err)
		}
		return nil
	})
}

func TestNoRequestFailsThroughTheMesh(t *testing.T) {
	m := startMesh(t)
	ns := namespace(t)
	apply(t, meshVersion(ns, 1)+"---\n"+meshVersion(ns, 2)+"---\n"+withoutRetries(meshRouter(ns, 50, 50)))
	available(t, ns, "app-1")
	available(t, ns, "app-2")
	at := load.Target{URL: m.URL, Host: "app." + ns}
	answering(t, at)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var result load.Result
	sent := make(chan error, 1)
	go func() {
		var err error
		result, err = load.Run(ctx, load.Options{Targets: []load.Target{at}, Rate: 200, Duration: 5 * time.Minute})
		sent <- err
	}()
	const rollouts, changes = 20, 100
	for i := range changes {
		w := rand.IntN(101)
		setMeshWeights(t, ns, w, 100-w)
		if i%(changes/rollouts) == 0 {
			name := []string{"app-1", "app-2"}[i/(changes/rollouts)%2]
			patch(t, ns, name, fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"rollout":"%d"}}}}}`, i))
			available(t, ns, name)
		}
	}
	stop()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if result.Failed > 0 || result.Dropped > 0 || result.Sent < 1000 {
		t.Errorf("%d of %d requests failed, %d dropped, during %d weight changes and %d rolling updates; want none\nfirst %v, last %v, errors %v",
			result.Failed, result.Sent, result.Dropped, changes, rollouts, result.FirstBad, result.LastBad, result.Errors)
	}
	t.Logf("%d requests", result.Sent)
}

// withoutRetries takes the retry policy away, which would hide failures.
func withoutRetries(router string) string {
	var out []string
	for line := range strings.Lines(router) {
		if !strings.Contains(line, "retryPolicy") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func TestMeshCountsAtThePod(t *testing.T) {
	m := startMesh(t)
	ns := namespace(t)
	apply(t, meshVersion(ns, 1)+"---\n"+meshRouter(ns, 100))
	available(t, ns, "app-1")
	answering(t, load.Target{URL: m.URL, Host: "app." + ns})
	resp, err := http.Get(m.AdminURL + "/stats/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`envoy_cluster_upstream_rq{envoy_cluster_name="cds_ingress_bed_app-1-virtual-node_http_8080",envoy_response_code="200",kubernetes_namespace="%[1]s",kubernetes_pod_name="app-1-`, ns)
	if !strings.Contains(string(text), want) {
		t.Errorf("counters lack %s", want)
	}
}
