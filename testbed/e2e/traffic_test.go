package e2e

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/stepcanary/stepcanary/testbed/load"
)

var (
	routes    = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	ingresses = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
)

// twoVersions makes Deployments stable (v1) and canary (v2) and waits for them.
func twoVersions(t *testing.T, ns string) {
	t.Helper()
	apply(t, deployment(ns, "stable", "podlet:v1", 2))
	apply(t, deployment(ns, "canary", "podlet:v2", 1))
	available(t, ns, "stable")
	available(t, ns, "canary")
}

// target is the gateway with a Host header.
func target(host string) load.Target { return load.Target{URL: shared.GatewayURL() + "/", Host: host} }

// served waits until the host is answered with 200 a few times in a row.
func served(t *testing.T, host string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		for range 5 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.GatewayURL(), nil)
			if err != nil {
				return err
			}
			r.Host = host
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				return err
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return fmt.Errorf("host %s: %s", host, answer.Status)
			}
		}
		return nil
	})
}

// splitWhen waits until requests are split within one percent over 2,000.
func splitWhen(t *testing.T, host string, canary float64) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		r, err := load.Run(t.Context(), load.Options{Targets: []load.Target{target(host)}, Requests: 2000})
		if err != nil {
			return err
		}
		if share := r.Share("v2"); r.Failed > 0 || math.Abs(share-canary) > 0.01 {
			return fmt.Errorf("canary got %.4f of %d requests, %d failed; want %.2f", share, r.Sent, r.Failed, canary)
		}
		return nil
	})
}

// setWeights patches the test's HTTPRoute.
func setWeights(ctx context.Context, ns string, stable, canary int) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	change := fmt.Sprintf(`[{"op":"replace","path":"/spec/rules/0/backendRefs/0/weight","value":%d},
		{"op":"replace","path":"/spec/rules/0/backendRefs/1/weight","value":%d}]`, stable, canary)
	_, err = client.Resource(routes).Namespace(ns).Patch(ctx, "app", types.JSONPatchType, []byte(change), metav1.PatchOptions{})
	return err
}

func TestHTTPRouteSplitsByWeight(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	apply(t, route(ns, 100, 0))
	host := ns + ".example"
	served(t, host)
	for _, canary := range []int{0, 1, 10, 50, 100} {
		if err := setWeights(t.Context(), ns, 100-canary, canary); err != nil {
			t.Fatal(err)
		}
		splitWhen(t, host, float64(canary)/100)
	}
}

// ingress is an ingress-nginx Ingress for the host; annotations make it a
// canary or not.
func ingress(ns, name, host, service, annotations string) string {
	return fmt.Sprintf(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %[2]s, namespace: %[1]s, annotations: {%[5]s}}
spec:
  ingressClassName: nginx
  rules: [{host: %[3]s, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %[4]s, port: {number: 8080}}}}]}}]
`, ns, name, host, service, annotations)
}

func TestIngressCanarySplitsByWeight(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	host := ns + ".example"
	apply(t, ingress(ns, "app", host, "stable", ""))
	apply(t, ingress(ns, "app-canary", host, "canary", `nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "0"`))
	served(t, host)
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range []int{0, 10, 25, 100} {
		change := fmt.Sprintf(`{"metadata":{"annotations":{"nginx.ingress.kubernetes.io/canary-weight":"%d"}}}`, canary)
		if _, err := client.Resource(ingresses).Namespace(ns).Patch(t.Context(), "app-canary", types.MergePatchType, []byte(change), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		splitWhen(t, host, float64(canary)/100)
	}
}

func TestIngressCanaryByHeaderAndCookie(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	host := ns + ".example"
	apply(t, ingress(ns, "app", host, "stable", ""))
	apply(t, ingress(ns, "app-canary", host, "canary", `nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-by-header: X-Try, nginx.ingress.kubernetes.io/canary-by-header-value: new, nginx.ingress.kubernetes.io/canary-by-cookie: try`))
	served(t, host)
	for name, tt := range map[string]struct {
		header http.Header
		want   string
	}{
		"nothing":    {nil, "v1"},
		"the header": {http.Header{"X-Try": {"new"}}, "v2"},
		"the cookie": {http.Header{"Cookie": {"try=always"}}, "v2"},
	} {
		onlyVersion(t, name, load.Target{URL: shared.GatewayURL() + "/", Host: host, Header: tt.header}, tt.want)
	}
}

func TestHTTPRouteMatchesHeadersAndFilters(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	host := ns + ".example"
	apply(t, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: %[1]s}
spec:
  parentRefs: [{name: web, namespace: testbed}]
  hostnames: [%[2]s]
  rules:
  - matches: [{headers: [{name: X-Try, value: new}]}]
    backendRefs: [{name: canary, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /old/}}]
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /version}}}]
    backendRefs: [{name: stable, port: 8080}]
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Seen, value: "yes"}]}}]
    backendRefs: [{name: stable, port: 8080}]
`, ns, host))
	served(t, host)
	onlyVersion(t, "no header", target(host), "v1")
	onlyVersion(t, "the header", load.Target{URL: shared.GatewayURL() + "/", Host: host, Header: http.Header{"X-Try": {"new"}}}, "v2")
	onlyVersion(t, "the rewritten path", load.Target{URL: shared.GatewayURL() + "/old/", Host: host}, "v1")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.GatewayURL()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := answer.Header.Get("X-Seen"); got != "yes" {
		t.Errorf("header X-Seen %q, want the one that the filter sets", got)
	}
}

