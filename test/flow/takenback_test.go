package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	meter "github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// takeBack gives all users to the old version, past the engine.
func (s *scene) takeBack() { s.router.Define(route, weights{"checkout-1": 100, "checkout-2": 0}) }

// ancestors has the scene judged by the ancestor's metrics, which count all versions together.
func (s *scene) ancestors() {
	s.Helper()
	set, err := queries.OpenCloudWatch("")
	if err != nil {
		s.Fatal(err)
	}
	s.Source = meter.New(meter.Options{Client: filters{s, []string{"checkout-1", "checkout-2"}}, Queries: set, Clock: s.clock})
}

// A weight that somebody takes back makes the numbers of its step say nothing: they are the old version's. The rollout goes
// back, and the old version stays, however late that happens before the promotion is written down.
func TestAWeightThatIsTakenBackProvesNothing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors float64 // of the canary
		fields fields
		begin  func(*scene) // when the rollout has begun
	}{
		"after each write, by a tool that holds the route to what is in git": {
			0.5, fields{"metrics": nil, "failure_threshold_value": 300, "failure_threshold_time": 300}, func(s *scene) {
				s.ancestors()
				s.core.After(func(op string) error {
					if op == "traffic.Shift" && s.router.Served(route, s.clock.Now())["checkout-2"] > 0 {
						s.clock.AfterFunc(2*time.Second, s.takeBack)
					}
					return nil
				})
			},
		},
		"in the bake, by a person, where all versions are counted together": {
			0, fields{"metrics": nil, "failure_threshold_value": 0, "failure_threshold_time": 300}, func(s *scene) {
				s.ancestors()
				s.clock.AfterFunc(4*time.Minute+30*time.Second, s.takeBack)
			},
		},
		"in the bake, by a person, where Kubernetes alone judges": {
			1, fields{"strategy": "replace", "percentage_step": nil, "bake": "10m"}, func(s *scene) {
				s.clock.AfterFunc(2*time.Minute, s.takeBack)
			},
		},
		"in the drain, by a person": {0, nil, func(s *scene) {
			s.atPromote(func() { s.clock.AfterFunc(2*time.Second, s.takeBack) })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			arn := s.begin(tt.fields)
			tt.begin(s)
			e := s.end(arn)
			if e.Status == asl.Succeeded || !strings.Contains(e.cause, "it was in force, and is not any more") {
				t.Errorf("path %s (%s); want no promotion, and why", e.path, e.cause)
			}
			s.settled("checkout-1")
		})
	}
}
