package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// event is what the execution's task of that state was given, as a duplicate of it would be.
func (s *scene) event(arn, state string) step.Event {
	s.Helper()
	events, err := s.engine.History(arn, 0, 25000, false, true)
	if err != nil {
		s.Fatal(err)
	}
	for i, e := range events {
		if e.Details.Name != state || !strings.HasSuffix(e.Type, "StateEntered") {
			continue
		}
		var p struct{ Payload step.Event }
		for _, e := range events[i:] {
			if e.Type == "TaskScheduled" {
				if err := json.Unmarshal([]byte(e.Details.Parameters), &p); err != nil {
					s.Fatal(err)
				}
				return p.Payload
			}
		}
	}
	s.Fatalf("%s was never in %s", arn, state)
	return step.Event{}
}

// A seen is all that a step could have changed.
type seen struct {
	Route    traffic.State
	Record   record.Record
	Versions int
}

func (s *scene) seen() (out seen) {
	s.Helper()
	var err error
	if out.Route, err = s.router.Read(s.Context(), route); err != nil {
		s.Fatal(err)
	}
	out.Record = s.record()
	versions, err := s.cluster.Versions(s.Context(), service)
	if err != nil {
		s.Fatal(err)
	}
	out.Versions = len(versions)
	return out
}

// A function that wakes up when its rollout is over, and another one has the lock or
// nobody has, changes nothing.
func TestWhoComesTooLateIsTurnedAway(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	s.end(arn)
	s.comesLate(arn)
	for state, watches := range map[string]func(step.Event){
		"AwaitReady": func(ev step.Event) { _, _ = step.AwaitReady{Open: s.Open, Clock: s.clock}.Run(t.Context(), ev) },
		"HealthCheck": func(ev step.Event) {
			_, _ = step.HealthCheck{Open: s.Open, Clock: s.clock, Meter: s.metrics(nil)}.Run(t.Context(), ev)
		},
	} {
		before := s.seen()
		watches(s.event(arn, state))
		if diff := cmp.Diff(before, s.seen()); diff != "" {
			t.Errorf("%s changed something (-before +after):\n%s", state, diff)
		}
	}
	second := s.begin(nil)
	s.clock.AfterFunc(90*time.Second, func() { s.comesLate(arn) })
	if e := s.end(second); e.Status != asl.Succeeded {
		t.Errorf("the second rollout: %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

// comesLate runs each step that writes with the event of a rollout that is over.
func (s *scene) comesLate(arn string) {
	s.Helper()
	ctx := s.Context()
	for state, run := range map[string]func(step.Event) error{
		"DeployCanary": func(ev step.Event) error {
			_, err := step.Deploy{Open: s.Open, Clock: s.clock}.Run(ctx, ev)
			return err
		},
		"ShiftWeight": func(ev step.Event) error {
			_, err := step.ShiftWeight{Open: s.Open, Clock: s.clock}.Run(ctx, ev)
			return err
		},
	} {
		before := s.seen()
		s.core.Before(func(op string) error {
			if op == "workload.Apply" {
				s.Errorf("%s applied a version", state)
			}
			return nil
		})
		if err := run(s.event(arn, state)); !errors.Is(err, fault.Fenced) {
			s.Errorf("%s: error %v; want it fenced off", state, err)
		}
		s.core.Before(nil)
		if diff := cmp.Diff(before, s.seen()); diff != "" {
			s.Errorf("%s changed something (-before +after):\n%s", state, diff)
		}
	}
	before := s.seen()
	end, err := step.Promote{Open: s.Open, Clock: s.clock}.Run(ctx, s.event(arn, "Promote"))
	if err == nil && end.Outcome != step.OutcomePromoted {
		s.Errorf("Promote again: %+v", end)
	}
	if _, err := (step.Rollback{Open: s.Open, Clock: s.clock}).Run(ctx, s.event(arn, "Promote")); err != nil {
		s.Errorf("Rollback of an ended rollout: %v; want it to do nothing", err)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		s.Errorf("an end of long ago changed something (-before +after):\n%s", diff)
	}
}

// ran tells which executions are over, as the engine does.
type ran struct{ *scene }

func (r ran) Ended(_ context.Context, arn string) (bool, error) {
	d, err := r.engine.Describe(arn)
	if f := (*local.Fault)(nil); errors.As(err, &f) {
		return true, nil // it is unknown
	}
	return err == nil && d.Status != asl.Running, err
}

func (r ran) Input(context.Context, string) (json.RawMessage, error) { return nil, fault.NotFound }

// A duplicate of Prepare that comes when its rollout has ended does not take the lock, whether or
// not another rollout has ended since.
func TestALateStartDoesNotTakeTheLock(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "checkout-3": 0})
	arn := s.begin(nil)
	s.end(arn)
	late := func() {
		t.Helper()
		before := s.seen()
		_, err := step.Prepare{Open: s.Open, Clock: s.clock, Executions: ran{s}, Meter: s.Ports().Meter.Check}.Run(t.Context(), s.event(arn, "Prepare"))
		if !errors.Is(err, fault.Refused) {
			t.Errorf("error %v; want it refused", err)
		}
		if diff := cmp.Diff(before, s.seen()); diff != "" {
			t.Errorf("a late start changed something (-before +after):\n%s", diff)
		}
	}
	late()
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	late()
}

// Whoever is stopped while it goes back for the dead owner brings that to its end, and takes no lock: nobody would be left to
// give it back.
func TestAStartThatIsStoppedInItsRecoveryTakesNoLock(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0})
	s.orphan()
	arn := s.begin(nil)
	if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
		t.Fatal(err)
	}
	s.end(arn)
	// The function lives on, as on AWS.
	prepare := step.Prepare{Open: s.Open, Clock: s.clock, Executions: ran{s}, Meter: s.Ports().Meter.Check}
	if _, err := prepare.Run(t.Context(), s.event(arn, "Prepare")); !errors.Is(err, fault.Refused) {
		t.Errorf("error %v; want it refused", err)
	}
	s.rest()
	if rec := s.record(); rec.Holder != "" || rec.Last.Outcome != step.OutcomeRolledBack {
		t.Errorf("record %+v; want the dead owner's end, and no holder", rec)
	}
}

