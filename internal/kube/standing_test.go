package kube_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
)

// A standing is what a cluster has, by resource, while nothing happens in it.
type standing map[string][]string

// serve answers reads of one object, lists and watches, as an API server that cannot send the present state in a watch.
func (s standing) serve(t *testing.T) *kube.Cluster {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		query := r.URL.Query()
		switch {
		case query.Has("sendInitialEvents"):
			refuse422(w)
		case query.Has("watch"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			s.answer(t, w, r)
		}
	}))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return kube.NewCluster(plain(t, server.URL))
}

func (s standing) answer(t *testing.T, w http.ResponseWriter, r *http.Request) {
	_, path, _ := strings.Cut(r.URL.Path, "/namespaces/shop/")
	resource, name, _ := strings.Cut(path, "/")
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		t.Error(err)
	}
	items := []json.RawMessage{}
	for _, text := range s[resource] {
		var o struct{ Metadata metav1.ObjectMeta }
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Errorf("%v in %s", err, text)
		}
		if name == o.Metadata.Name {
			fmt.Fprint(w, text)
			return
		}
		if only := r.URL.Query().Get("fieldSelector"); selector.Matches(labels.Set(o.Metadata.Labels)) && (only == "" || only == "metadata.name="+o.Metadata.Name) {
			items = append(items, json.RawMessage(text))
		}
	}
	if name != "" {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"not found"}`)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": items})
}

func refuse422(w http.ResponseWriter) {
	w.WriteHeader(http.StatusUnprocessableEntity)
	fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"sendInitialEvents is forbidden"}`)
}

// serviceOf is a Service checkout with that spec.
func serviceOf(spec string) string {
	return `{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "checkout", "namespace": "shop", "uid": "s"}, "spec": ` + spec + `}`
}

// sliceOf is an EndpointSlice of a Service with that endpoint.
func sliceOf(service, endpoint string) string {
	return fmt.Sprintf(`{"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"name": "%s-x", "namespace": "shop", "uid": "e",
		"labels": {"kubernetes.io/service-name": %[1]q}}, "endpoints": [%s]}`, service, endpoint)
}

// A Service that a StatefulSet, an Argo Rollout, a ReplicaSet without an owner or a person's hand stands behind was taken for
// one that leads nowhere: the rollout was planned as a first deployment, and all users went to a version that nothing judged.
func TestWhatServesWithoutADeploymentLeadsSomewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		spec, endpoint string
		want           fault.Kind
		says           string
	}{
		"a StatefulSet's pod": {`{"selector": {"app": "db"}}`,
			`{"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": "db-0"}}`, fault.Refused, "app=db, and the Service leads to Pod db-0"},
		"one that is not ready now": {`{"selector": {"app": "db"}}`,
			`{"addresses": ["10.0.0.1"], "conditions": {"ready": false}, "targetRef": {"kind": "Pod", "name": "db-0"}}`, fault.Refused, "the Service leads to Pod db-0"},
		"one on its way out": {`{"selector": {"app": "db"}}`,
			`{"addresses": ["10.0.0.1"], "conditions": {"ready": false, "terminating": true}, "targetRef": {"kind": "Pod", "name": "db-0"}}`, fault.NotFound, "nothing answers"},
		"endpoints that a person wrote": {`{}`, `{"addresses": ["10.0.0.1"]}`, fault.Refused, "no selector, and the Service leads to 10.0.0.1"},
		"another name":                  {`{"type": "ExternalName", "externalName": "old.example.com"}`, "", fault.Refused, "the Service leads to ExternalName old.example.com"},
		"nothing by its selector":       {`{"selector": {"app": "db"}}`, "", fault.NotFound, "no Deployment has pods with the Service's labels app=db, and nothing answers"},
		"nothing at all":                {`{}`, "", fault.NotFound, "no selector, and nothing answers"},
	} {
		t.Run(name, func(t *testing.T) {
			s := standing{"services": {serviceOf(tt.spec)}, "endpointslices": {sliceOf("checkout", tt.endpoint), sliceOf("cart", `{"addresses": ["10.0.0.9"]}`)}}
			v, err := s.serve(t).Adopt(t.Context(), checkout, "checkout")
			if fault.Of(err) != tt.want || !strings.Contains(fmt.Sprint(err), tt.says) {
				t.Errorf("Adopt(checkout) = %+v, %v; want %v with %q", v, err, tt.want, tt.says)
			}
		})
	}
}

// cart3 is version 3 of the service cart, whose template bears our labels.
const cart3 = `{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "cart-3", "namespace": "shop", "uid": "d", "resourceVersion": "1", "labels": %s},
	"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": {"metadata": {"labels":
		{"app": "cart", "app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/service": "cart", "stepcanary.dev/version": "3"}}}}}`

