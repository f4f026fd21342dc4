package flow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
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

// What Prepare was refused for keeps the rule on ended executions from reading the record, too. Nothing was changed then, so it
// ends; not where only a moment is bad, nor where the execution was stopped, nor where the lock is the execution's.
func TestARefusedStartIsNoDeadRollout(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:states:us-east-1:000000000000:execution:stepcanary:odd"
	nobodys := []byte(input(fields{"microservice_name": "Check Out"}))
	for name, tt := range map[string]struct {
		state string
		input []byte
		open  error
		want  fault.Kind // of the error; empty: none
	}{
		"whose document names no service":        {state: step.Refused, input: nobodys},
		"whose cluster is none":                  {state: step.Refused, open: fault.Invalid},
		"whose cluster may not be entered":       {state: step.Refused, open: fault.Refused},
		"whose cluster is away for a moment":     {state: step.Refused, open: fault.Transient, want: fault.Transient},
		"that another one's lock stands against": {state: step.Refused},
		"no, it was stopped":                     {state: step.Ended, input: nobodys, want: fault.Invalid},
		"no, it was stopped in a cluster":        {state: step.Ended, open: fault.Invalid, want: fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.first()
			back := step.Rollback{Clock: s.clock, Open: func(ctx context.Context, cluster string) (step.Access, error) {
				if tt.open != nil {
					return step.Access{}, tt.open
				}
				return s.Open(ctx, cluster)
			}}
			if tt.input == nil {
				tt.input = []byte(input(nil))
			}
			before := s.seen()
			end, err := back.Run(t.Context(), step.Event{Execution: arn, State: tt.state, Input: tt.input})
			if tt.want != "" && !errors.Is(err, tt.want) || tt.want == "" && (err != nil || end.Outcome != step.OutcomeRefused || !end.Known) {
				t.Errorf("end %+v, error %v; want error %q", end, err, tt.want)
			}
			if diff := cmp.Diff(before, s.seen()); diff != "" {
				t.Errorf("a refused start changed something (-before +after):\n%s", diff)
			}
		})
	}
	t.Run("no, the lock is its own", func(t *testing.T) {
		t.Parallel()
		s := deployed(t, healthyUpTo(3))
		s.orphan()
		ev := step.Event{Execution: s.record().Holder, State: step.Refused, Input: []byte(input(nil))}
		if _, err := (step.Rollback{Open: s.Open, Clock: s.clock}).Run(t.Context(), ev); err != nil {
			t.Error(err)
		}
		s.settled("checkout-1")
	})
}