// A lock that was lost and taken again by the same execution is another lock.
func TestALockOfAnotherEpochIsAnotherLock(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	var err error
	s.clock.AfterFunc(30*time.Second, func() {
		ev := s.event(arn, "ShiftWeight")
		ev.Document.Rollout.Epoch--
		_, err = step.Promote{Open: s.Open, Clock: s.clock}.Run(t.Context(), ev)
	})
	s.end(arn)
	if !errors.Is(err, fault.Fenced) {
		t.Errorf("error %v; want it fenced off", err)
	}
}

// A deployment that was stuck while its rollout ended takes back what it applied, and never
// a version that was promoted meanwhile.
func TestALateDeploymentTakesBackItsOwnAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		promoted bool
		want     int
	}{
		"the rollout went back":            {false, 1},
		"the rollout was promoted without": {true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := deployed(t, healthyUpTo(2))
			arn := s.begin(nil)
			var ev step.Event
			var err error
			s.clock.AfterFunc(time.Minute/2, func() {
				ev = s.event(arn, "DeployCanary")
				s.core.After(func(op string) error {
					if op != "workload.Apply" {
						return nil
					}
					s.core.After(nil)
					fence := s.record().Fence(1 << 20)
					if err := s.router.Settle(t.Context(), route, "checkout-1", "checkout-2", fence); err != nil {
						t.Error(err)
					}
					rec := s.record()
					rec.Holder, rec.Canary = "", rec.Stable
					if tt.promoted {
						rec.Stable.Name = "checkout-2"
					}
					if _, err := s.records.Write(t.Context(), service, rec); err != nil {
						t.Error(err)
					}
					return nil
				})
				_, err = step.Deploy{Open: s.Open, Clock: s.clock}.Run(t.Context(), ev)
				if v, _ := s.cluster.Versions(t.Context(), service); len(v) != tt.want {
					t.Errorf("%d versions; want %d", len(v), tt.want)
				}
			})
			s.end(arn)
			if !errors.Is(err, fault.Fenced) {
				t.Errorf("error %v; want it fenced off", err)
			}
		})
	}
}