// By a slip checkout's deploy.json named cart's route. cart-3, which another rollout of ours had made, was adopted as if it were
// nobody's, and in the end all of cart's users were on checkout.
func TestAnotherServicesVersionIsAdoptedWhenItsLabelIsTakenOff(t *testing.T) {
	for name, tt := range map[string]struct {
		labels, says string
	}{
		"with its labels": {`{"app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/service": "cart", "stepcanary.dev/version": "3"}`,
			`Deployment cart-3, and it belongs to version "3" of service "cart"; name the route of checkout`},
		"without that of the service": {`{"app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/version": "3"}`, ""},
		"without any":                 {`{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := standing{"services": {serviceOf(`{"selector": {"app": "cart"}}`)}, "deployments": {fmt.Sprintf(cart3, tt.labels)}}
			v, err := s.serve(t).Adopt(t.Context(), checkout, "checkout")
			switch {
			case tt.says == "" && (err != nil || v.Ours || v.Deployment != "cart-3"):
				t.Errorf("Adopt(checkout) = %+v, %v; want cart-3 as somebody else's", v, err)
			case tt.says != "" && (fault.Of(err) != fault.Refused || !strings.Contains(fmt.Sprint(err), tt.says)):
				t.Errorf("Adopt(checkout) = %+v, %v; want %v with %q", v, err, fault.Refused, tt.says)
			}
		})
	}
}

// A Deployment that asks for no pods, because an Argo Rollout took it over, is not what serves: gone back to, it would stand
// without a pod. Where nothing else answers, it is the service, scaled to nothing.
func TestADeploymentWithoutPodsIsNotWhatServes(t *testing.T) {
	const idle = `{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "legacy", "namespace": "shop", "uid": "d"},
		"spec": {"replicas": 0, "template": {"metadata": {"labels": {"app": "checkout"}}}}}`
	for name, tt := range map[string]struct {
		endpoint string
		refused  bool
	}{
		"beside an Argo Rollout's pod": {`{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": "rollout-x"}}`, true},
		"beside its own last pod":      {`{"addresses": ["10.0.0.1"], "conditions": {"terminating": true}, "targetRef": {"kind": "Pod", "name": "legacy-x"}}`, false},
		"alone":                        {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := standing{"deployments": {idle}, "services": {serviceOf(`{"selector": {"app": "checkout"}}`)}, "endpointslices": {sliceOf("checkout", tt.endpoint)}}
			v, err := s.serve(t).Adopt(t.Context(), checkout, "checkout")
			switch {
			case !tt.refused && (err != nil || v.Deployment != "legacy"):
				t.Errorf("Adopt(checkout) = %+v, %v; want legacy", v, err)
			case tt.refused && (fault.Of(err) != fault.Refused || !strings.Contains(fmt.Sprint(err), "Deployment legacy asks for no pods, and the Service leads to Pod rollout-x")):
				t.Errorf("Adopt(checkout) = %+v, %v; want %v with what serves", v, err, fault.Refused)
			}
		})
	}
}

// podWith is a pod with those labels, ready or not.
func podWith(name, ready, labels string) string {
	return fmt.Sprintf(`{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": %q, "namespace": "shop", "uid": %[1]q, "resourceVersion": "1", "labels": %s},
		"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": %q}]}}`, name, labels, ready)
}

// The Service that was adopted selects by a label more than its Deployment does, so that the new version's pods stay out of it.
// The Deployment's selector matches them all the same: a ready canary made the adopted version, whose only pod was dead, look
// alive, and the way back gave everybody to it.
func TestAnAdoptedVersionsPodsAreItsOwn(t *testing.T) {
	const canary = `{"app": "cart", "app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/service": "checkout", "stepcanary.dev/version": "3"}`
	const legacy = `{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "legacy", "namespace": "shop", "uid": "d", "resourceVersion": "1"},
		"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "cart"}}, "template": {"metadata": {"labels": {"app": "cart", "tier": "web"}}}}}`
	for name, tt := range map[string]struct {
		deployment, labels string // of its own pod
	}{
		"one of nobody's":                        {legacy, `{"app": "cart", "tier": "web"}`},
		"one that was another service's of ours": {fmt.Sprintf(cart3, `{}`), strings.Replace(canary, "checkout", "cart", 1)},
	} {
		for ready, want := range map[string]int{"True": 1, "False": 0} {
			t.Run(name+", ready "+ready, func(t *testing.T) {
				c := standing{
					"deployments": {tt.deployment}, "services": {serviceOf(`{"selector": {"app": "cart"}}`)},
					"pods": {podWith("its-own", ready, tt.labels), podWith("checkout-3-x", "True", canary)},
				}.serve(t)
				v, err := c.Adopt(t.Context(), checkout, "checkout")
				if err != nil {
					t.Fatal(err)
				}
				f, err := c.Follow(t.Context(), checkout, v)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if st, err := f.Next(t.Context(), 0); err != nil || st.Ready != want {
					t.Errorf("Next() = %+v, %v; want %d ready, without the canary's pod", st, err, want)
				}
			})
		}
	}
}
