package flow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// testers are requests that go to the canary whatever its weight.
var testers = []traffic.Match{
	{Headers: []traffic.Header{{Name: "X-Canary", Value: "always"}}},
	{Cookies: []traffic.Header{{Name: "beta", Regex: "yes|on"}}},
}

func matching() fields { return fields{"match": testers} }

// Chosen requests reach the canary from the moment it is ready, before anybody else does, and
// in the end, whichever it is, nothing is chosen any more.
func TestChosenRequestsReachTheCanary(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors float64
		act    func(s *scene, arn string)
		status asl.Status
		serves string
	}{
		"promoted":    {status: asl.Succeeded, serves: "checkout-2"},
		"rolled back": {errors: 1, status: asl.Failed, serves: "checkout-1"},
		"aborted in a hold": {
			act:    func(s *scene, arn string) { s.ask(arn, 2*time.Minute, fault.Aborted, "by a test") },
			status: asl.Failed, serves: "checkout-1",
		},
		"stopped in a hold": {
			act: func(s *scene, arn string) {
				s.clock.AfterFunc(2*time.Minute, func() {
					if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
						s.Error(err)
					}
				})
			},
			status: asl.Aborted, serves: "checkout-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			s.cluster.Behave("shop", "checkout-2", cluster.Script{ReadyAfter: 20 * time.Second})
			chosen, first := time.Time{}, time.Time{}
			s.core.After(func(op string) error {
				now := s.clock.Now()
				to, matches := s.router.Matched(route, now)
				users := s.router.Served(route, now)["checkout-2"]
				if to != "" && chosen.IsZero() {
					chosen = now
					if st, _ := s.cluster.Status("shop", "checkout-2", now); !st.Available() || users != 0 {
						t.Errorf("requests were chosen with %d %% of users on the canary and %+v; want 0 and it ready", users, st)
					}
					if diff := cmp.Diff(testers, matches); diff != "" || to != "checkout-2" {
						t.Errorf("chosen for %s (-want +got):\n%s", to, diff)
					}
				}
				if users > 0 && first.IsZero() {
					first = now
					if chosen.IsZero() {
						t.Error("users were on the canary before anything was chosen")
					}
				}
				return nil
			})
			arn := s.begin(matching())
			if tt.act != nil {
				tt.act(s, arn)
			}
			if e := s.end(arn); e.Status != tt.status {
				t.Errorf("%s, path %s (%s)", e.Status, e.path, e.cause)
			}
			s.rest()
			if chosen.IsZero() || first.IsZero() {
				t.Errorf("requests were chosen at %v and users came at %v; want both", chosen, first)
			}
			if to, matches := s.router.Matched(route, s.clock.Now()); to != "" {
				t.Errorf("in the end %v are still chosen for %s", matches, to)
			}
			s.core.After(nil)
			s.settled(tt.serves)
		})
	}
}

// A function that wakes up when its rollout is over chooses nothing, with the canary gone or in
// everybody's use.
func TestALateMatchIsFencedOff(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	arn := s.begin(matching())
	if e := s.end(arn); e.Status != asl.Succeeded {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	before := s.seen()
	_, err := step.AwaitReady{Open: s.Open, Clock: s.clock}.Run(t.Context(), s.event(arn, "AwaitReady"))
	if !errors.Is(err, fault.Fenced) {
		t.Errorf("AwaitReady of an ended rollout: %v; want it fenced off", err)
	}
	if to, _ := s.router.Matched(route, s.clock.Now()); to != "" {
		t.Errorf("requests are chosen for %s", to)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
}

// weighing is a router that splits by weight and can do no more.
type weighing struct{ traffic.Router }

// Match rules that the router cannot have are refused; leaving them out would send nobody to the
// canary whom the team expects there.
func TestMatchesThatTheRouterCannotHaveAreRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.Router = weighing{s.router}
	if e := s.run(matching()); e.path != "Prepare Refused" || !strings.Contains(e.cause, "match rules are asked for, and gateway-api has none") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}
