package story_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/fault"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// TestMain keeps the steps' log out of the output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// ready gives a scene in which version 1 serves and version 2 meets these errors.
func ready(t *testing.T, errors float64) *enginetest.Scene {
	t.Helper()
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": errors})
	return s
}

func ptr(s string) *string { return &s }

// kinds are the kinds of the moments, with their weights; equal neighbours count once.
func kinds(s *story.Story) string {
	var out []string
	for _, m := range s.Moments {
		k := string(m.Kind)
		if m.Kind == story.Shifted || m.Kind == story.Over {
			k += fmt.Sprintf(" %d", m.Weight)
		}
		if len(out) == 0 || out[len(out)-1] != k {
			out = append(out, k)
		}
	}
	return strings.Join(out, ", ")
}

func TestStories(t *testing.T) {
	wish, _ := json.Marshal(step.Request{ID: "1", Wish: rollout.WishPromote, Reason: "urgent"})
	answer := func(after time.Duration, name fault.Kind, cause string) func(*testing.T, *enginetest.Scene) string {
		return func(t *testing.T, s *enginetest.Scene) string {
			s.Clock.Begin()
			arn := s.Begin(t, nil)
			s.Clock.AfterFunc(after, func() {
				if err := s.Engine.SendTaskFailure(s.Token(arn), asl.Failure{Error: ptr(string(name)), Cause: &cause}); err != nil {
					t.Error(err)
				}
			})
			s.Clock.End()
			return arn
		}
	}
	begin := func(t *testing.T, s *enginetest.Scene) string { return s.Begin(t, nil) }
	for name, tt := range map[string]struct {
		errors  float64
		fault   fault.Kind // of those that failed otherwise than by going back
		run     func(*testing.T, *enginetest.Scene) string
		outcome string
		reason  string
		kinds   string
		texts   string // one of the moments says this
	}{
		"promoted": {
			run: begin, outcome: step.OutcomePromoted, reason: "checkout-2 is the stable version",
			kinds: "started, prepared, deployed, ready, shifted 25, looked, shifted 50, looked, shifted 75, looked, shifted 100, looked, over 100",
			texts: "checkout-1 -> checkout-2 in steps 25, 50, 75, 100",
		},
		"rolled back": {
			errors: 0.3, run: begin, outcome: step.OutcomeRolledBack, reason: "on the canary failed",
			kinds: "started, prepared, deployed, ready, shifted 25, looked, shifted 0, over 0", texts: "0 % is in force: all users are back on checkout-1",
		},
		"never ready": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				s.World.Cluster.Behave("shop", "checkout-2", cluster.Script{PullFails: true})
				return s.Begin(t, nil)
			},
			outcome: step.OutcomeRolledBack, reason: "ImagePullBackOff",
			kinds: "started, prepared, deployed, troubled, over 0",
		},
		"a crash loop, seen in the moment of the shift": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				s.World.Cluster.Behave("shop", "checkout-2", cluster.Script{CrashAtWeight: 50})
				return s.Begin(t, nil)
			},
			outcome: step.OutcomeRolledBack, reason: "CrashLoopBackOff",
			kinds: "started, prepared, deployed, ready, shifted 25, looked, shifted 50, looked, shifted 0, over 0",
		},
		"aborted by a person": {
			run: answer(30*time.Second, fault.Aborted, "looks odd"), outcome: step.OutcomeRolledBack, reason: "looks odd",
			kinds: "started, prepared, deployed, ready, shifted 25, asked, shifted 0, over 0", texts: "abort: looks odd",
		},
		"asked to promote": {
			run: answer(30*time.Second, fault.Asked, string(wish)), outcome: step.OutcomePromoted,
			kinds: "started, prepared, deployed, ready, shifted 25, asked, looked, shifted 100, looked, over 100",
			texts: "a person asked to promote: urgent",
		},
		"paused in a deep hold": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				pause, _ := json.Marshal(step.Request{ID: "1", Wish: rollout.WishPause})
				s.Clock.Begin()
				arn := s.Begin(t, enginetest.Fields{
					"wait_time": "40m", "pause_limit": "10m", "deadlines": enginetest.Fields{"rollout": "48h"},
				})
				s.Clock.AfterFunc(5*time.Minute, func() {
					if err := s.Engine.SendTaskFailure(s.Token(arn), asl.Failure{Error: ptr(string(fault.Asked)), Cause: ptr(string(pause))}); err != nil {
						t.Error(err)
					}
				})
				s.Clock.End()
				return arn
			},
			outcome: step.OutcomeRolledBack, reason: "paused for 10m",
			kinds: "started, prepared, deployed, ready, shifted 25, looked, asked, looked, shifted 0, over 0",
		},
		"asked for nonsense": {
			run: answer(30*time.Second, fault.Asked, "[1]"), outcome: step.OutcomePromoted,
			kinds: "started, prepared, deployed, ready, shifted 25, asked, looked, shifted 50, looked, shifted 75, looked, shifted 100, looked, over 100",
			texts: "somebody asked for what is not known: [1]",
		},
		"refused": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				s.Begin(t, nil)
				return s.Begin(t, nil)
			},
			fault: fault.Refused, outcome: step.OutcomeRefused, reason: "start rollout of shop/checkout: arn:", kinds: "started, troubled, over 0", texts: "Prepare: Canary.Refused: start rollout of",
		},
		"waits for its turn": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0})
				s.Begin(t, nil)
				return s.Begin(t, enginetest.Fields{"queue": "1h"})
			},
			outcome: step.OutcomePromoted, reason: "checkout-3 is the stable version",
			kinds: "started, holding, prepared, deployed, ready, shifted 25, looked, shifted 50, looked, shifted 75, looked, shifted 100, looked, over 100",
			texts: "waits for its turn: arn:aws:states:us-east-1:000000000000:execution:stepcanary:checkout-r2 is running since",
		},
		"bad input": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				return s.Begin(t, enginetest.Fields{"percentage_step": 0})
			},
			fault: fault.Invalid, outcome: step.OutcomeRefused, reason: "percentage_step", kinds: "started, troubled, over 0", texts: "check deploy.json",
		},
		"stopped from outside": {
			run: func(t *testing.T, s *enginetest.Scene) string {
				s.Clock.Begin()
				arn := s.Begin(t, nil)
				s.Clock.AfterFunc(30*time.Second, func() {
					if _, err := s.Engine.Stop(arn, asl.Failure{Error: ptr("Stopped"), Cause: ptr("by hand")}); err != nil {
						t.Error(err)
					}
				})
				s.Clock.End()
				return arn
			},
			outcome: "Aborted", reason: "the execution was stopped: by hand",
			kinds: "started, prepared, deployed, ready, shifted 25, over 25",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ready(t, tt.errors)
			arn := tt.run(t, s)
			if err := s.Engine.Wait(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
			events := s.History(t, arn)
			got := story.Read(arn, events)
			if got.Outcome != tt.outcome || !strings.Contains(got.Reason, tt.reason) || got.Running() || got.Token != "" {
				t.Errorf("outcome %q, reason %q, token %q; want %q, %q", got.Outcome, got.Reason, got.Token, tt.outcome, tt.reason)
			}
			if tt.fault != "" && got.Fault != tt.fault {
				t.Errorf("fault %q, want %q", got.Fault, tt.fault)
			}
			if d := cmp.Diff(tt.kinds, kinds(got)); d != "" {
				t.Errorf("moments -want +got\n%s", d)
			}
			if !slices.ContainsFunc(got.Moments, func(m story.Moment) bool { return strings.Contains(m.Text, tt.texts) }) {
				t.Errorf("no moment says %q: %+v", tt.texts, got.Moments)
			}
			everyBeginning(t, arn, events)
		})
	}
}

