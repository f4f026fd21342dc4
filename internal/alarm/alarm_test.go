package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/alarm"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/task"
)

// A run is one execution: what it is in at each look.
type run struct {
	input string
	looks []look
	fails error
}

type look struct{ state, token string }

type rollouts struct {
	runs    map[string]*run
	aborted []string
	spent   map[string]bool
}

func (r *rollouts) Running(context.Context, string) ([]string, error) {
	var names []string
	for name := range r.runs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (r *rollouts) Input(_ context.Context, execution string) (json.RawMessage, error) {
	return json.RawMessage(r.runs[execution].input), r.runs[execution].fails
}

func (r *rollouts) Waiting(_ context.Context, execution string) (state, token string, err error) {
	run := r.runs[execution]
	now := run.looks[0]
	if len(run.looks) > 1 {
		run.looks = run.looks[1:]
	}
	return now.state, now.token, nil
}

func (r *rollouts) Abort(_ context.Context, token, reason string) error {
	if r.spent[token] {
		return task.ErrAnswered
	}
	r.aborted = append(r.aborted, token+": "+reason)
	return nil
}

const names = `{"alarms": ["5xx", "latency"]}`

func handle(ctx context.Context, r *rollouts, name, state string) (string, error) {
	event := fmt.Sprintf(`{"source": "aws.cloudwatch", "detail": {"alarmName": %q, "state": {"value": %q, "reason": "3 > 2"}}}`, name, state)
	out, err := alarm.Abort{Rollouts: r, Machine: "machine", Clock: clock.Real{}}.Handle(ctx, json.RawMessage(event))
	return string(out), err
}

func TestAnAlarmAborts(t *testing.T) {
	for name, tt := range map[string]struct {
		runs  map[string]*run
		spent map[string]bool
		state string
		want  []string
	}{
		"the rollout that names it, and no other": {
			runs: map[string]*run{
				"a": {input: names, looks: []look{{"HealthCheck", "ta"}}},
				"b": {input: `{"alarms": ["other"]}`, looks: []look{{"HealthCheck", "tb"}}},
				"c": {input: `{}`, looks: []look{{"HealthCheck", "tc"}}},
				"d": {input: `no JSON`, looks: []look{{"Prepare", ""}}},
			},
			want: []string{"ta: alarm 5xx: 3 > 2"},
		},
		"once the rollout comes to a state that listens": {
			runs: map[string]*run{"a": {input: names, looks: []look{{"Prepare", ""}, {"DeployCanary", ""}, {"AwaitReady", "ta"}}}},
			want: []string{"ta: alarm 5xx: 3 > 2"},
		},
		"through the next token where this one was answered meanwhile": {
			runs:  map[string]*run{"a": {input: names, looks: []look{{"HealthCheck", "old"}, {"Hold", "new"}}}},
			spent: map[string]bool{"old": true},
			want:  []string{"new: alarm 5xx: 3 > 2"},
		},
		"nothing that is over or on its way to its end": {
			runs: map[string]*run{
				"a": {input: names, looks: []look{{"", ""}}},
				"b": {input: names, looks: []look{{"Promote", ""}}},
				"c": {input: names, looks: []look{{"Rollback", ""}}},
			},
		},
		"nothing when it is over": {
			runs:  map[string]*run{"a": {input: names, looks: []look{{"HealthCheck", "ta"}}}},
			state: "OK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rollouts{runs: tt.runs, spent: tt.spent}
				state := tt.state
				if state == "" {
					state = "ALARM"
				}
				if _, err := handle(t.Context(), r, "5xx", state); err != nil {
					t.Errorf("Handle: %v", err)
				}
				if diff := cmp.Diff(tt.want, r.aborted); diff != "" {
					t.Errorf("aborted (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestOneThatCannotBeAbortedDoesNotKeepTheOthersFromIt(t *testing.T) {
	r := &rollouts{runs: map[string]*run{
		"a": {fails: errors.New("throttled")},
		"b": {input: names, looks: []look{{"HealthCheck", "tb"}}},
	}}
	_, err := handle(t.Context(), r, "5xx", "ALARM")
	if err == nil || !strings.Contains(err.Error(), "a: throttled") {
		t.Errorf("Handle: %v; Lambda would not try again", err)
	}
	if len(r.aborted) != 1 {
		t.Errorf("aborted %v, want b", r.aborted)
	}
}

func TestARolloutThatNeverListensIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := &rollouts{runs: map[string]*run{"a": {input: names, looks: []look{{"ShiftWeight", ""}}}}}
		if _, err := handle(t.Context(), r, "5xx", "ALARM"); err == nil || !strings.Contains(err.Error(), "ShiftWeight, which does not listen") {
			t.Errorf("Handle: %v", err)
		}
		if took := time.Since(began); took >= time.Minute {
			t.Errorf("it took %v; Lambda ends the function after a minute and nobody hears of the error", took)
		}
	})
}

func TestAnEventWithoutAnAlarmIsRefused(t *testing.T) {
	for _, input := range []string{`{}`, `[]`, `{"detail": {}}`} {
		if _, err := (alarm.Abort{Clock: clock.Real{}}).Handle(t.Context(), json.RawMessage(input)); err == nil {
			t.Errorf("Handle(%s) found an alarm", input)
		}
	}
}
