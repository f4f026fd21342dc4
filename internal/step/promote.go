package step

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Promote makes the canary the stable version: recorded first, the old one
// drained and removed after, the lock given back last.
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
	// Whoever went back has users on stable by now, and is about to remove the canary.
	if rec.Phase == record.RolledBack {
		return End{}, fmt.Errorf("promote %s: %w: the way back has begun", ro.Canary.Name, fault.Fenced)
	}
	reason := ro.Canary.Name + " is the stable version"
	if w := ev.Document.Watch; w != nil && w.Reason != "" {
		reason += ": " + w.Reason
	}
	if rec.Phase != record.Promoted {
		rec.Phase = record.Promoted
		if rec, err = access.Records.Write(ctx, ro.Service, rec); err != nil {
			return End{}, fmt.Errorf("record %s as stable: %w", ro.Canary.Name, err)
		}
	}
	end, err := finish{Clock: s.Clock, access: access, service: ro.Service, drain: time.Duration(ro.Drain)}.promote(ctx, rec, reason)
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

// promote gives everything to the recorded canary and removes the old version.
func (f finish) promote(ctx context.Context, rec record.Record, reason string) (End, error) {
	old, now := rec.Stable, rec.Canary
	router, err := f.router(rec)
	if err != nil {
		return End{}, err
	}
	if err := f.Sleep(ctx, f.drain); err != nil {
		return End{}, fmt.Errorf("drain %s: %w: %w", old.Name, fault.Transient, err)
	}
	if err := f.settleOn(ctx, router, rec); err != nil {
		return End{}, err
	}
	if old.Name != "" && old.Ours {
		if err := f.access.Cluster.Remove(ctx, f.service, old); err != nil {
			return End{}, fmt.Errorf("remove %s: %w", old.Name, err)
		}
	} else if old.Name != "" {
		reason += "; " + old.Deployment + " is not ours and was left in place"
	}
	return f.release(ctx, rec, now, OutcomePromoted, reason)
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
	rec.Last = record.End{Execution: rec.Holder, Outcome: outcome, Reason: reason, At: end.At}
	rec.Holder, rec.Acquired, rec.Phase = "", time.Time{}, ""
	rec.Stable, rec.Canary = stable, workload.Version{}
	if _, err := f.access.Records.Write(ctx, f.service, rec); err != nil {
		return End{}, fmt.Errorf("give back the lock of %s: %w", f.service.Name, err)
	}
	_ = f.access.Cluster.Tell(ctx, f.service, workload.Note{
		On: on, Reason: outcome, Message: reason, Warning: outcome != OutcomePromoted,
	})
	return end, nil
}

func (f finish) router(rec record.Record) (traffic.Router, error) {
	r, err := f.access.Router(rec.Router)
	if err != nil {
		return nil, fmt.Errorf("open router: %w: %w", fault.Invalid, err)
	}
	return r, nil
}

func (f finish) route(rec record.Record) traffic.Target {
	return traffic.Target{Namespace: f.service.Namespace, Route: rec.Route}
}