// everyBeginning reads the beginnings of a history (about twenty of a long one), as one who watches does: nothing that was
// told is told differently later.
func everyBeginning(t *testing.T, arn string, events []types.HistoryEvent) {
	t.Helper()
	whole := story.Read(arn, events)
	var last time.Time
	for _, m := range whole.Moments {
		for _, iv := range m.Intervals {
			if !iv.From.After(last) {
				t.Fatalf("the measurement of %v is told twice", iv.From)
			}
			last = iv.From
		}
	}
	for n := 1; n < len(events); n += 1 + len(events)/20 {
		s := story.Read(arn, events[:n])
		if len(s.Moments) > len(whole.Moments) || cmp.Diff(s.Moments, whole.Moments[:len(s.Moments)]) != "" {
			t.Fatalf("after %d events another story is told", n)
		}
		if s.Elapsed(enginetest.Start.Add(24*time.Hour)) < 0 {
			t.Fatalf("after %d events the rollout took %v", n, s.Elapsed(enginetest.Start))
		}
	}
}

func TestTheTokenIsThatOfTheStateThatWaits(t *testing.T) {
	s := ready(t, 0)
	s.Clock.Begin()
	arn := s.Begin(t, nil)
	done := make(chan struct{})
	s.Clock.AfterFunc(30*time.Second, func() {
		defer close(done)
		got := story.Read(arn, s.History(t, arn))
		if got.Token == "" || got.Token != s.Token(arn) || got.State != "HealthCheck" {
			t.Errorf("token %q in state %s; want that of HealthCheck", got.Token, got.State)
		}
		if b, err := json.Marshal(got); err != nil || strings.Contains(string(b), got.Token) {
			t.Errorf("the token is written out (%v)", err)
		}
	})
	s.Clock.End()
	<-done
	if err := s.Engine.Wait(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
}

// What the local engine does not make: a redrive, a task that times out, an event of a kind that
// does not exist yet, output that is no document of ours.
func TestHistoriesFromElsewhere(t *testing.T) {
	at := aws.Time(enginetest.Start)
	events := []types.HistoryEvent{
		{Id: 1, Timestamp: at, Type: types.HistoryEventTypeExecutionStarted, ExecutionStartedEventDetails: &types.ExecutionStartedEventDetails{}},
		{Id: 2, Timestamp: at, Type: types.HistoryEventTypeTaskStateEntered, StateEnteredEventDetails: &types.StateEnteredEventDetails{Name: aws.String("HealthCheck")}},
		{Id: 3, Timestamp: at, Type: types.HistoryEventTypeTaskScheduled, TaskScheduledEventDetails: &types.TaskScheduledEventDetails{Parameters: aws.String(`{"Payload":{"token":"key"}}`)}},
		{Id: 4, Timestamp: at, Type: types.HistoryEventTypeTaskTimedOut, TaskTimedOutEventDetails: &types.TaskTimedOutEventDetails{Error: aws.String("States.Timeout")}},
		{Id: 5, Timestamp: at, Type: "NewKindOfEvent"},
		{Id: 6, Timestamp: at, Type: types.HistoryEventTypeTaskStateExited, StateExitedEventDetails: &types.StateExitedEventDetails{Name: aws.String("HealthCheck"), Output: aws.String(`"no document"`)}},
		{Id: 7, Timestamp: at, Type: types.HistoryEventTypeExecutionTimedOut},
	}
	s := story.Read("arn:aws:states:eu-central-1:1:execution:stepcanary:x", events)
	if s.Name != "x" || s.Outcome != "TimedOut" || s.Running() || s.Token != "" {
		t.Errorf("story = %+v", s)
	}
	if got := kinds(s); got != "started, troubled, over 0" {
		t.Errorf("moments %s", got)
	}
	s = story.Read("x", append(events, types.HistoryEvent{Id: 8, Timestamp: at, Type: types.HistoryEventTypeExecutionRedriven}))
	if !s.Running() || s.Outcome != "" || s.Reason != "" {
		t.Errorf("after a redrive: %+v", s)
	}
	if s = story.Read("x", events[:3]); s.Token != "key" {
		t.Errorf("token %q while the task waits", s.Token)
	}
	if s = story.Read("x", events[:4]); s.Token != "" {
		t.Errorf("token %q after the task timed out", s.Token)
	}
	if s = story.Read("", nil); len(s.Moments) != 0 || s.Elapsed(time.Now()) != 0 {
		t.Errorf("without events: %+v", s)
	}
}

// What a gate before the first weight is waited for is told once, and then what it led to.
func TestTheStoryOfAGate(t *testing.T) {
	s := ready(t, 0)
	s.Web = enginetest.Answer(`{"hookStatus": "IN_PROGRESS", "reason": "2 of 3 tests"}`)
	arn := s.Run(t, enginetest.Fields{"webhooks": []enginetest.Fields{
		{"name": "smoke", "phase": "pre-rollout", "url": "https://smoke.example/", "limit": "10m"},
	}})
	var told []string
	for _, m := range story.Read(arn, s.History(t, arn)).Moments {
		if m.Kind == story.Holding || m.Kind == story.Troubled || m.Kind == story.Over {
			told = append(told, m.Text)
		}
	}
	want := []string{
		`checkout-2: gate "smoke" says not yet: 2 of 3 tests`,
		`checkout-2: inconclusive: gate "smoke" said not yet for 10m0s: 2 of 3 tests`,
		`RolledBack: checkout-2: inconclusive: gate "smoke" said not yet for 10m0s: 2 of 3 tests`,
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// A webhook's address is often all that it takes to use it, and what a gate is told may be a secret
// too. Both were in the report and in what the status and the history write as JSON.
func TestAddressesOfWebhooksAreInNoStory(t *testing.T) {
	s := ready(t, 0)
	s.Web = enginetest.Answer(`{"hookStatus": "SUCCEEDED"}`)
	arn := s.Run(t, enginetest.Fields{
		"webhooks": []enginetest.Fields{
			{"name": "smoke", "phase": "pre-rollout", "url": "https://smoke.example/hunter2?token=hunter2", "metadata": enginetest.Fields{"key": "hunter2"}},
		},
		"notifications": []enginetest.Fields{
			{"name": "team", "url": "https://hooks.example/services/hunter2", "format": "slack"},
			{"name": "board", "url_from": "env:STEPCANARY_SECRET_BOARD"},
		},
	})
	told := story.Read(arn, s.History(t, arn))
	written, err := json.Marshal(told)
	if err != nil || strings.Contains(string(written), "hunter2") {
		t.Errorf("Read() = %s, %v; want no address and no metadata in it", written, err)
	}
	ro := told.Rollout
	if told.Outcome != step.OutcomePromoted || len(ro.Gates) != 1 || len(ro.Receivers) != 2 {
		t.Fatalf("Read() = %s, %q, with gates %+v and receivers %+v", told.Outcome, told.Reason, ro.Gates, ro.Receivers)
	}
	if g, r := ro.Gates[0], ro.Receivers; g.Name != "smoke" || g.Phase != "pre-rollout" || g.Limit == 0 || r[0].Name != "team" || r[1].URLFrom != "env:STEPCANARY_SECRET_BOARD" {
		t.Errorf("Read() has gate %+v and receivers %+v; want names, phases, limits and references kept", g, r)
	}
}

func TestAStepThatIsHeldSaysWhyWhenItsHoldIsOver(t *testing.T) {
	s := ready(t, 0)
	script := meter.Steady(100, map[string]float64{"checkout-1": 0, "checkout-2": 0})
	now := s.Clock.Now().Sub(enginetest.Start)
	script.Down = []meter.Span{{From: now + 10*time.Second, To: now + time.Hour}}
	s.Meter.Play("shop", "checkout", script)
	arn := s.Run(t, enginetest.Fields{"wait_time": "30s"})
	moments := story.Read(arn, s.History(t, arn)).Moments
	i := slices.IndexFunc(moments, func(m story.Moment) bool { return m.Kind == story.Shifted })
	if i < 0 || i+1 >= len(moments) {
		t.Fatalf("moments %+v; want a look after the shift", moments)
	}
	first := moments[i+1]
	if after := first.At.Sub(moments[i].At); first.Kind != story.Looked || first.Action != rollout.Watch || after > 31*time.Second {
		t.Errorf("%v after the shift: %s, %s; want a look within the hold of 30s that says what is waited for", after, first.Kind, first.Action)
	}
	if !strings.Contains(first.Text, "the metrics source does not answer") {
		t.Errorf("reason %q; want that the source is silent", first.Text)
	}
}

// The way back is told for the moment in which it was in force, not for the end of the drain.
func TestTheWayBackIsToldWhenItIsInForce(t *testing.T) {
	s := ready(t, 0.3)
	arn := s.Run(t, enginetest.Fields{"drain": "40s"})
	got := story.Read(arn, s.History(t, arn))
	back := got.Moments[len(got.Moments)-2]
	if drained := got.Ended.Sub(back.At); back.Kind != story.Shifted || back.Weight != 0 || drained < 40*time.Second {
		t.Errorf("%v before the end: %s with %d %%; want 0 %% in force before the drain of 40s", drained, back.Kind, back.Weight)
	}
}

// A shift that fails leaves the document with the one before, which is not told again.
func TestAFailedShiftIsNotToldAsTheOneBefore(t *testing.T) {
	at := aws.Time(enginetest.Start)
	exit := func(id int64) types.HistoryEvent {
		return types.HistoryEvent{Id: id, Timestamp: at, StateExitedEventDetails: &types.StateExitedEventDetails{
			Name:   aws.String("ShiftWeight"),
			Output: aws.String(`{"shift":{"step":0,"weight":10,"observed":true,"since":"2026-11-21T09:00:00Z","reason":"10 % is in force"}}`),
		}}
	}
	s := story.Read("x", []types.HistoryEvent{exit(1), exit(2)})
	if got := kinds(s); len(s.Moments) != 1 || got != "shifted 10" {
		t.Errorf("%d moments: %s", len(s.Moments), got)
	}
}
