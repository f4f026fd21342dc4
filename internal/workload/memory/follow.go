package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
)

type follower struct {
	cluster   *Cluster
	namespace string
	version   workload.Version
	told      bool
	last      workload.Status
}

// Follow watches one version.
func (c *Cluster) Follow(ctx context.Context, s workload.Service, v workload.Version) (workload.Follower, error) {
	if err := c.core.Call(ctx, "workload.Follow", func() error { return nil }); err != nil {
		return nil, err
	}
	return &follower{cluster: c, namespace: s.Namespace, version: v}, nil
}

// Next gives the status as soon as it differs, or after d.
func (f *follower) Next(ctx context.Context, d time.Duration) (workload.Status, error) {
	core := f.cluster.core
	if err := core.Call(ctx, "workload.Next", func() error { return nil }); err != nil {
		return workload.Status{}, err
	}
	deadline := core.Clock.Now().Add(d)
	for {
		var st workload.Status
		var turn int
		things := []memory.Thing{thing(f.namespace, f.version.Deployment)}
		now, wake := core.Clock.Now(), deadline
		_ = core.Do(func() error {
			turn = core.Turn()
			st = f.cluster.statusOf(f.namespace, f.version, now)
			if dep := f.cluster.deployments[path(f.namespace, f.version.Deployment)]; dep != nil {
				if next, ok := dep.nextChange(now); ok && next.Before(deadline) {
					wake = next
				}
				if dep.script.CrashAtWeight > 0 {
					things = append(things, memory.Thing{Kind: "Route", Namespace: f.namespace})
				}
			}
			return nil
		})
		if !f.told || st != f.last || !now.Before(deadline) {
			f.told, f.last = true, st
			return st, nil
		}
		if err := core.Wait(ctx, turn, wake, things...); err != nil {
			return workload.Status{}, err
		}
	}
}

// Close ends the watch.
func (f *follower) Close() {}

func (c *Cluster) statusOf(namespace string, v workload.Version, now time.Time) workload.Status {
	d := c.deployments[path(namespace, v.Deployment)]
	if d == nil {
		return workload.Status{Problem: fmt.Sprintf("Deployment %s does not exist", v.Deployment), Fatal: true}
	}
	return d.status(now)
}
