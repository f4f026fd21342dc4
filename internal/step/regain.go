package step

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// regain takes the lock back for a rollout under way that lost it to nobody: its Lease was deleted, or the holder
// emptied by hand. Users may be split between two versions then, and nobody else will go back for them. It gives
// false where there is nothing to go back from: another rollout has begun since, or none of this one's is there.
func (s Rollback) regain(ctx context.Context, access Access, ev Event, ro Rollout, rec record.Record) (record.Record, bool, error) {
	if rec.Holder != "" {
		return rec, false, nil
	}
	var err error
	lost := ev.Document.Rollout
	if lost == nil && rec.Canary.Rollout == ev.Execution { // every end takes the canary out: only the holder was emptied
		rec.Holder = ev.Execution
		return s.retake(ctx, access, ro, rec)
	}
	if lost == nil {
		if lost, err = s.remains(ctx, access, ev, ro); err != nil || lost == nil {
			return rec, false, err
		}
	}
	if rec.Epoch > lost.Epoch {
		return rec, false, nil
	}
	state, err := between(ctx, access, *lost)
	if err != nil {
		return rec, false, err
	}
	if rec.Phase == "" { // else the record still knows how far it was
		rec.Phase = howFar(*lost, state)
	}
	// An epoch of its own: with the record went the word on how far the rollout was, and a write of its end may be under way.
	rec.Holder, rec.Epoch, rec.Number = ev.Execution, lost.Epoch+1, max(rec.Number, lost.Canary.Number)
	rec.Stable, rec.Canary, rec.Router, rec.Route = lost.Stable, lost.Canary, lost.Router, lost.Route.Route
	return s.retake(ctx, access, ro, rec)
}

// retake writes the record of a lock that is taken back.
func (s Rollback) retake(ctx context.Context, access Access, ro Rollout, rec record.Record) (record.Record, bool, error) {
	rec.Acquired = s.Clock.Now().UTC().Truncate(time.Microsecond)
	rec, err := access.Records.Write(ctx, ro.Service, rec)
	if err != nil {
		return rec, false, fmt.Errorf("take the lost lock of %s back: %w", ro.Service.Name, err)
	}
	return rec, true, nil
}

// between reads the route that a lost lock is taken back for. One that leads to neither of the rollout's versions is
// somebody else's by now, and no way back could write it: that is said before the lock is.
func between(ctx context.Context, access Access, lost Rollout) (traffic.State, error) {
	router, err := access.Router(lost.Router)
	if err != nil {
		return traffic.State{}, err
	}
	state, err := router.Read(ctx, lost.Route)
	if errors.Is(err, fault.NotFound) {
		return traffic.State{}, nil
	}
	if err != nil {
		return state, fmt.Errorf("read route %s: %w", lost.Route.Route, err)
	}
	_, stable := state.Weights[lost.Stable.Name]
	_, canary := state.Weights[lost.Canary.Name]
	if !lost.First() && !stable && !canary {
		return state, fmt.Errorf("read route %s: %w: it leads to %v, and the lost lock was for %s and %s",
			lost.Route.Route, fault.Invalid, state.Weights, lost.Stable.Name, lost.Canary.Name)
	}
	return state, nil
}

// howFar is the phase of a rollout whose record is gone, as far as its route tells: where all requests were given to the
// canary for good, the fence turns the way back away. Whether that was a promotion nobody knows any more, so
// nothing is removed, and a person looks.
func howFar(lost Rollout, state traffic.State) record.Phase {
	if !lost.First() && state.Fence.Epoch >= lost.Epoch && state.Fence.Seq > rollout.Last {
		return record.Staying
	}
	return record.Rolling
}

// remains finds what an execution that died has left, from the cluster alone: its version, by the label, and the
// other one beside it in a route that no end was written to. Nil where there is no such thing.
func (s Rollback) remains(ctx context.Context, access Access, ev Event, ro Rollout) (*Rollout, error) {
	versions, err := access.Cluster.Versions(ctx, ro.Service)
	if err != nil {
		return nil, fmt.Errorf("list versions of %s: %w", ro.Service.Name, err)
	}
	var canary *workload.Version
	for i, v := range versions {
		if v.Ours && v.Rollout == ev.Execution {
			canary = &versions[i]
		}
	}
	if canary == nil {
		return nil, nil
	}
	if ro.Router, ro.Route, err = s.routing(ctx, ev); err != nil {
		return nil, err
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return nil, err
	}
	state, err := router.Read(ctx, ro.Route)
	if errors.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read route %s: %w", ro.Route.Route, err)
	}
	for _, v := range versions {
		if _, named := state.Weights[v.Name]; named && v.Name != canary.Name && state.Fence.Seq < rollout.Last {
			ro.Stable, ro.Canary, ro.Epoch = v, *canary, state.Fence.Epoch
			return &ro, nil
		}
	}
	return nil, nil
}

// routing is what the execution's deploy.json says of its route.
func (s Rollback) routing(ctx context.Context, ev Event) (kind string, t traffic.Target, err error) {
	doc, err := s.document(ctx, ev)
	if err != nil {
		return "", t, err
	}
	tmpl, err := doc.Template()
	if err != nil {
		return "", t, fmt.Errorf("check template: %w: %w", fault.Invalid, err)
	}
	kind, route := doc.Routing(tmpl)
	return kind, traffic.Target{Namespace: doc.Namespace, Route: route, Service: doc.Service}, nil
}