// A second delivery of DeployCanary that comes while its own rollout goes on takes nothing back: users are on it.
func TestALateDeploymentLeavesItsOwnRolloutAlone(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	var err error
	s.clock.AfterFunc(90*time.Second, func() {
		_, err = step.Deploy{Open: s.Open, Clock: s.clock}.Run(t.Context(), s.event(arn, "DeployCanary"))
		if st, ok := s.cluster.Status("shop", "checkout-2", s.clock.Now()); !ok || st.Ready == 0 {
			t.Errorf("checkout-2, which has users: %+v, exists %v", st, ok)
		}
	})
	if e := s.end(arn); e.Status != asl.Succeeded || !errors.Is(err, fault.Fenced) {
		t.Errorf("path %s (%s), and the late one: %v; want it fenced off", e.path, e.cause, err)
	}
	s.settled("checkout-2")
}

// The order of an end: recorded first, drained, then removed; and nothing is removed
// while users are on it.
func TestNothingIsRemovedWhileUsersAreOnIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		canary float64
		gone   string
		stays  string
		phase  record.Phase
	}{
		"the old version, promoted": {0, "checkout-1", "checkout-2", record.Promoted},
		"the canary, rolled back":   {1, "checkout-2", "checkout-1", record.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": tt.canary})
			var begun, removed time.Time
			var phase record.Phase
			s.core.Before(func(op string) error {
				now := s.clock.Now()
				share := s.router.Served(route, now)[tt.gone]
				if op == "workload.Remove" {
					removed, phase = now, s.records.Peek(service).Phase
					if share > 0 {
						t.Errorf("%s was removed with %d %% of the users", tt.gone, share)
					}
				}
				return nil
			})
			if tt.phase == record.Promoted {
				s.atPromote(func() { begun = s.clock.Now() })
			} else {
				s.core.After(func(op string) error {
					if op == "record.Write" && s.records.Peek(service).Phase == tt.phase {
						begun = s.clock.Now()
					}
					return nil
				})
			}
			s.run(nil)
			if phase != tt.phase {
				t.Errorf("at the removal the record said %q; want %q", phase, tt.phase)
			}
			if drained := removed.Sub(begun); drained < 10*time.Second {
				t.Errorf("%s was drained for %v; want 10 s", tt.gone, drained)
			}
			s.core.Before(nil)
			s.settled(tt.stays)
		})
	}
}

