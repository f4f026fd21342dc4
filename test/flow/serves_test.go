package flow_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "it leads to Pod checkout-db-0") {
		t.Errorf("path %s (%s); want it refused with what serves", e.path, e.cause)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		t.Errorf("the refused rollout changed something (-before +after):\n%s", diff)
	}
}
