package kube_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/workload"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

var checkout = workload.Service{Namespace: "shop", Name: "checkout"}

// version2 is a version with its route, beside version 1.
func version2() []workload.Object {
	return append(workloadtest.Objects(checkout, 2), workloadtest.Route(checkout, 2))
}

// A shopServer answers reads of the route with one that is there, other reads with what is there or
// nothing, and writes with a code and a message, or with the object. It keeps what was asked.
type shopServer struct {
	*httptest.Server
	code    int
	message string
	there   string
	asked   []string
}

func serveShop(t *testing.T) *shopServer {
	s := &shopServer{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP is for net/http.
func (s *shopServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, strings.TrimSpace(r.Method+" "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]+" "+r.URL.RawQuery))
	w.Header().Set("Content-Type", "application/json")
	code, message := s.code, s.message
	switch {
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "httproutes"):
		_ = json.NewEncoder(w).Encode(workloadtest.Route(checkout, 1))
		return
	case code == 0 && s.there != "":
		fmt.Fprint(w, s.there)
		return
	case r.Method == http.MethodGet:
		code, message = http.StatusNotFound, "not there"
	case code == 0:
		fmt.Fprint(w, `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"x","namespace":"shop","uid":"made-up"}}`)
		return
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Message: message})
}

// Each write of a dry run says that it is one; the route that was read a moment ago is not read again,
// and is left alone.
func TestADryRunIsNotKept(t *testing.T) {
	s := serveShop(t)
	client := plain(t, s.URL)
	if _, err := client.Get(t.Context(), kube.HTTPRoutes, "shop", "checkout"); err != nil {
		t.Fatal(err)
	}
	s.asked = nil
	owner := workload.Ownership{Service: checkout, Version: 2, Execution: execution}
	if err := kube.NewCluster(client).DryRun(t.Context(), version2(), owner); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"PATCH checkout-2 dryRun=All&fieldManager=stepcanary&force=true", "PATCH checkout-2 dryRun=All&fieldManager=stepcanary&force=true",
	}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	route := workloadtest.Route(workload.Service{Namespace: "shop", Name: "other"}, 2)
	route["kind"], route["apiVersion"] = "VirtualService", "appmesh.k8s.aws/v1beta2"
	s.asked = nil
	if err := kube.NewCluster(client).DryRun(t.Context(), []workload.Object{route}, owner); err != nil {
		t.Fatal(err)
	}
	want = []string{"GET other", "POST virtualservices dryRun=All&fieldManager=stepcanary&fieldValidation=Strict"}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Errorf("requests for what is created once (-want +got):\n%s", diff)
	}
}

// A version's own object that is there all the same is looked at then: it may be somebody else's.
func TestADryRunLooksAtWhatItTookForNew(t *testing.T) {
	for labels, want := range map[string]string{
		`{}`: "Service checkout-2 exists and it carries no label of ours",
		`{"app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/service": "checkout", "stepcanary.dev/version": "2"}`: "",
	} {
		s := serveShop(t)
		s.there = `{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "checkout-2", "namespace": "shop", "resourceVersion": "7", "labels": ` + labels + `}}`
		err := kube.NewCluster(plain(t, s.URL)).DryRun(t.Context(), version2()[1:2], workload.Ownership{Service: checkout, Version: 2})
		if want == "" && err != nil || want != "" && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want)) {
			t.Errorf("labels %s: DryRun() = %v; want %q", labels, err, want)
		}
		if len(s.asked) < 2 || !strings.HasPrefix(s.asked[0], "PATCH") || !strings.HasPrefix(s.asked[1], "GET") {
			t.Errorf("labels %s: requests %q; want a look after the answer", labels, s.asked)
		}
	}
}

// What the server says to a dry run ends the rollout only where no second try would help.
func TestAnAnswerToADryRunHasItsKind(t *testing.T) {
	for code, want := range map[int]fault.Kind{
		400: fault.Invalid, 403: fault.Invalid, 404: fault.Invalid, 422: fault.Invalid,
		409: fault.Conflict, 429: fault.Transient, 500: fault.Transient, 503: fault.Transient, 504: fault.Transient,
	} {
		s := serveShop(t)
		s.code, s.message = code, "the server's own words"
		err := kube.NewCluster(plain(t, s.URL)).DryRun(t.Context(), version2(), workload.Ownership{Service: checkout, Version: 2})
		if fault.Of(err) != want || !strings.Contains(err.Error(), s.message) {
			t.Errorf("answer %d: DryRun() = %v; want %v with the server's words", code, err, want)
		}
		if all := strings.Count(fmt.Sprint(err), s.message) == 2; all != (want == fault.Invalid) {
			t.Errorf("answer %d: DryRun() = %v; want what is wrong with both objects, if it is wrong", code, err)
		}
	}
}

