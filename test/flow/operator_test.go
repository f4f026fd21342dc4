package flow_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
)

// token is the key of the task that waits now.
func (s *scene) token(arn string) string { return s.Token(arn) }

// ask has a person answer the waiting task's token at a time from now.
func (s *scene) ask(arn string, after time.Duration, kind fault.Kind, cause string) {
	s.clock.AfterFunc(after, func() {
		if err := s.engine.SendTaskFailure(s.token(arn), asl.Failure{Error: ptr(string(kind)), Cause: &cause}); err != nil {
			s.Error(err)
		}
	})
}

func ptr[T any](v T) *T { return &v }

func wish(id int, w rollout.Wish) string {
	b, _ := json.Marshal(step.Request{ID: fmt.Sprint(id), Wish: w})
	return string(b)
}

// rest lets everything come to its end: nobody is busy and nobody waits.
func (s *scene) rest() {
	s.Helper()
	s.release()
	if err := s.clock.Wait(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// atShift runs f right before the n-th write of a weight above 0 from now on.
func (s *scene) atShift(n int, f func()) {
	count := -1 // DeployCanary's comes first
	s.core.Before(func(op string) error {
		if op == "traffic.Shift" {
			if count++; count == n {
				f()
			}
		}
		return nil
	})
}

func running(t *testing.T, extra fields) (*scene, string) {
	t.Helper()
	s := deployed(t, healthyUpTo(2))
	return s, s.begin(extra)
}

func TestAbortInTheMiddleOfAHold(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	began := s.clock.Now()
	s.ask(arn, 90*time.Second, fault.Aborted, "the dashboard looks odd")
	e := s.end(arn)
	if e.path != toReady+steps(2)+back || !strings.Contains(e.cause, "the dashboard looks odd") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	zero := s.router.Served(route, began.Add(95*time.Second))
	if zero["checkout-2"] != 0 {
		t.Errorf("five seconds after the abort users are split %v; want none on the canary", zero)
	}
	s.settled("checkout-1")
}

func TestAbortInTheMiddleOfADeepHold(t *testing.T) {
	t.Parallel()
	s, arn := running(t, fields{"wait_time": "6h", "deadlines": fields{"rollout": "72h"}})
	began := s.clock.Now()
	s.ask(arn, 3*time.Hour, fault.Aborted, "")
	e := s.end(arn)
	if !strings.HasSuffix(e.path, back) {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	if zero := s.router.Served(route, began.Add(3*time.Hour+5*time.Second)); zero["checkout-2"] != 0 {
		t.Errorf("five seconds after the abort users are split %v", zero)
	}
	s.settled("checkout-1")
}

func TestPauseHoldsUntilResumed(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.ask(arn, 30*time.Second, fault.Asked, wish(1, rollout.WishPause))
	s.clock.AfterFunc(50*time.Minute, func() {
		if w := s.router.Served(route, s.clock.Now()); w["checkout-2"] != 25 {
			t.Errorf("while paused users are split %v; want 25 on the canary", w)
		}
	})
	s.ask(arn, time.Hour, fault.Asked, wish(2, rollout.WishResume))
	e := s.end(arn)
	if e.Status != asl.Succeeded || !strings.Contains(e.path, "HealthCheck Hold HealthCheck") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-2")
}

func TestAPauseThatNobodyEndsGoesBack(t *testing.T) {
	t.Parallel()
	s, arn := running(t, fields{"pause_limit": "20m"})
	s.ask(arn, 30*time.Second, fault.Asked, wish(1, rollout.WishPause))
	e := s.end(arn)
	if !strings.HasSuffix(e.path, back) || !strings.Contains(e.cause, "paused for 20m") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}

func TestAPausedCanaryIsStillJudged(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.ask(arn, 30*time.Second, fault.Asked, wish(1, rollout.WishPause))
	s.clock.AfterFunc(time.Hour, func() { s.play(map[string]float64{"checkout-1": 0, "checkout-2": 1}) })
	e := s.end(arn)
	if !strings.HasSuffix(e.path, back) || s.clock.Now().Sub(start) > 2*time.Hour {
		t.Errorf("path %s after %v (%s)", e.path, s.clock.Now().Sub(start), e.cause)
	}
	s.settled("checkout-1")
}

func TestPromoteNowStillBakes(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.ask(arn, 30*time.Second, fault.Asked, wish(1, rollout.WishPromote))
	e := s.end(arn)
	if e.path != toReady+steps(2)+promoted {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-2")
}

// Where a person is asked because nothing can be told, the word is heard, in the bake too: it was not there, and the end
// said that nobody had answered. What was said before is no answer, and bad pods rank before it.
func TestAPersonIsAskedWhereNothingCanBeTold(t *testing.T) {
	t.Parallel()
	const bakes = 75 * time.Second
	for name, tt := range map[string]struct {
		silent, says time.Duration
		wish         rollout.Wish
		harm         bool
		want, cause  string
	}{
		"in the bake, 100 %":           {bakes, 20 * time.Minute, rollout.WishPromote, false, promoted, ""},
		"before it, 100 %: then again": {bakes / 3, 20 * time.Minute, rollout.WishPromote, false, back, "nobody answered within 1h0m0s: nothing could be told, a person decides by promote or abort"},
		"that it may go on":            {bakes, 20 * time.Minute, rollout.WishResume, false, back, "was said, and is no verdict"},
		"too early":                    {bakes, bakes + 5*time.Second, rollout.WishPromote, false, back, "nobody answered within 1h0m0s"},
		"about pods that are gone":     {bakes, 20 * time.Minute, rollout.WishPromote, true, back, "no ready pod"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, arn := running(t, fields{"on_undecided": "ask", "percentage_step": nil, "steps": []any{50, 100}, "patience": "5m", "pause_limit": "1h"})
			s.clock.AfterFunc(tt.silent, func() { s.play(nil) })
			if tt.harm {
				s.clock.AfterFunc(tt.says-time.Millisecond, func() { s.noPods("checkout-2") })
			}
			s.ask(arn, tt.says, fault.Asked, wish(1, tt.wish))
			e := s.end(arn)
			if !strings.HasSuffix(e.path, tt.want) || !strings.Contains(e.cause, tt.cause) {
				t.Fatalf("path %s (%s); want it to end with%s because of %q", e.path, e.cause, tt.want, tt.cause)
			}
			if tt.want == promoted {
				if w := s.event(arn, "Promote").Document.Watch; w == nil || !strings.HasPrefix(w.Reason, "a person decided: ") {
					t.Errorf("the verdict is %+v; want it to be a person's", w)
				}
			}
		})
	}
}

func TestAStepThatWantsApprovalWaitsForIt(t *testing.T) {
	t.Parallel()
	approve := fields{"percentage_step": nil, "steps": []any{fields{"weight": 25, "approve": true}, 100}}
	s, arn := running(t, approve)
	s.clock.AfterFunc(40*time.Minute, func() { // the stock client's answer: success, whatever the output
		if err := s.engine.SendTaskSuccess(s.token(arn), `"yes"`); err != nil {
			t.Error(err)
		}
	})
	if e := s.end(arn); !strings.HasSuffix(e.path, promoted) || !strings.Contains(e.path, "Hold") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-2")
}

// A word for one step is none for the next.
func TestAnApprovalIsForOneStep(t *testing.T) {
	t.Parallel()
	s, arn := running(t, fields{"percentage_step": nil, "pause_limit": "1h", "steps": []any{
		fields{"weight": 25, "approve": true}, fields{"weight": 50, "approve": true}, 100}})
	s.ask(arn, 40*time.Minute, fault.Asked, wish(1, rollout.WishResume))
	e := s.end(arn)
	if shifts := strings.Count(e.path, "ShiftWeight"); shifts != 2 || !strings.HasSuffix(e.path, back) || !strings.Contains(e.cause, "waiting for a person's word") {
		t.Errorf("path %s (%s); want the second step to wait for its own approval", e.path, e.cause)
	}
	s.settled("checkout-1")
}

func TestNonsenseInATokenGoesBack(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(30*time.Second, func() {
		if err := s.engine.SendTaskSuccess(s.token(arn), `[1, "nonsense"]`); err != nil {
			t.Error(err)
		}
	})
	s.end(arn)
	s.rest()
	s.settled("checkout-1")
}

func TestTwoStartsAtOnce(t *testing.T) {
	t.Parallel()
	s, one := running(t, nil)
	two := s.begin(nil)
	a, b := s.end(one), s.end(two)
	won, lost := a, b
	if a.Status != asl.Succeeded {
		won, lost = b, a
	}
	if won.path != toReady+steps(4)+promoted {
		t.Errorf("winner's path %s (%s)", won.path, won.cause)
	}
	if lost.path != "Prepare Refused" || !strings.Contains(lost.cause, "is running since") {
		t.Errorf("loser's path %s (%s)", lost.path, lost.cause)
	}
	s.settled("checkout-2")
}
