package step

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// slice is the longest that one invocation watches. What it saw is in the execution's
// history only when it ends, so it is short enough for people to follow.
const slice = time.Minute

// AwaitReady watches the new version until nothing stands against giving it
// weight: all pods ready and behind the Service, and the route accepted.
type AwaitReady struct {
	Open  Opener
	Clock clock.Clock
}

// Run watches for at most one slice. Action wait asks for another.
func (s AwaitReady) Run(ctx context.Context, ev Event) (Ready, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Ready{}, err
	}
	ro := *ev.Document.Rollout
	since := s.Clock.Now()
	if ev.Document.Ready != nil {
		since = ev.Document.Ready.Since
	}
	follower, err := access.Cluster.Follow(ctx, ro.Service, ro.Canary)
	if err != nil {
		return Ready{}, fmt.Errorf("follow %s: %w", ro.Canary.Name, err)
	}
	defer follower.Close()
	status, action, reason, err := s.watch(ctx, follower, since.Add(time.Duration(ro.Deadlines.Ready)))
	if err != nil {
		return Ready{}, fmt.Errorf("follow %s: %w", ro.Canary.Name, err)
	}
	if action == "ready" && !ro.First() {
		if err := s.accepted(ctx, access, ro); err != nil {
			return Ready{}, err
		}
	}
	return Ready{Action: action, Reason: ro.Canary.Name + ": " + reason, Since: since, Status: status}, nil
}

func (s AwaitReady) watch(ctx context.Context, f workload.Follower, deadline time.Time) (status workload.Status, action, reason string, err error) {
	end := s.Clock.Now().Add(slice)
	for {
		now := s.Clock.Now()
		status, err = f.Next(ctx, max(0, min(deadline.Sub(now), end.Sub(now))))
		now = s.Clock.Now()
		switch {
		case err != nil:
			return status, "", "", err
		case status.Available():
			return status, "ready", fmt.Sprintf("%d of %d pods ready", status.Ready, status.Desired), nil
		case status.Fatal:
			return status, "fail", status.Problem, nil
		case !now.Before(deadline):
			return status, "fail", notYet(status) + " at the deadline", nil
		case !now.Before(end):
			return status, "wait", notYet(status), nil
		}
	}
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
// get weight.
func (s AwaitReady) accepted(ctx context.Context, access Access, ro Rollout) error {
	router, err := access.Router(ro.Router)
	if err != nil {
		return fmt.Errorf("open router: %w: %w", fault.Invalid, err)
	}
	if m, can := router.(traffic.Matcher); can && len(ro.Match) > 0 {
		if err := m.Match(ctx, ro.Route, ro.Split(0), ro.Match, ro.Fence(1)); err != nil {
			return fmt.Errorf("match on route %s: %w", ro.Route.Route, err)
		}
	}
	state, err := router.Await(ctx, ro.Route, ro.Split(rollout.Weight(0)), time.Duration(ro.Deadlines.Observed))
	if err != nil {
		return fmt.Errorf("await route %s: %w", ro.Route.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("await route %s: %w: %s", ro.Route.Route, fault.NotObserved, state.Why)
	}
	return nil
}
