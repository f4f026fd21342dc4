package step

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// An Access is one cluster, opened.
type Access struct {
	Cluster workload.Cluster
	Records record.Store
	// Router opens a router by its name in deploy.json. Errors are of kind fault.Invalid, and name it.
	Router func(kind string) (traffic.Router, error)
}

// An Opener opens the cluster of that name.
type Opener func(ctx context.Context, cluster string) (Access, error)

// A MeterOpener opens the metrics source that deploy.json describes.
type MeterOpener func(ctx context.Context, config json.RawMessage) (metric.Meter, error)

// A MeterChecker finds what is wrong with the metrics source that deploy.json describes, before
// anything is changed, and tells whether it counts all versions together. Errors are of kind
// fault.Invalid.
type MeterChecker func(ctx context.Context, config json.RawMessage) (unscoped bool, err error)

// Check is the checker of an engine that opens the source for it.
func (o MeterOpener) Check(ctx context.Context, config json.RawMessage) (unscoped bool, err error) {
	if o == nil {
		return false, fmt.Errorf("%w: this engine has none", fault.Invalid)
	}
	m, err := o(ctx, config)
	return err == nil && metric.Unscoped(m), err
}

// A HookOpener opens what gates are asked and receivers are told with, under the engine's own
// rules of where a request may go.
type HookOpener func() (*hook.Client, error)

func (o HookOpener) client() (*hook.Client, error) {
	if o == nil {
		return nil, fmt.Errorf("open webhooks: %w: this engine asks and tells nobody", fault.Invalid)
	}
	c, err := o()
	if err != nil {
		return nil, fmt.Errorf("open webhooks: %w", err)
	}
	return c, nil
}

// Executions tells of other rollouts, by their ARN.
type Executions interface {
	// Ended tells whether the execution is over, or unknown.
	Ended(ctx context.Context, execution string) (bool, error)
	// Input gives the execution's input, which is its deploy.json.
	Input(ctx context.Context, execution string) (json.RawMessage, error)
}

// reach opens the rollout's cluster. It is enough for a step that writes nothing, and for one
// whose write the route's fence guards.
func reach(ctx context.Context, open Opener, ro *Rollout) (Access, error) {
	if ro == nil || len(ro.Plan.Steps) == 0 {
		return Access{}, fmt.Errorf("read document: %w: rollout is missing, or has no steps", fault.Invalid)
	}
	access, err := open(ctx, ro.Cluster)
	if err != nil {
		return Access{}, fmt.Errorf("open cluster %q: %w", ro.Cluster, err)
	}
	return access, nil
}

// holding opens the cluster and the service's record, and makes sure that the lock is still
// the execution's. A rollout whose time is over is turned away here.
func holding(ctx context.Context, open Opener, ro *Rollout) (Access, record.Record, error) {
	access, err := reach(ctx, open, ro)
	if err != nil {
		return Access{}, record.Record{}, err
	}
	rec, err := access.Records.Read(ctx, ro.Service)
	if err != nil {
		return Access{}, record.Record{}, fmt.Errorf("read record of %s: %w", ro.Service.Name, err)
	}
	return access, rec, holds(rec, *ro)
}

// holds turns a rollout away whose lock is somebody else's by now.
func holds(rec record.Record, ro Rollout) error {
	if rec.Holder == ro.Execution && rec.Epoch == ro.Epoch {
		return nil
	}
	return fmt.Errorf("check lock of %s: %w: held by %q, epoch %d", ro.Service.Name, fault.Fenced, rec.Holder, rec.Epoch)
}
