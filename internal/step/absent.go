package step

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// What the record and the route say against each other: a route that is away, leads elsewhere, or was left by a rollout that
// nobody knows any more. Each of these is refused where a guess could take what serves for a leftover.

// moved refuses a rollout over another route than the last one's while that one still leads to the stable
// version: its users would be cut off when that version is retired.
func (s Prepare) moved(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) error {
	if rec.Route == "" || rec.Router == ro.Router && rec.Route == ro.Route.Route || rec.Stable.Ours && !names(versions, rec.Stable.Name) {
		return nil
	}
	before, err := access.Router(rec.Router)
	if err != nil {
		return fmt.Errorf("open router of the last rollout: %w", err)
	}
	state, err := before.Read(ctx, traffic.Target{Namespace: ro.Service.Namespace, Route: rec.Route, Service: ro.Service.Name})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return fmt.Errorf("read route %s of the last rollout: %w", rec.Route, err)
	}
	if state.Weights[rec.Stable.Name] == 0 {
		return nil
	}
	return fmt.Errorf("read route %s: %w: deploy.json names route %s (%s) now, and %s (%s) still sends requests to %s; move its users first, or name it again",
		rec.Route, fault.Refused, ro.Route.Route, ro.Router, rec.Route, rec.Router, rec.Stable.Name)
}

// routeless tells whether a service without its route is one that was never deployed: then nothing of it is
// there, or only what a failed first deployment left. Elsewhere a slip in the route's name, or a route that
// is being replaced, would have what serves taken for a leftover.
func (s Prepare) routeless(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) error {
	there, err := s.there(ctx, access, ro, rec, versions)
	if err != nil {
		return err
	}
	switch {
	case there:
		return fmt.Errorf("read route %s: %w: it is not there, and %s is recorded as what serves; bring the route back, or correct its name",
			ro.Route.Route, fault.Refused, rec.Stable.Name)
	case rec.Epoch == 0 && len(versions) > 0:
		return fmt.Errorf("read route %s: %w: neither it nor the Lease is there to say which of the service's versions serves; bring the route back, or remove them",
			ro.Route.Route, fault.Refused)
	}
	return nil
}

// switchedOff refuses a service whose recorded version is there and has none of the users: somebody sent them to a page of
// their own, or nowhere, and means to bring them back. Taken for a leftover, it would be removed.
func (s Prepare) switchedOff(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version, state traffic.State) error {
	if rec.Router != ro.Router || rec.Route != ro.Route.Route {
		return nil
	}
	there, err := s.there(ctx, access, ro, rec, versions)
	if err != nil || !there {
		return err
	}
	return fmt.Errorf("read route %s: %w: it sends requests to %v, and %s, which is recorded as what serves, is there and gets none; give it its users back, or remove it",
		ro.Route.Route, fault.Refused, state.Weights, rec.Stable.Name)
}

// there tells whether the version that is recorded as what serves exists.
func (s Prepare) there(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) (bool, error) {
	if rec.Stable.Name == "" || rec.Stable.Ours {
		return names(versions, rec.Stable.Name), nil
	}
	_, gone, err := s.adopt(ctx, access, ro, rec.Stable.Name)
	return err == nil && gone == "", err
}

// nowhere tells whether all that the route leads to is gone: a first deployment that went back leaves that, and no mark of
// its end. There is nothing then that could be taken for a leftover.
func (s Prepare) nowhere(ctx context.Context, access Access, ro Rollout, versions []workload.Version, state traffic.State, name string) (bool, error) {
	if name == "" || len(versions) > 0 || len(state.Weights) > 1 {
		return false, nil
	}
	_, dead, err := s.adopt(ctx, access, ro, name)
	return dead != "", err
}

// closed makes sure, where the Lease is gone, that the last rollout has ended as far as the route tells: its version is
// removed as a leftover next, and must have no user.
func closed(ctx context.Context, router traffic.Router, ro Rollout, state traffic.State, serves string) error {
	if state.Fence.Seq < rollout.Last {
		return fmt.Errorf("read route %s: %w: the Lease is gone, and the route bears the mark of a rollout under way; let that one end, or settle the route and take its annotation out",
			ro.Route.Route, fault.Refused)
	}
	if serves == "" {
		return nil
	}
	state, err := router.Await(ctx, ro.Route, traffic.Split{Canary: serves, Weight: 100}, settleFor)
	if err != nil {
		return fmt.Errorf("await %s on %s: %w", serves, ro.Route.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("await %s on %s: %w: the Lease is gone, and the end of the last rollout is not in force: %s", serves, ro.Route.Route, fault.Transient, state.Why)
	}
	return nil
}
