package step

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// patience is how long one invocation waits for a weight to come into force.
const patience = 20 * time.Second

// ShiftWeight writes the weight of a step and waits until it is in force.
type ShiftWeight struct {
	Open  Opener
	Clock clock.Clock
}

// Run does it. Observed is false where the weight is not in force yet; past the step's
// deadline that is fault.NotObserved, and fault.NotReady where the canary cannot serve meanwhile.
func (s ShiftWeight) Run(ctx context.Context, ev Event) (Shift, error) {
	access, err := s.open(ctx, ev.Document)
	if err != nil {
		return Shift{}, err
	}
	ro := *ev.Document.Rollout
	out := s.goal(ev.Document)
	router, err := access.Router(ro.Router)
	if err != nil {
		return Shift{}, err
	}
	// Seq 1 was DeployCanary's; the way back has rollout.Last.
	fence := ro.Fence(int64(out.Step) + 2)
	if ro.First() {
		err = router.Settle(ctx, ro.Route, ro.Canary.Name, ro.Replaces, fence)
	} else {
		err = router.Shift(ctx, ro.Route, ro.Split(out.Weight), fence)
	}
	if err != nil {
		return Shift{}, fmt.Errorf("shift %s to %d %%: %w", ro.Route.Route, out.Weight, err)
	}
	state, err := router.Await(ctx, ro.Route, ro.Split(out.Weight), min(patience, time.Duration(ro.Deadlines.Observed)))
	if err != nil {
		return Shift{}, fmt.Errorf("await %d %% on %s: %w", out.Weight, ro.Route.Route, err)
	}
	// To the millisecond, as measurements are written down: what is judged again later
	// must be cut at the same moments.
	now := s.Clock.Now().UTC().Truncate(time.Millisecond)
	if !state.InForce {
		if !now.Before(out.Deadline) {
			return Shift{}, fmt.Errorf("await %d %% on %s: %w: %s", out.Weight, ro.Route.Route, fault.NotObserved, state.Why)
		}
		out.Reason = fmt.Sprintf("%d %% is written and not in force: %s", out.Weight, state.Why)
		return out, canServe(ctx, access, ro, out)
	}
	out.Observed, out.Since = true, now
	out.Reason = fmt.Sprintf("%d %% is in force", out.Weight)
	tell(ctx, access, ro, "WeightShifted", fmt.Sprintf("Advance %s canary weight %d", ro.Service.Name, out.Weight))
	return out, nil
}

// canServe looks once at the canary while its weight is awaited: one part of the data plane may have it, and users with it,
// long before the last one tells.
func canServe(ctx context.Context, access Access, ro Rollout, sh Shift) error {
	f, err := access.Cluster.Follow(ctx, ro.Service, ro.Canary)
	if err != nil {
		return fmt.Errorf("follow %s: %w", ro.Canary.Name, err)
	}
	defer f.Close()
	w := watcher{ro: ro, shift: sh, served: sh.Weight > 0}
	if w.out.Status, err = f.Next(ctx, 0); err != nil {
		return fmt.Errorf("follow %s: %w", ro.Canary.Name, err)
	}
	if why := w.broken(); why != "" {
		return fmt.Errorf("await %d %% on %s: %w: %s", sh.Weight, ro.Route.Route, fault.NotReady, why)
	}
	return nil
}

// fresh is how old the word may be that leads here. In a rollout that goes on it is not a second old.
const fresh = 10 * time.Second

// open opens the cluster. Where the word that leads here is old, the lock is looked at: an execution that is redriven the next
// day has ended long ago, and a route that was made anew since has no fence to tell it.
func (s ShiftWeight) open(ctx context.Context, doc Document) (Access, error) {
	var said time.Time
	switch {
	case doc.Watch != nil:
		said = doc.Watch.At
	case doc.Ready != nil:
		said = doc.Ready.Since
	}
	if s.Clock.Now().Sub(said) < fresh {
		return reach(ctx, s.Open, doc.Rollout)
	}
	access, _, err := holding(ctx, s.Open, doc.Rollout)
	return access, err
}

// goal is the step to be in: the first, or the one that HealthCheck chose.
func (s ShiftWeight) goal(doc Document) Shift {
	step := 0
	if doc.Watch != nil {
		step = doc.Watch.Step
	}
	steps := doc.Rollout.Plan.Steps
	step = min(max(step, 0), len(steps)-1)
	if doc.Shift != nil && doc.Shift.Step == step && !doc.Shift.Observed {
		return *doc.Shift // the same shift again: its deadline stays
	}
	deadline := s.Clock.Now().Add(time.Duration(doc.Rollout.Deadlines.Observed))
	return Shift{Step: step, Weight: rollout.Weight(steps[step].Weight), Deadline: deadline}
}
