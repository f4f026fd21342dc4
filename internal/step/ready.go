package step

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// slice is the longest that one invocation watches. What it saw is in the execution's
// history only when it ends, so it is short enough for people to follow.
const slice = time.Minute

// AwaitReady watches the new version until nothing stands against giving it
// weight: all pods ready and behind the Service, the route accepted, and the gates
// before the first weight open.
type AwaitReady struct {
	Open  Opener
	Clock clock.Clock
	Hooks HookOpener
}

// Run watches for at most one slice. Action wait asks for another.
func (s AwaitReady) Run(ctx context.Context, ev Event) (Ready, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Ready{}, err
	}
	w := waiter{AwaitReady: s, ro: *ev.Document.Rollout, access: access, out: Ready{Since: s.Clock.Now()}}
	if ev.Document.Ready != nil {
		w.out = *ev.Document.Ready
	}
	w.hear(ev.Document.Asked)
	first := w.ro.Plan.Steps[0].Weight
	if w.gates, err = newAsking(ctx, s.Hooks, s.Clock, w.ro, hook.PreRollout, first, w.out.Gates); err != nil {
		return Ready{}, err
	}
	defer w.gates.Close()
	follower, err := access.Cluster.Follow(ctx, w.ro.Service, w.ro.Canary)
	if err != nil {
		return Ready{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
	}
	defer follower.Close()
	d, err := w.watch(ctx, follower)
	if err != nil {
		return Ready{}, err
	}
	if d.Action == rollout.Advance && w.ro.First() {
		if err := w.enter(ctx, ev.Document.Deployed); err != nil {
			return Ready{}, err
		}
	}
	return w.answer(ctx, d), nil
}

// enter writes the route of a first deployment, now that it leads somewhere: before, it would take users from whatever
// served its paths until then. Nobody fences a route that is not there yet, so the lock does.
func (w *waiter) enter(ctx context.Context, deployed *Deployed) error {
	if deployed == nil || len(deployed.Entrance) == 0 {
		return nil
	}
	if _, _, err := holding(ctx, w.Open, &w.ro); err != nil {
		return err
	}
	owner := workload.Ownership{Service: w.ro.Service, Version: w.ro.Canary.Number, Execution: w.ro.Execution}
	if err := w.access.Cluster.Apply(ctx, deployed.Entrance, owner); err != nil {
		return fmt.Errorf("apply the route of %s: %w", w.ro.Service.Name, err)
	}
	return nil
}

// A waiter is one run of AwaitReady.
type waiter struct {
	AwaitReady
	ro     Rollout
	access Access
	gates  *asking
	out    Ready
	end    time.Time // when the slice is over
	taken  bool      // the route's controller has taken up the new back end
}

// hear takes up a person's word about gates that keep silent. Every other request is for a
// later step to hear, and so is one that came before anybody was asked: it says nothing about a gate
// that falls silent after it.
func (w *waiter) hear(asked *Asked) {
	wish, id, ok := asked.wish()
	if !ok || id == w.out.Seen {
		return
	}
	w.out.Seen = id
	if w.out.Needs == rollout.NeedGate && (wish == rollout.WishResume || wish == rollout.WishPromote) {
		w.out.Heard, w.out.Waived = id, true
	}
}

