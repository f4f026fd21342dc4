package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/workload"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

// What serves is no Deployment: a StatefulSet, an Argo Rollout, endpoints by hand. It was taken for nothing, so that all its
// users went at once to a version that nothing judged.
func TestWhatServesWithoutADeploymentIsNotReplacedUnjudged(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.cluster.Answer("shop", "checkout", "Pod checkout-db-0")
	s.router.Define(route, weights{"checkout": 100})
	s.play(map[string]float64{"checkout": 0, "checkout-1": 1})
	before := s.seen()
	if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "the Service leads to Pod checkout-db-0") {
		t.Errorf("path %s (%s); want it refused with what serves", e.path, e.cause)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		t.Errorf("the refused rollout changed something (-before +after):\n%s", diff)
	}
}

// By a slip deploy.json names the route of another service of ours, whose version was taken for one that may be replaced.
func TestTheRouteOfAnotherServiceIsNotTaken(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	cart := workload.Service{Namespace: "shop", Name: "cart"}
	if err := s.cluster.Apply(t.Context(), workloadtest.Objects(cart, 3), workload.Ownership{Service: cart, Version: 3}); err != nil {
		t.Fatal(err)
	}
	s.router.Define(route, weights{"cart-3": 100})
	s.play(map[string]float64{"cart-3": 0, "checkout-1": 0})
	before := s.seen()
	if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "Deployment cart-3: it belongs to version") {
		t.Errorf("path %s (%s); want it refused with whose version serves", e.path, e.cause)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		t.Errorf("the refused rollout changed something (-before +after):\n%s", diff)
	}
}