func TestHTTPRouteMirrors(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	host := ns + ".example"
	apply(t, fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: %[1]s}
spec:
  parentRefs: [{name: web, namespace: testbed}]
  hostnames: [%[2]s]
  rules:
  - matches: [{path: {type: PathPrefix, value: /half}}]
    filters: [{type: RequestMirror, requestMirror: {percent: 50, backendRef: {name: canary, port: 8080}}}]
    backendRefs: [{name: stable, port: 8080}]
  - filters:
    - {type: RequestMirror, requestMirror: {backendRef: {name: canary, port: 8080}}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Seen, value: "yes"}]}}
    backendRefs: [{name: stable, port: 8080}]
`, ns, host))
	served(t, host)
	count := func(app string) (float64, error) {
		return query(t.Context(), fmt.Sprintf(`sum(http_requests_total{namespace=%q,app=%q})`, ns, app))
	}
	visit := func(path string) {
		r, err := load.Run(t.Context(), load.Options{Targets: []load.Target{{URL: shared.GatewayURL() + path, Host: host}}, Requests: 200})
		if err != nil || r.Share("v2") != 0 {
			t.Errorf("%s: %.0f %% of the answers are the mirror's, want none (%v)", path, 100*r.Share("v2"), err)
		}
	}
	var all float64
	visit("/")
	eventually(t, 20*time.Second, func() error {
		mirrored, err := count("canary")
		if err != nil {
			return err
		}
		if all, err = count("stable"); err == nil && (all < 200 || mirrored != all) {
			err = fmt.Errorf("the mirror saw %v of %v requests, want all, and 200 at least", mirrored, all)
		}
		return err
	})
	visit("/half")
	eventually(t, 20*time.Second, func() error {
		mirrored, err := count("canary")
		if mirrored -= all; err == nil && (mirrored < 95 || mirrored > 105) {
			err = fmt.Errorf("the mirror saw %v of 200 requests, want half of them", mirrored)
		}
		return err
	})
}

// onlyVersion waits until twenty requests in a row are answered by one version.
func onlyVersion(t *testing.T, what string, at load.Target, want string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		r, err := load.Run(t.Context(), load.Options{Targets: []load.Target{at}, Requests: 20})
		if err == nil && (r.Failed > 0 || r.Share(want) != 1) {
			err = fmt.Errorf("with %s: %d failed, %.0f %% answered by %s; want all", what, r.Failed, 100*r.Share(want), want)
		}
		return err
	})
}

// TestNoRequestFails is the promise that the tests of the engine stand on: a
// request that fails there failed because of the engine.
func TestNoRequestFails(t *testing.T) {
	ns := namespace(t)
	twoVersions(t, ns)
	apply(t, route(ns, 100, 0))
	host := ns + ".example"
	served(t, host)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var result load.Result
	sent := make(chan error, 1)
	go func() {
		var err error
		result, err = load.Run(ctx, load.Options{Targets: []load.Target{target(host)}, Rate: 200, Duration: 5 * time.Minute})
		sent <- err
	}()
	const rollouts, changes = 20, 100
	for i := range changes {
		canary := rand.IntN(101)
		if err := setWeights(t.Context(), ns, 100-canary, canary); err != nil {
			t.Fatal(err)
		}
		if i%(changes/rollouts) == 0 {
			name := []string{"stable", "canary"}[i/(changes/rollouts)%2]
			patch(t, ns, name, fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"rollout":"%d"}}}}}`, i))
			available(t, ns, name)
		}
		time.Sleep(50 * time.Millisecond)
	}
	cancel()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if result.Failed > 0 || result.Dropped > 0 || result.Sent < 1000 {
		t.Errorf("%d of %d requests failed, %d dropped, during %d weight changes and %d rolling updates; want none\nfirst %v, last %v, errors %v",
			result.Failed, result.Sent, result.Dropped, changes, rollouts, result.FirstBad, result.LastBad, result.Errors)
	}
	t.Logf("%d requests", result.Sent)
}

func TestDeletedPodsFinishTheirRequests(t *testing.T) {
	ns := namespace(t)
	apply(t, deployment(ns, "stable", "podlet:v1_latency-300ms", 2))
	apply(t, deployment(ns, "canary", "podlet:v2", 1))
	available(t, ns, "stable")
	available(t, ns, "canary")
	apply(t, route(ns, 100, 0))
	host := ns + ".example"
	served(t, host)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := make(chan load.Result, 1)
	go func() {
		r, err := load.Run(ctx, load.Options{Targets: []load.Target{target(host)}, Rate: 50, Duration: time.Minute})
		if err != nil {
			t.Error(err)
		}
		sent <- r
	}()
	for range 4 {
		pods, err := cluster.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=stable"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods.Items {
			if p.DeletionTimestamp == nil && isReady(&p) {
				if err := cluster.CoreV1().Pods(ns).Delete(t.Context(), p.Name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		// The Deployment's status may still be the one from before.
		eventually(t, 30*time.Second, func() error {
			pods, err := cluster.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=stable"})
			if err != nil {
				return err
			}
			staying := 0
			for _, p := range pods.Items {
				if p.DeletionTimestamp == nil && isReady(&p) {
					staying++
				}
			}
			if staying != 2 {
				return fmt.Errorf("%d pods are ready and stay, want 2", staying)
			}
			return nil
		})
		// And the gateway must know the new one.
		time.Sleep(time.Second)
	}
	cancel()
	if r := <-sent; r.Failed > 0 || r.Sent < 50 {
		t.Errorf("%d of %d requests failed; want none\nfirst %v, errors %v", r.Failed, r.Sent, r.FirstBad, r.Errors)
	}
}
