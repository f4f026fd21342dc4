package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/step"
)

// Of a rollout that is stopped nothing is left but the text that it was started with. Prepare never saw that text: the engine
// takes white space and doubled fields out. Users of a document with some stayed half-shifted, and the lock held.
func TestAStoppedRolloutGoesBackWhateverItsTextLooksLike(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]string{
		"a field twice":    `{"wait_time": 90, `,
		"much white space": "{" + strings.Repeat("\n", 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(3))
			s.hold()
			arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: "raw", Input: strings.Replace(input(nil), "{", begins, 1)})
			if err != nil {
				t.Fatal(err)
			}
			s.clock.AfterFunc(90*time.Second, func() {
				if served := s.router.Served(route, s.clock.Now()); served["checkout-2"] == 0 {
					t.Errorf("users are on %v; want some on checkout-2", served)
				}
				if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
					t.Error(err)
				}
			})
			s.end(arn)
			s.rest()
			s.settled("checkout-1")
		})
	}
}

// Nor may a build that became stricter in the middle of a rollout leave its users where they are.
func TestAStoppedRolloutGoesBackWhereItsDocumentIsRefusedNow(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(90*time.Second, func() {
		then := []byte(strings.Replace(input(nil), "{", `{"known_then": true, `, 1))
		ev := step.Event{Execution: arn, State: step.Ended, Input: then}
		if _, err := (step.Rollback{Open: s.Open, Clock: s.clock}).Run(t.Context(), ev); err != nil {
			t.Error(err)
		}
	})
	s.end(arn)
	s.rest()
	s.settled("checkout-1")
}