// Where neither has a pod, users go back to where people look first.
func TestWhereNeitherVersionHasPodsUsersGoToStable(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(80*time.Second, func() {
		s.noPods("checkout-1")
		s.noPods("checkout-2")
	})
	if e := s.end(arn); e.Error == nil || *e.Error != "Canary.RolledBack" {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}

// Going back to a version without a pod would help nobody: users are given to the canary, which
// has some, and a person is called.
func TestAStableVersionWithoutPodsIsNotGoneBackTo(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(80*time.Second, func() {
		s.cluster.Behave("shop", "checkout-1", cluster.Script{Outages: []cluster.Outage{{}}})
	})
	s.ask(arn, 90*time.Second, fault.Aborted, "the dashboard looks odd")
	e := s.end(arn)
	if e.Error == nil || *e.Error != "Canary.NeedsOperator" || !strings.Contains(e.cause, "given to checkout-2") ||
		!strings.Contains(e.cause, "the dashboard looks odd") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	if diff := cmp.Diff(weights{"checkout-2": 100}, s.router.Served(route, s.clock.Now())); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// The decision is written down before anybody is moved, and a twin of the way back that was stuck since stable was
// still alive is turned away.
func TestATwinDoesNotUndoThatUsersStay(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(80*time.Second, func() {
		s.cluster.Behave("shop", "checkout-1", cluster.Script{Outages: []cluster.Outage{{}}})
	})
	var phase record.Phase
	s.core.Before(func(op string) error {
		if op == "traffic.Settle" {
			phase = s.records.Peek(service).Phase
		}
		return nil
	})
	s.ask(arn, 90*time.Second, fault.Aborted, "")
	s.end(arn)
	if phase != record.Staying {
		t.Errorf("users were moved in phase %q; want %q", phase, record.Staying)
	}
	twin := rollout.Fence{Epoch: s.record().Epoch, Seq: rollout.Last}
	if err := s.router.Settle(t.Context(), route, "checkout-1", "checkout-2", twin); !errors.Is(err, fault.Fenced) {
		t.Errorf("a late way back to stable: %v; want it fenced off", err)
	}
	if diff := cmp.Diff(weights{"checkout-2": 100}, s.router.Served(route, s.clock.Now())); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

// A way back that cannot be finished ends with a person, and the lock is kept.
func TestAWayBackThatFailsCallsAPerson(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	s.clock.AfterFunc(80*time.Second, func() { s.router.Script(router.Script{Never: true, Why: "no controller"}) })
	s.ask(arn, 90*time.Second, fault.Aborted, "")
	e := s.end(arn)
	if e.Error == nil || *e.Error != "Canary.NeedsOperator" || !strings.Contains(e.cause, "no controller") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	if rec := s.record(); rec.Holder != arn {
		t.Errorf("holder %q; want the lock kept", rec.Holder)
	}
}

// What is judged of a step lies between the moment its weight was seen in force and now minus
// the source's lag, whatever happened before.
func TestTheJudgedWindowBeginsWithTheShift(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	var windows []metric.Window
	var ev step.Event
	var asked time.Time
	s.clock.AfterFunc(30*time.Second, func() {
		ev, asked = s.event(arn, "HealthCheck"), s.clock.Now()
		if _, err := (step.HealthCheck{Open: s.Open, Clock: s.clock, Meter: s.metrics(&windows)}).Run(t.Context(), ev); err != nil {
			t.Error(err)
		}
	})
	s.end(arn)
	if len(windows) == 0 {
		t.Fatal("the source was not asked")
	}
	since := ev.Document.Shift.Since
	if from := windows[0].From; from.Before(since) {
		t.Errorf("the window begins %v before the shift", since.Sub(from))
	}
	if age := asked.Sub(windows[0].To); age < 2*time.Second {
		t.Errorf("the window ends %v ago; the source lags 2 s", age)
	}
}

// metrics opens the scene's meter, and notes the windows that are asked for.
func (s *scene) metrics(windows *[]metric.Window) step.MeterOpener {
	return func(context.Context, json.RawMessage) (metric.Meter, error) {
		return noting{s.meter, windows}, nil
	}
}

type noting struct {
	*meter.Meter
	windows *[]metric.Window
}

func (n noting) Intervals(ctx context.Context, sub metric.Subject, w metric.Window) ([]analysis.Interval, error) {
	if n.windows != nil {
		*n.windows = append(*n.windows, w)
	}
	return n.Meter.Intervals(ctx, sub, w)
}

// At 100 % the judge knows that nothing is left to compare with.
func TestTheBakeIsJudgedAsABake(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]fields{
		"after other steps": nil,
		"at once":           {"percentage_step": 100},
	} {
		s, arn := running(t, extra)
		if e := s.end(arn); e.Status != asl.Succeeded {
			t.Fatalf("%s: path %s (%s)", name, e.path, e.cause)
		}
		if w := s.event(arn, "Promote").Document.Watch; w == nil || !w.State.Baking {
			t.Errorf("%s: the last look's state is %+v; want a bake", name, w)
		}
	}
}
