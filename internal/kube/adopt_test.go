package kube_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Whom a Service leads to is told with the labels that it goes by: a new version's pods must not have them too.
func TestAnAdoptedVersionHasItsServicesSelector(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(r.URL.Path, "services") {
			fmt.Fprint(w, `{"kind": "Service", "apiVersion": "v1", "metadata": {"name": "web"}, "spec": {"selector": {"tier": "web", "app": "checkout"}}}`)
			return
		}
		fmt.Fprint(w, `{"kind": "DeploymentList", "apiVersion": "apps/v1", "metadata": {}, "items": [{"kind": "Deployment", "apiVersion": "apps/v1",
			"metadata": {"name": "legacy"}, "spec": {"template": {"metadata": {"labels": {"app": "checkout", "tier": "web", "more": "x"}}}}}]}`)
	}))
	defer server.Close()
	v, err := kube.NewCluster(plain(t, server.URL)).Adopt(t.Context(), checkout, "web")
	if err != nil || v.Name != "web" || v.Deployment != "legacy" || v.Selector != "app=checkout,tier=web" {
		t.Errorf("Adopt(web) = %+v, %v", v, err)
	}
}

// The Deployment goes last: while it is there, the next rollout sees that a removal was cut short.
func TestTheDeploymentIsRemovedLast(t *testing.T) {
	s := serveShop(t)
	v := workload.Version{Name: "checkout-1", Number: 1, Deployment: "checkout-1", Ours: true}
	if err := kube.NewCluster(plain(t, s.URL)).Remove(t.Context(), checkout, v); err != nil {
		t.Fatal(err)
	}
	if last := s.asked[len(s.asked)-1]; len(s.asked) < 3 || !strings.HasPrefix(last, "DELETE deployments") {
		t.Errorf("requests %v; want the Deployment's removal at the end", s.asked)
	}
}