// The server finds what no table of ours can know, and keeps nothing.
func TestADryRunFindsWhatTheServerRefuses(t *testing.T) {
	quotas := schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	s := openShop(t)
	s.Create(t, quotas, kubetest.Object("v1", "ResourceQuota", "small", map[string]any{"spec": map[string]any{"hard": map[string]any{"count/configmaps": "0"}}}))
	s.Merge(t, quotas, "small", map[string]any{"status": map[string]any{"hard": map[string]any{"count/configmaps": "0"}, "used": map[string]any{"count/configmaps": "0"}}}, "status")
	spec := func(m map[string]any) map[string]any { return map[string]any{"spec": m} }
	deployment := workloadtest.Objects(s.service, 1)[0]
	misspelt := func(field string, value any) workload.Object {
		o := maps.Clone(deployment)
		o["spec"] = maps.Clone(o["spec"].(map[string]any))
		o["spec"].(map[string]any)[field] = value
		return o
	}
	route := workloadtest.Route(s.service, 1)
	route["spec"].(map[string]any)["rule"] = []any{}
	for name, tt := range map[string]struct {
		object workload.Object
		words  string
	}{
		"a field that the kind does not have":    {misspelt("replcas", int64(2)), ".spec.replcas: field not declared in schema"},
		"a value of another type":                {misspelt("replicas", "two"), "replicas"},
		"a value out of bounds":                  {misspelt("minReadySeconds", int64(-1)), "spec.minReadySeconds: Invalid value: -1"},
		"a field that a route does not have":     {route, `unknown field "spec.rule"`},
		"a value of another type, of a node's":   {s.object("appmesh.k8s.aws/v1beta2", "VirtualNode", "checkout-1", spec(map[string]any{"listeners": "http"})), "spec.listeners"},
		"an object that is one more than may be": {s.object("v1", "ConfigMap", "checkout-1", nil), "exceeded quota: small"},
	} {
		t.Run(name, func(t *testing.T) {
			for deadline := time.Now().Add(workloadtest.Patience); ; time.Sleep(50 * time.Millisecond) { // a quota takes its time to be known
				err := s.cluster.DryRun(t.Context(), []workload.Object{tt.object}, s.owner(1))
				if fault.Of(err) == fault.Invalid && strings.Contains(err.Error(), tt.words) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("DryRun() = %v; want %v with %q", err, fault.Invalid, tt.words)
				}
			}
			if err := s.cluster.Apply(t.Context(), []workload.Object{tt.object}, s.owner(1)); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.words) {
				t.Errorf("Apply() = %v; want the same", err)
			}
		})
	}
	for _, r := range []schema.GroupVersionResource{kube.Deployments, kube.HTTPRoutes, kube.VirtualNodes} {
		if list, err := s.In(s.Namespace, r).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%v: %v, %v; want none", r.Resource, list, err)
		}
	}
}

// A dry run that is not refused leaves no trace: no object, no event, no address that is taken.
func TestADryRunLeavesNoTrace(t *testing.T) {
	s := openShop(t)
	objects := append(workloadtest.Objects(s.service, 1), workloadtest.Route(s.service, 1))
	for range 3 {
		if err := s.cluster.DryRun(t.Context(), objects, s.owner(1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []schema.GroupVersionResource{kube.Deployments, kube.Services, kube.HTTPRoutes, kube.Pods, kube.Events, kube.EndpointSlices} {
		if list, err := s.In(s.Namespace, r).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 0 {
			t.Errorf("%v: %v, %v; want none", r.Resource, list, err)
		}
	}
	// With version 1 and its route there, one request asks for each object of the next that is new.
	s.apply(t, 1, workloadtest.Route(s.service, 1))
	if _, err := s.Get(t.Context(), kube.HTTPRoutes, s.Namespace, "checkout"); err != nil {
		t.Fatal(err)
	}
	s.Requests.Reset()
	next := append(workloadtest.Objects(s.service, 2), workloadtest.Route(s.service, 2))
	if err := s.cluster.DryRun(t.Context(), next, s.owner(2)); err != nil {
		t.Fatal(err)
	}
	lines, _ := s.Requests.Lines()
	if len(lines) != 2 || slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "httproutes") }) {
		t.Errorf("DryRun() sent %v; want a PATCH of each of Service and Deployment", lines)
	}
}
