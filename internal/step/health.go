package step

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/workload"
)

const (
	// watchFor is the longest remaining time that is watched from beginning to end; what is
	// longer waits on the token and is looked at now and then. See docs/adr.
	watchFor = 30 * time.Minute
	// looks is into how many parts such a long time is cut: it bounds the history.
	looks = 400
	// shortestWait between two looks of a long time.
	shortestWait = time.Minute
	// mostIntervals of one answer, so that it stays far below the state machine's 256 KiB.
	mostIntervals = 600
)

// HealthCheck watches one step until there is something to decide.
type HealthCheck struct {
	Open  Opener
	Meter MeterOpener
	Clock clock.Clock
	Hooks HookOpener
}

// Run watches for at most one slice. It writes nothing: a second watcher does no harm.
func (s HealthCheck) Run(ctx context.Context, ev Event) (Watch, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Watch{}, err
	}
	if sh := ev.Document.Shift; sh == nil || !ev.Document.Rollout.has(sh.Step) {
		return Watch{}, fmt.Errorf("read document: %w: shift is missing, or has a step that the rollout has not", fault.Invalid)
	}
	w := watcher{HealthCheck: s, ro: *ev.Document.Rollout, shift: *ev.Document.Shift, access: access}
	w.out = resume(w.ro, w.shift, ev.Document.Watch)
	if ready := ev.Document.Ready; ev.Document.Watch == nil && ready != nil {
		w.out.Heard, w.out.Told = ready.Heard, ready.Told
	}
	w.hear(ev.Document.Asked)
	if w.meter, err = s.meter(ctx, w.ro); err != nil {
		return Watch{}, err
	}
	phase, next := w.ahead()
	if w.gates, err = newAsking(ctx, s.Hooks, s.Clock, w.ro, phase, next, w.out.Gates); err != nil {
		return Watch{}, err
	}
	defer w.gates.Close()
	w.messages = newMessenger(ctx, s.Hooks, s.Clock, w.ro)
	out, err := w.watch(ctx)
	wait := tellFor
	if err != nil || out.Action == rollout.RollBack {
		wait = 0 // the way back waits for no message
	}
	w.messages.Close(wait)
	return out, err
}

// resume is the state of the last look, or that of a step that was just begun.
func resume(ro Rollout, shift Shift, last *Watch) Watch {
	if last == nil {
		out := Watch{Of: shift.Step}
		if shift.Weight == 100 {
			out.State = out.State.Bake()
		}
		return out
	}
	out := Watch{Of: shift.Step, State: last.State, Promote: last.Promote, Heard: last.Heard, Told: last.Told}
	switch {
	case last.Of == shift.Step:
		out.Paused, out.Approved, out.Looks = last.Paused, last.Approved, last.Looks
		out.Judgement, out.Status = last.Judgement, last.Status
		out.Needs, out.Gates, out.Waived, out.Decided = last.Needs, last.Gates, last.Waived, last.Decided
	case shift.Weight == 100:
		out.State = out.State.Bake()
	default:
		out.State = out.State.NextStep()
	}
	return out
}

// A watcher is one run of HealthCheck.
type watcher struct {
	HealthCheck
	ro       Rollout
	shift    Shift
	access   Access
	meter    metric.Meter
	follower workload.Follower
	out      Watch
	served   bool // the canary had a ready pod at this weight
	gates    *asking
	messages *messenger
	readAt   time.Time // when the metrics source has something new to say
}

// hear takes up a person's request, once.
func (w *watcher) hear(asked *Asked) {
	wish, id, ok := asked.wish()
	if !ok || id == w.out.Heard {
		return
	}
	w.out.Heard = id
	now := w.Clock.Now()
	if !w.out.Paused.IsZero() && wish != rollout.WishPause {
		anew(w.out.Gates, now)
	}
	switch wish {
	case rollout.WishPause:
		w.out.Paused, w.out.Looks = now, 0
		return
	case rollout.WishPromote:
		w.out.Promote = true
		w.out.Decided = w.out.Decided || w.out.Needs == rollout.NeedVerdict
	case rollout.WishResume:
	default:
		return
	}
	w.out.Paused, w.out.Approved = time.Time{}, true
	w.out.Waived = w.out.Waived || w.out.Needs == rollout.NeedGate
}

