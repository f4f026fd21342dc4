package flow_test

import (
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
)

const (
	toReady = "Prepare DeployCanary AwaitReady"
	aStep   = " ShiftWeight HealthCheck"
)

func TestFirstDeployment(t *testing.T) {
	s := newScene(t)
	s.play(map[string]float64{"checkout-1": 0})
	e := s.run(nil)
	if want := toReady + aStep + " Promote Promoted"; e.path != want {
		t.Errorf("path %s; want %s (%s)", e.path, want, e.cause)
	}
	s.settled("checkout-1")
}

func TestAGoodCanaryIsPromoted(t *testing.T) {
	s := newScene(t)
	s.first()
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
	e := s.run(nil)
	if want := toReady + strings.Repeat(aStep, 4) + " Promote Promoted"; e.path != want || e.Status != asl.Succeeded {
		t.Errorf("path %s; want %s (%s)", e.path, want, e.cause)
	}
	s.settled("checkout-2")
}

func TestErrorsFromTheStartRollBack(t *testing.T) {
	s := newScene(t)
	s.first()
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0.2})
	e := s.run(nil)
	if want := toReady + aStep + " Rollback RolledBack"; e.path != want {
		t.Errorf("path %s; want %s (%s)", e.path, want, e.cause)
	}
	s.settled("checkout-1")
}