// watch looks until the version is ready and the gates are open, or never will be, or the slice is
// over.
func (w *waiter) watch(ctx context.Context, f workload.Follower) (rollout.Decision, error) {
	w.end = w.Clock.Now().Add(slice)
	pause := time.Duration(0)
	for {
		var err error
		if w.out.Status, err = f.Next(ctx, max(0, pause)); err != nil {
			return rollout.Decision{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
		}
		d, err := w.decide(ctx)
		if err != nil {
			return d, err
		}
		now := w.Clock.Now()
		switch {
		case d.AskGates && w.gates.busy():
			pause = whileAsking
		case d.Action == rollout.Advance, d.Action == rollout.RollBack, !now.Before(w.end):
			return d, nil
		default:
			pause = max(time.Millisecond, min(d.After, w.end.Sub(now)))
			if d.AskGates {
				pause = max(time.Millisecond, min(pause, w.gates.next()))
			}
		}
	}
}

// decide tells whether the version may have weight, and asks the gates when nothing else stands
// against it.
func (w *waiter) decide(ctx context.Context) (rollout.Decision, error) {
	st, now := w.out.Status, w.Clock.Now()
	left := w.out.Since.Add(time.Duration(w.ro.Deadlines.Ready)).Sub(now)
	switch {
	case st.Available():
	case st.Fatal:
		return rollout.Decision{Action: rollout.RollBack, Reason: st.Problem}, nil
	case left <= 0:
		return rollout.Decision{Action: rollout.RollBack, Reason: notYet(st) + " at the deadline"}, nil
	default:
		return rollout.Decision{Action: rollout.Watch, Reason: notYet(st), After: left}, nil
	}
	if !w.taken && !w.ro.First() {
		w.out.Since = now // ready it was; from here on the route's own limit counts
		if d, err := w.accepted(ctx); err != nil || d.Action != rollout.Advance {
			return d, err
		}
	}
	w.taken = true
	ready := fmt.Sprintf("%d of %d pods ready", st.Ready, st.Desired)
	d := w.ro.Plan.Start(rollout.Look{Reason: ready, Gates: w.gates.gateWords(), Waived: w.out.Waived})
	if d.AskGates {
		w.out.Since = now // ready it was; from here on the gates' own limits count
		w.gates.ask()
	}
	return d, nil
}

// answer is the decision with all that led to it, and tells people that they are waited for.
func (w *waiter) answer(ctx context.Context, d rollout.Decision) Ready {
	out := w.out
	out.Action = "wait"
	switch d.Action {
	case rollout.Advance:
		out.Action = "ready"
	case rollout.RollBack:
		out.Action = "fail"
	}
	out.Reason = w.ro.Canary.Name + ": " + d.Reason
	out.Gates, out.Needs = w.gates.words(), d.Needs
	if d.Action != rollout.Wait {
		return out
	}
	m := newMessenger(ctx, w.Hooks, w.Clock, w.ro)
	defer m.Close(tellFor)
	hold := w.ro.message(hook.OnHold)
	hold.Needs, hold.Reason, hold.At = string(d.Needs), out.Reason, w.Clock.Now()
	out.Told = m.news(out.Told, hold)
	return out
}

func notYet(st workload.Status) string {
	text := fmt.Sprintf("%d of %d pods ready, %d behind the service", st.Ready, st.Desired, st.Endpoints)
	if st.Problem != "" {
		text += " (" + st.Problem + ")"
	}
	return text
}

// accepted writes the match rules, now that somebody can answer them, and waits until the route's
// controller has taken up the new back end at weight 0: a route that is refused must not
// get weight. It waits for a part of the slice at most, because the pods are not watched
// meanwhile.
func (w *waiter) accepted(ctx context.Context) (rollout.Decision, error) {
	if w.out.Awaited.IsZero() {
		w.out.Awaited = w.Clock.Now()
	}
	deadline := w.out.Awaited.Add(time.Duration(w.ro.Deadlines.Observed))
	state, err := w.await(ctx, min(patience, earlier(deadline, w.end).Sub(w.Clock.Now())))
	if err != nil {
		return rollout.Decision{}, err
	}
	if state.InForce {
		return rollout.Decision{Action: rollout.Advance}, nil
	}
	why := fmt.Sprintf("ready, and route %s has not taken it up: %s", w.ro.Route.Route, state.Why)
	if w.Clock.Now().Before(deadline) {
		return rollout.Decision{Action: rollout.Watch, Reason: why}, nil
	}
	return rollout.Decision{Action: rollout.RollBack, Reason: why + ", at the deadline"}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// await gives the route's state once the match rules are in it, after d at the latest.
func (w *waiter) await(ctx context.Context, d time.Duration) (traffic.State, error) {
	ro := w.ro
	router, err := w.access.Router(ro.Router)
	if err != nil {
		return traffic.State{}, err
	}
	if m, can := router.(traffic.Matcher); can && len(ro.Match) > 0 {
		if err := m.Match(ctx, ro.Route, ro.Split(0), ro.Match, ro.Fence(1)); err != nil {
			return traffic.State{}, fmt.Errorf("match on route %s: %w", ro.Route.Route, err)
		}
	}
	state, err := router.Await(ctx, ro.Route, ro.Split(rollout.Weight(0)), max(0, d))
	if err != nil {
		return traffic.State{}, fmt.Errorf("await route %s: %w", ro.Route.Route, err)
	}
	return state, nil
}