// wish is what a person wants, and the request's name. What is no request of ours gives nothing
// to obey.
func (a *Asked) wish() (w rollout.Wish, id string, ok bool) {
	var r Request
	if a == nil || json.Unmarshal([]byte(a.Cause), &r) != nil {
		return rollout.NoWish, "", false
	}
	return r.Wish, r.ID + a.ID, true
}

// ahead is what stands before the end of this step, and the weight behind it.
func (w *watcher) ahead() (hook.Phase, rollout.Weight) {
	steps := w.ro.Plan.Steps
	if w.shift.Step+1 < len(steps) {
		return hook.PreStep, steps[w.shift.Step+1].Weight
	}
	return hook.PrePromotion, 100
}

// watch looks until there is something to decide, or the slice is over.
func (w *watcher) watch(ctx context.Context) (Watch, error) {
	f, err := w.access.Cluster.Follow(ctx, w.ro.Service, w.ro.Canary)
	if err != nil {
		return Watch{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
	}
	defer f.Close()
	w.follower = f
	w.served = w.shift.Weight > 0
	w.tellStep()
	end := w.sliceEnd()
	pause := time.Duration(0)
	for {
		if w.out.Status, err = f.Next(ctx, pause); err != nil {
			return Watch{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
		}
		if err := w.measure(ctx); err != nil {
			return Watch{}, err
		}
		d := w.decide()
		if d.AskGates {
			w.gates.ask()
		}
		now := w.Clock.Now()
		switch {
		case d.AskGates && w.gates.busy():
			pause = whileAsking
		case d.Action == rollout.Advance || d.Action == rollout.Promote:
			return w.answer(ctx, d), stands(ctx, w.access, w.ro, w.shift.Weight)
		case d.Action != rollout.Watch || !now.Before(end) || len(w.out.Intervals) >= mostIntervals:
			return w.answer(ctx, d), nil
		default:
			pause = min(d.After, end.Sub(now), w.readAt.Sub(now))
			if d.AskGates {
				pause = min(pause, w.gates.next())
			}
		}
		pause = max(time.Millisecond, pause)
	}
}

// stands makes sure that a weight is in force still. Somebody, or a tool that holds the route to what is in git, may have
// taken it back; what was measured since says nothing about the canary then, where the source counts all versions together.
func stands(ctx context.Context, access Access, ro Rollout, weight rollout.Weight) error {
	router, err := access.Router(ro.Router)
	if err != nil {
		return err
	}
	state, err := router.Await(ctx, ro.Route, ro.Split(weight), patience)
	if err != nil {
		return fmt.Errorf("look for %d %% on %s: %w", weight, ro.Route.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("look for %d %% on %s: %w: it was in force, and is not any more: %s", weight, ro.Route.Route, fault.NotObserved, state.Why)
	}
	return nil
}

// sliceEnd is when this look is over. It ends with the hold, so that the history tells at once what a step that
// goes on is held for.
func (w *watcher) sliceEnd() time.Time {
	now := w.Clock.Now()
	end := now.Add(slice)
	held := w.shift.Since.Add(time.Duration(w.ro.Plan.Steps[w.shift.Step].Hold))
	if held.After(now) && held.Before(end) {
		return held
	}
	return end
}

// answer is the decision with all that led to it.
func (w *watcher) answer(ctx context.Context, d rollout.Decision) Watch {
	out := w.out
	out.Action, out.Step, out.Reason, out.At = d.Action, d.Step, d.Reason, w.Clock.Now()
	if words := w.cut(ctx); words != "" {
		out.Reason = strings.TrimSuffix(out.Reason, ".") + "; " + words
	}
	if d.Action == rollout.Watch && d.After > watchFor {
		out.Action = rollout.Wait
	}
	if out.Gates = w.gates.words(); out.Needs != d.Needs {
		out.Needs, out.Looks = d.Needs, 0
	}
	out.Told = w.tellHold(out)
	if out.Action == rollout.Wait {
		out.Looks++
		out.WaitSeconds = int(min(d.After, max(shortestWait, w.stretch(d)/looks)).Seconds()) + 1
	}
	return out
}

// stretch is the whole of the time that d.After is the rest of: a pause, the hold, the
// patience, or the wait for a person. A part of the whole, and not of the rest, is
// what keeps the number of looks at most looks. spec.Budget counts on it.
func (w *watcher) stretch(d rollout.Decision) time.Duration {
	plan := w.ro.Plan
	hold := time.Duration(plan.Steps[w.shift.Step].Hold)
	switch {
	case !w.out.Paused.IsZero():
		return time.Duration(plan.PauseLimit)
	case w.Clock.Now().Sub(w.shift.Since) < hold:
		return hold
	case d.AskGates && d.Action == rollout.Watch:
		return w.gates.longest()
	case d.Action == rollout.Wait:
		return time.Duration(plan.PauseLimit)
	case plan.Evidence:
		return time.Duration(plan.Patience) + max(0, time.Duration(plan.Cap)-hold)
	}
	return time.Duration(plan.Patience)
}

// decide asks the rules.
func (w *watcher) decide() rollout.Decision {
	now := w.Clock.Now()
	j := w.out.Judgement
	l := rollout.Look{
		Verdict: j.Verdict, Hold: j.Hold, Enough: j.Enough, Exhausted: j.Exhausted, Reason: w.why(j),
		Broken: w.broken(), Elapsed: now.Sub(w.shift.Since), Approved: w.out.Approved,
		Promote: w.out.Promote, Decided: w.out.Decided, First: w.ro.First(), Gates: w.gates.gateWords(), Waived: w.out.Waived,
	}
	if w.ro.KubernetesOnly {
		l.Verdict, l.Enough = analysis.Healthy, true
	}
	if !w.out.Paused.IsZero() {
		l.Paused = max(1, now.Sub(w.out.Paused))
	}
	if whole := time.Duration(w.ro.Deadlines.Whole); whole > 0 && now.Sub(w.ro.Started) > whole {
		return rollout.Decision{Action: rollout.RollBack, Step: w.shift.Step,
			Reason: fmt.Sprintf("the rollout is older than its deadline of %v", whole)}
	}
	return w.ro.Plan.Next(w.shift.Step, l)
}

// why is the judge's sentence, or what kept it from judging.
func (w *watcher) why(j analysis.Judgement) string {
	switch {
	case w.ro.KubernetesOnly:
		return fmt.Sprintf("%d of %d pods ready; nothing else can judge this service", w.out.Status.Ready, w.out.Status.Desired)
	case w.ro.First() && j.Verdict != analysis.Unhealthy && (j.Verdict == analysis.Inconclusive || j.Reason == ""):
		text := fmt.Sprintf("first deployment: %d of %d pods ready; %d requests were seen", w.out.Status.Ready, w.out.Status.Desired, j.Canary.Requests)
		if w.out.Trouble != "" {
			text += "; the metrics source does not answer: " + w.out.Trouble
		}
		return text
	case w.out.Trouble != "" && j.Verdict == analysis.Inconclusive:
		return "the metrics source does not answer: " + w.out.Trouble
	case j.Reason == "":
		return "nothing measured yet"
	}
	return j.Reason
}

// broken tells why the canary cannot serve the requests that it gets.
func (w *watcher) broken() string {
	st := w.out.Status
	switch {
	case st.Fatal:
		return w.ro.Canary.Name + ": " + st.Problem
	case w.served && st.Ready == 0:
		text := fmt.Sprintf("%s has no ready pod at %d %%", w.ro.Canary.Name, w.shift.Weight)
		if st.Problem != "" {
			text += ": " + st.Problem
		}
		return text
	}
	return ""
}
