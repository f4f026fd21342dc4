package flow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

// A first deployment's route does not exist before the version is ready and its gates are open: until then its paths
// may be another route's, whose users it would take.
func TestAFirstDeploymentIsEnteredWhenItIsReady(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		behaves cluster.Script
		input   fields
		entered bool
	}{
		"ready after a minute":        {cluster.Script{ReadyAfter: time.Minute}, nil, true},
		"never ready":                 {cluster.Script{NeverReady: true}, nil, false},
		"ready, and its gate says no": {cluster.Script{}, gate("pre-rollout", nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.Web = &town{scene: s, answer: says(200, no), calls: map[string][]call{}}
			s.cluster.Behave("shop", "checkout-1", tt.behaves)
			entered := false
			s.core.After(func(op string) error {
				if s.router.Served(route, s.clock.Now()) != nil && !entered {
					entered = true
					if st, _ := s.cluster.Status("shop", "checkout-1", s.clock.Now()); st.Ready != st.Desired {
						t.Errorf("after %s the route is there, and %d of %d pods are ready", op, st.Ready, st.Desired)
					}
				}
				return nil
			})
			e := s.run(tt.input)
			if (e.Status == asl.Succeeded) != tt.entered || entered != tt.entered {
				t.Errorf("path %s (%s), entered %v; want %v", e.path, e.cause, entered, tt.entered)
			}
		})
	}
}

// An AwaitReady that was stuck until its rollout has ended leads nobody to what was removed.
func TestALateEntranceStaysShut(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.play(map[string]float64{"checkout-1": 0.5})
	arn := s.begin(nil)
	if e := s.end(arn); e.Status == asl.Succeeded {
		t.Fatalf("path %s; want it taken away", e.path)
	}
	s.router.Drop(route)
	// Its deployment came late, too, and is ready by now.
	owner := workload.Ownership{Service: service, Version: 1, Execution: arn, Replicas: 2}
	if err := s.cluster.Apply(t.Context(), workloadtest.Objects(service, 1), owner); err != nil {
		t.Fatal(err)
	}
	if err := s.clock.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	_, err := step.AwaitReady{Open: s.Open, Clock: s.clock}.Run(t.Context(), s.event(arn, "AwaitReady"))
	if !errors.Is(err, fault.Fenced) || s.router.Served(route, s.clock.Now()) != nil {
		t.Errorf("a late AwaitReady: %v, users %v; want it fenced off, and no route", err, s.router.Served(route, s.clock.Now()))
	}
}
