package statemachine_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stepcanary/stepcanary/statemachine"
)

type retrier struct {
	ErrorEquals []string
	MaxAttempts int
}

type state struct {
	Type               string
	Next               string
	Default            string
	TimeoutSeconds     int
	TimeoutSecondsPath string
	Retry              []retrier
	Catch              []struct {
		ErrorEquals []string
		Next        string
	}
}

func definition(t *testing.T) (out struct {
	TimeoutSeconds int
	States         map[string]state
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(statemachine.Definition), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever a task ends with, the machine goes back; and where the way back itself fails for
// good, a person is called with the reason.
func TestEveryTaskLeadsBack(t *testing.T) {
	states := definition(t).States
	for _, name := range statemachine.Tasks {
		want := "Rollback"
		if name == "Rollback" {
			want = "SayWhy"
		}
		catch := states[name].Catch
		if len(catch) == 0 {
			t.Errorf("%s has no Catch", name)
			continue
		}
		last := catch[len(catch)-1]
		if !slices.Equal(last.ErrorEquals, []string{"States.ALL"}) || last.Next != want {
			t.Errorf("%s: its last Catch is of %v to %s; want States.ALL to %s", name, last.ErrorEquals, last.Next, want)
		}
	}
}

// A function that hangs, or whose answer is lost, does not hold a rollout for longer than it may.
func TestEveryTaskHasATimeLimit(t *testing.T) {
	d := definition(t)
	if d.TimeoutSeconds == 0 {
		t.Error("the whole has no TimeoutSeconds")
	}
	for _, name := range statemachine.Tasks {
		s := d.States[name]
		if name == "Hold" {
			if s.TimeoutSecondsPath != "$.watch.wait_seconds" {
				t.Errorf("Hold waits for %q; want what HealthCheck said", s.TimeoutSecondsPath)
			}
			continue
		}
		if s.TimeoutSeconds < 60 || s.TimeoutSeconds > 900 {
			t.Errorf("%s: TimeoutSeconds = %d; want one within a Lambda's 15 minutes", name, s.TimeoutSeconds)
		}
	}
}

// Every error that may be gone in a moment is tried again, and none forever.
func TestPassingTroubleIsTriedAgain(t *testing.T) {
	states := definition(t).States
	for _, name := range statemachine.Tasks {
		for _, passing := range []string{
			"Lambda.ServiceException", "Lambda.TooManyRequestsException", "Lambda.ClientExecutionTimeoutException",
			"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "Canary.Transient", "Canary.Conflict",
		} {
			found := false
			for _, r := range states[name].Retry {
				all := name == "Rollback" && slices.Contains(r.ErrorEquals, "States.ALL")
				found = found || (all || slices.Contains(r.ErrorEquals, passing)) && r.MaxAttempts > 0
			}
			if !found {
				t.Errorf("%s does not try again after %s", name, passing)
			}
		}
	}
}

// A choice that nothing fits ends in the way back or with a person, never in
// States.NoChoiceMatched.
func TestEveryChoiceHasADefault(t *testing.T) {
	for name, s := range definition(t).States {
		if s.Type == "Choice" && s.Default != "Rollback" && s.Default != "NeedsOperator" {
			t.Errorf("%s: Default = %q; want Rollback or NeedsOperator", name, s.Default)
		}
	}
}
