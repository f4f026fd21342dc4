package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
)

// Every end that a history can tell has its exit code; an end that is not known is no success.
func TestEveryEndHasItsExitCode(t *testing.T) {
	for _, tt := range []struct {
		outcome string
		fault   fault.Kind
		want    int
	}{
		{step.OutcomePromoted, "", 0},
		{step.OutcomeRolledBack, "", 2},
		{"Aborted", "", 2}, // the rule on stopped executions goes back
		{step.OutcomeNeedsOperator, fault.Internal, 3},
		{step.OutcomeRefused, fault.Refused, 4},
		{step.OutcomeRefused, fault.Invalid, 1},
		{"Failed", "", 1},
		{"TimedOut", "", 1},
		{"an end of a later version", "", 1},
	} {
		var said bytes.Buffer
		c := newConsole(&said, &said)
		if got := c.code(ending(&story.Story{Outcome: tt.outcome, Fault: tt.fault})); got != tt.want || said.Len() > 0 {
			t.Errorf("%s %s: exit code %d, says %q; want %d, and nothing", tt.outcome, tt.fault, got, said.String(), tt.want)
		}
	}
}

// A log in which nothing happens says so once a minute, and not more often.
func TestALogGivesSignsOfLife(t *testing.T) {
	began := enginetest.Start
	s := &story.Story{Name: "checkout-r1", State: "HealthCheck", Began: began, Moments: []story.Moment{{At: began, Kind: story.Started, Text: "started"}}}
	var out bytes.Buffer
	v := view{console: newConsole(&out, &out)}
	var said []string
	for at := time.Duration(0); at <= 2*time.Minute; at += time.Second {
		v.tell(s, began.Add(at))
		if out.Len() > 0 {
			said = append(said, at.String()+" "+strings.TrimSpace(out.String()))
			out.Reset()
		}
	}
	want := []string{
		"0s 09:00:00    0 %  started   started",
		"1m0s 09:01:00  checkout-r1  watching  1:00 gone",
		"2m0s 09:02:00  checkout-r1  watching  2:00 gone",
	}
	if strings.Join(said, "\n") != strings.Join(want, "\n") {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(said, "\n"), strings.Join(want, "\n"))
	}
	s.Ended, s.Outcome = began.Add(3*time.Minute), step.OutcomePromoted
	if v.tell(s, began.Add(4*time.Minute)); out.Len() > 0 {
		t.Errorf("after its end it says %q", out.String())
	}
}
