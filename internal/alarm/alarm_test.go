package alarm_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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
	// throttled is how many requests for its input fail before one does not.
	throttled int
}

type look struct{ state, token string }

// rollouts are as the AWS SDK is: they answer nothing when the context has ended.
type rollouts struct {
	runs  map[string]*run
	spent map[string]bool
	// takes is how long each request does.
	takes time.Duration

	mu      sync.Mutex
	aborted []string
}

func (r *rollouts) Running(context.Context, string) ([]string, error) {
	var names []string
	for name := range r.runs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (r *rollouts) request(ctx context.Context) error { return clock.Real{}.Sleep(ctx, r.takes) }

func (r *rollouts) Input(ctx context.Context, execution string) (json.RawMessage, error) {
	if err := r.request(ctx); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.runs[execution]
	if run.throttled > 0 {
		run.throttled--
		return nil, errors.New("throttled")
	}
	return json.RawMessage(run.input), run.fails
}

func (r *rollouts) Waiting(ctx context.Context, execution string) (state, token string, err error) {
	if err := r.request(ctx); err != nil {
		return "", "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.runs[execution]
	now := run.looks[0]
	if len(run.looks) > 1 {
		run.looks = run.looks[1:]
	}
	return now.state, now.token, nil
}

func (r *rollouts) Abort(ctx context.Context, token, reason string) error {
	if err := r.request(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
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
		"who listens, beside one that waits for its turn all the time": {
			runs: map[string]*run{
				"a": {input: names, looks: []look{{"Prepare", ""}}},
				"b": {input: names, looks: []look{{"HealthCheck", "tb"}}},
			},
			want: []string{"tb: alarm 5xx: 3 > 2"},
		},
		"whoever was throttled first": {
			runs: map[string]*run{"a": {input: names, looks: []look{{"HealthCheck", "ta"}}, throttled: 3}},
			want: []string{"ta: alarm 5xx: 3 > 2"},
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

// One after the other was looked at, each until it listened or the time was over. So a rollout that waited in the queue, which any
// team can start with any alarm in its deploy.json, kept the one that had the users from being aborted, and again at each retry.
func TestOneThatCannotBeAbortedDoesNotKeepTheOthersFromIt(t *testing.T) {
	for name, tt := range map[string]struct {
		first run
		fails string
		out   string
	}{
		"it cannot be looked at":   {first: run{fails: errors.New("access denied")}, fails: "a: access denied"},
		"it does not listen":       {first: run{input: names, looks: []look{{"ShiftWeight", ""}}}, fails: "a: Canary.Transient: it is in state ShiftWeight, which does not listen"},
		"it waits for its turn":    {first: run{input: names, looks: []look{{"Prepare", ""}}}, out: `{"aborted":["b"],"preparing":["a"]}`},
		"it is another team's":     {first: run{input: `{"alarms": ["other"]}`, looks: []look{{"Prepare", ""}}}, out: `{"aborted":["b"]}`},
		"it is over, or nearly so": {first: run{input: names, looks: []look{{"Promote", ""}}}, out: `{"aborted":["b"]}`},
		"its tokens are all spent": {first: run{input: names, looks: []look{{"Hold", "spent"}}}, fails: "a: Canary.Transient: it is in state Hold, which does not listen"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rollouts{spent: map[string]bool{"spent": true}, takes: 20 * time.Millisecond, runs: map[string]*run{
					"a": &tt.first, "b": {input: names, looks: []look{{"HealthCheck", "tb"}}},
				}}
				began := time.Now()
				time.AfterFunc(time.Second, func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					if len(r.aborted) != 1 || !strings.HasPrefix(r.aborted[0], "tb: ") {
						t.Errorf("after a second, aborted %v, want tb", r.aborted)
					}
				})
				out, err := handle(t.Context(), r, "5xx", "ALARM")
				if took := time.Since(began); took >= time.Minute {
					t.Errorf("it took %v; Lambda ends the function after a minute and nobody hears of the error", took)
				}
				if out != tt.out || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("Handle: %s, %v; want %s, %q", out, err, tt.out, tt.fails)
				}
				time.Sleep(time.Second)
			})
		})
	}
}

// One after the other, the requests alone took longer than the function may.
func TestAnAlarmFindsItsRolloutAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rollouts{runs: map[string]*run{}, takes: 100 * time.Millisecond}
		for i := range 800 {
			r.runs[fmt.Sprintf("a%03d", i)] = &run{input: `{"alarms": ["other"]}`}
		}
		r.runs["b"] = &run{input: names, looks: []look{{"HealthCheck", "tb"}}}
		began := time.Now()
		out, err := handle(t.Context(), r, "5xx", "ALARM")
		if took := time.Since(began); out != `{"aborted":["b"]}` || took > 10*time.Second {
			t.Errorf("Handle: %s, %v after %v", out, err, took)
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
