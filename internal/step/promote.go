package step

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Promote makes the canary the stable version: the old one is drained, the promotion written down,
// the old one removed after, the lock given back last. Until it is written down users can go back.
type Promote struct {
	Open  Opener
	Clock clock.Clock
	Hooks HookOpener
}

// Run does it. A repeated run goes on where the first one was stopped.
func (s Promote) Run(ctx context.Context, ev Event) (End, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return End{}, err
	}
	ro := *ev.Document.Rollout
	rec, err := access.Records.Read(ctx, ro.Service)
	if err != nil {
		return End{}, fmt.Errorf("read record of %s: %w", ro.Service.Name, err)
	}
	if rec.Holder != ro.Execution && rec.Last.Execution == ro.Execution {
		return End{Outcome: rec.Last.Outcome, Reason: rec.Last.Reason, At: rec.Last.At, Known: true}, nil
	}
	if err := holds(rec, ro); err != nil {
		return End{}, err
	}
	// Whoever went back has users on stable by now, and is about to remove the canary, or has seen stable dead.
	if rec.Phase == record.RolledBack || rec.Phase == record.Staying {
		return End{}, fmt.Errorf("promote %s: %w: the way back has begun", ro.Canary.Name, fault.Fenced)
	}
	reason := ro.Canary.Name + " is the stable version"
	if w := ev.Document.Watch; w != nil && w.Reason != "" {
		reason += ": " + w.Reason
	}
	f := finish{Clock: s.Clock, access: access, service: ro.Service, drain: time.Duration(ro.Drain)}
	if rec.Phase != record.Promoted {
		if err := f.drained(ctx, rec.Canary); err != nil {
			return End{}, err
		}
		if err := stands(ctx, access, ro, 100); err != nil {
			return End{}, err
		}
		if rec, err = f.write(ctx, rec, func(r *record.Record) { r.Phase = record.Promoted }); err != nil {
			return End{}, fmt.Errorf("record %s as stable: %w", ro.Canary.Name, err)
		}
	}
	end, err := f.promote(ctx, rec, reason)
	if err == nil {
		tellEnd(ctx, s.Hooks, s.Clock, ro, ev.Document.Watch, rec, end)
	}
	return end, err
}

// A finish brings a rollout to its end, from the record alone.
type finish struct {
	clock.Clock
	access  Access
	service workload.Service
	drain   time.Duration
}

// drained lets the old version answer its last requests. The canary is watched meanwhile, as in every step before: while
// the old version is there, users need not stay on a dead one.
func (f finish) drained(ctx context.Context, canary workload.Version) error {
	follower, err := f.access.Cluster.Follow(ctx, f.service, canary)
	if err != nil {
		return fmt.Errorf("follow %s: %w", canary.Name, err)
	}
	defer follower.Close()
	for end, left := f.Now().Add(f.drain), time.Duration(0); ; left = end.Sub(f.Now()) {
		st, err := follower.Next(ctx, max(0, left))
		switch {
		case err != nil:
			return fmt.Errorf("follow %s: %w", canary.Name, err)
		case st.Fatal || st.Ready == 0:
			return fmt.Errorf("promote %s: %w: it has no ready pod any more, before the old version was removed: %s", canary.Name, fault.NotReady, st.Problem)
		case !f.Now().Before(end):
			return nil
		}
	}
}

// promote gives everything to the recorded canary and removes the old version, which is drained.
func (f finish) promote(ctx context.Context, rec record.Record, reason string) (End, error) {
	old, now := rec.Stable, rec.Canary
	router, err := f.access.Router(rec.Router)
	if err != nil {
		return End{}, err
	}
	if err := f.settleOn(ctx, router, rec); err != nil {
		return End{}, err
	}
	if old.Name != "" && old.Ours {
		if err := f.spare(ctx, old, now); err != nil {
			return End{}, err
		}
		if err := f.access.Cluster.Remove(ctx, f.service, old); err != nil {
			return End{}, fmt.Errorf("remove %s: %w", old.Name, err)
		}
	} else if old.Name != "" {
		reason += "; " + old.Deployment + " is not ours and was left in place"
	}
	return f.release(ctx, rec, now, OutcomePromoted, reason)
}

// spare keeps the old version, and what it has of the route, where it is the only one that could serve: a person can give
// users to it then.
func (f finish) spare(ctx context.Context, old, now workload.Version) error {
	st, err := f.status(ctx, now, standFor)
	if err != nil || st.Ready > 0 {
		return err
	}
	left, err := f.status(ctx, old, 0)
	if err != nil || left.Ready == 0 {
		return err
	}
	return fmt.Errorf("retire %s: %w: it has %d ready pods, and %s, which was promoted, has none: %s",
		old.Name, fault.NotReady, left.Ready, now.Name, st.Problem)
}

// settleOn gives the canary all of the route and sees it in force: somebody may have moved users meanwhile, and
// whoever is removed next must have none.
func (f finish) settleOn(ctx context.Context, router traffic.Router, rec record.Record) error {
	keep := rec.Canary.Name
	if err := router.Settle(ctx, f.route(rec), keep, rec.Stable.Name, rec.Fence(lastOf(rec))); err != nil {
		return fmt.Errorf("settle route %s on %s: %w", rec.Route, keep, err)
	}
	state, err := router.Await(ctx, f.route(rec), traffic.Split{Canary: keep, Weight: 100}, settleFor)
	if err != nil {
		return fmt.Errorf("await %s on %s: %w", keep, rec.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("await %s on %s: %w: %s", keep, rec.Route, fault.NotObserved, state.Why)
	}
	return nil
}

// release gives the lock back and writes down how it ended.
func (f finish) release(ctx context.Context, rec record.Record, stable workload.Version, outcome, reason string) (End, error) {
	end := End{Outcome: outcome, Reason: reason, At: f.Now().UTC().Truncate(time.Microsecond)}
	on := rec.Canary.Deployment
	if outcome == OutcomeRolledBack {
		on = rec.Stable.Deployment
	}
	_, err := f.write(ctx, rec, func(r *record.Record) {
		r.Last = record.End{Execution: r.Holder, Outcome: outcome, Reason: reason, At: end.At}
		r.Holder, r.Acquired, r.Phase = "", time.Time{}, ""
		r.Stable, r.Canary = stable, workload.Version{}
	})
	if err != nil {
		return End{}, fmt.Errorf("give back the lock of %s: %w", f.service.Name, err)
	}
	_ = f.access.Cluster.Tell(ctx, f.service, workload.Note{
		On: on, Reason: outcome, Message: reason, Warning: outcome != OutcomePromoted,
	})
	return end, nil
}

// write changes the record, on top of what others wrote while the lock was held: whoever joins the queue, and whoever freezes
// the service. Without that the drain would be waited for once more for each of them.
func (f finish) write(ctx context.Context, rec record.Record, change func(*record.Record)) (record.Record, error) {
	for try := 1; ; try++ {
		next := rec
		change(&next)
		written, err := f.access.Records.Write(ctx, f.service, next)
		if !errors.Is(err, fault.Conflict) || try == writes {
			return written, err
		}
		now, failed := f.access.Records.Read(ctx, f.service)
		if failed != nil || now.Holder != rec.Holder || now.Epoch != rec.Epoch || now.Phase != rec.Phase {
			return rec, err
		}
		rec = now
	}
}

// writes is how often a write of the record is made anew after it lost against another one.
const writes = 5

func (f finish) route(rec record.Record) traffic.Target {
	return traffic.Target{Namespace: f.service.Namespace, Route: rec.Route, Service: f.service.Name}
}
