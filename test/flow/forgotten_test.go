package flow_test

import (
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A version that was adopted, and stayed since the rollout over it went back, is not forgotten with its route either: what
// follows would be taken for a first deployment, which nothing judges.
func TestAnAdoptedVersionIsNotForgottenWithItsRoute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do    func(*scene)
		input fields
		says  string
	}{
		"deploy.json names another route": {func(*scene) {}, over("chekout"),
			"deploy.json names route chekout (gateway-api) now, and checkout (gateway-api) still sends requests to legacy"},
		"the route is away": {func(s *scene) { s.router.Drop(route) }, nil, "it is not there, and legacy is recorded as what serves"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.cluster.Place("shop", workload.Version{Name: "legacy", Deployment: "legacy", Replicas: 2})
			s.router.Define(route, weights{"legacy": 100})
			s.play(map[string]float64{"legacy": 0, "checkout-1": 1, "checkout-2": 0, "checkout-3": 0})
			if e := s.run(nil); e.Error == nil || *e.Error != "Canary.RolledBack" {
				t.Fatalf("path %s (%s)", e.path, e.cause)
			}
			tt.do(s)
			if e := s.run(tt.input); e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.says) {
				t.Errorf("path %s (%s); want it refused: %s", e.path, e.cause, tt.says)
			}
			s.router.Define(route, weights{"legacy": 100})
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Errorf("when the route is back: %s (%s)", e.path, e.cause)
			}
		})
	}
}
