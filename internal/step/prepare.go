package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Prepare checks deploy.json, reads what is there, asks the cluster by a dry run whether it would take
// the new version, takes the lock and decides the whole rollout.
// Before the lock is taken nothing is changed, and taking it is one conditional write, so
// that what was read is still true when it succeeds.
type Prepare struct {
	Open       Opener
	Executions Executions
	Clock      clock.Clock
	Hooks      HookOpener
	// Meter checks the settings of the metrics source; it has no need to reach it.
	Meter MeterChecker
}

// Run does it. Errors: fault.Invalid and fault.Refused mean that nothing was changed; fault.Queued,
// that it is another rollout's turn.
func (s Prepare) Run(ctx context.Context, ev Event) (Rollout, error) {
	doc, err := spec.Parse("deploy.json", ev.Input)
	if err != nil {
		return Rollout{}, fmt.Errorf("check deploy.json: %w: %w", fault.Invalid, err)
	}
	ro, tmpl, err := decide(doc)
	if err != nil {
		return Rollout{}, fmt.Errorf("check deploy.json: %w: %w", fault.Invalid, err)
	}
	if err := reachable(s.Hooks, ro); err != nil {
		return Rollout{}, fmt.Errorf("check deploy.json: %w", err)
	}
	if ro.Policy, err = s.measurable(ctx, ro); err != nil {
		return Rollout{}, fmt.Errorf("check deploy.json: %w", err)
	}
	ro.Execution, ro.Started = ev.Execution, ev.Started
	access, err := s.Open(ctx, ro.Cluster)
	if errors.Is(err, fault.NotFound) { // a slip in the name; to a rollout under way it is no such thing
		err = fmt.Errorf("cluster_name: %w: %w", fault.Invalid, err)
	}
	if err != nil {
		return Rollout{}, fmt.Errorf("open cluster %q: %w", ro.Cluster, err)
	}
	for range 3 {
		var got Rollout
		if got, err = s.begin(ctx, access, doc, tmpl, ro); !errors.Is(err, fault.Conflict) {
			return got, err
		}
	}
	if doc.Queue > 0 { // so many write the record that waiting is the cure
		return Rollout{}, fmt.Errorf("%w: %w", fault.Queued, err)
	}
	return Rollout{}, err
}

// measurable finds a metrics source that no look could open: better before users are on the canary.
// It gives the policy that the source can serve.
func (s Prepare) measurable(ctx context.Context, ro Rollout) (analysis.Policy, error) {
	if ro.KubernetesOnly {
		return ro.Policy, nil
	}
	if s.Meter == nil {
		return ro.Policy, fmt.Errorf("open metrics source: %w: this engine has none", fault.Invalid)
	}
	unscoped, err := s.Meter(ctx, ro.Metrics)
	if err != nil {
		return ro.Policy, fmt.Errorf("open metrics source: %w", err)
	}
	if !unscoped {
		return ro.Policy, nil
	}
	policy, err := ro.Policy.Unscoped()
	if err != nil {
		return policy, fmt.Errorf("judge by the metrics source: %w: %w", fault.Invalid, err)
	}
	return policy, nil
}

// decide takes from deploy.json what does not depend on the cluster.
func decide(doc spec.Spec) (Rollout, spec.Template, error) {
	if err := doc.Complete("deploy.json"); err != nil {
		return Rollout{}, spec.Template{}, err
	}
	plan, err := doc.Plan()
	if err != nil {
		return Rollout{}, spec.Template{}, err
	}
	tmpl, err := doc.Template()
	if err != nil {
		return Rollout{}, spec.Template{}, err
	}
	kind, route := doc.Routing(tmpl)
	metrics, err := json.Marshal(doc.Metrics)
	if err != nil {
		return Rollout{}, spec.Template{}, fmt.Errorf("metrics: %w", err)
	}
	return Rollout{
		Cluster: doc.Cluster,
		Service: workload.Service{Namespace: doc.Namespace, Name: doc.Service},
		Router:  kind,
		Route:   traffic.Target{Namespace: doc.Namespace, Route: route, Service: doc.Service},
		Plan:    plan,
		Policy:  doc.Policy(),
		Metrics: metrics,
		Deadlines: Deadlines{
			Ready:    doc.Deadlines.Ready,
			Observed: doc.Deadlines.Observed,
			Whole:    doc.Deadlines.Rollout,
		},
		Interval: doc.Analysis.Interval,
		Drain:    doc.Drain,
		Match:    doc.Match,
		Gates:    gatesOf(doc), Receivers: receiversOf(doc),
		// Strategy replace is for what nothing can judge: readiness alone decides.
		KubernetesOnly: doc.Strategy == spec.Replace,
	}, tmpl, nil
}

// begin reads the cluster and takes the lock. A conflict means that somebody
// wrote the record meanwhile: everything is read again.
func (s Prepare) begin(ctx context.Context, access Access, doc spec.Spec, tmpl spec.Template, ro Rollout) (Rollout, error) {
	rec, err := access.Records.Read(ctx, ro.Service)
	if err != nil {
		return Rollout{}, fmt.Errorf("read record of %s: %w", ro.Service.Name, err)
	}
	if rec.Holder == "" {
		rec.Holder = rec.Canary.Rollout // every end takes the canary out: a person emptied the holder, and it may run yet
	}
	if rec, err = s.free(ctx, access, ro, rec, time.Duration(doc.Queue)); err != nil {
		return Rollout{}, err
	}
	versions, err := access.Cluster.Versions(ctx, ro.Service)
	if err != nil {
		return Rollout{}, fmt.Errorf("list versions of %s: %w", ro.Service.Name, err)
	}
	now, err := s.stable(ctx, access, ro, rec, versions)
	if err != nil {
		return Rollout{}, err
	}
	ro.Stable, ro.Replaces = now.stable, now.dead
	if err := s.suits(doc, tmpl, ro); err != nil {
		return Rollout{}, err
	}
	if ro.First() {
		ro.Plan.Steps = ro.Plan.Steps[len(ro.Plan.Steps)-1:]
		ro.Policy.Steps = []int{100}
	}
	again := rec.Holder == ro.Execution
	// A Lease that was deleted begins anew, and the route remembers what was written to it.
	rec.Epoch = max(rec.Epoch, now.fence.Epoch)
	if !again {
		ro.Canary = next(ro, rec, versions, doc.Image)
		if err := routable(ctx, access, ro, now); err != nil {
			return Rollout{}, fmt.Errorf("plan rollout of %s: %w", ro.Service.Name, err)
		}
		if err := admissible(ctx, access, doc, tmpl, ro); err != nil {
			return Rollout{}, fmt.Errorf("plan rollout of %s: %w", ro.Service.Name, err)
		}
		if err := s.runs(ctx, ro, rec); err != nil {
			return Rollout{}, err
		}
		if rec, err = s.take(ctx, access, ro, rec); err != nil {
			return Rollout{}, err
		}
	}
	ro.Epoch, ro.Canary, ro.Started = rec.Epoch, rec.Canary, rec.Acquired
	if !again {
		s.tellStart(ctx, ro, rec)
	}
	return ro, s.sweep(ctx, access, ro, versions)
}

// sweep removes versions of ours that no rollout knows any more: a function that was stuck may
// have applied one after its rollout had ended. None of them has traffic: the route was read, or there is none
// and never was one. What may not be removed stays, and people are told: the lock is taken by now, and it does no harm.
func (s Prepare) sweep(ctx context.Context, access Access, ro Rollout, versions []workload.Version) error {
	for _, v := range versions {
		if v.Name == ro.Stable.Name || v.Name == ro.Canary.Name {
			continue
		}
		err := access.Cluster.Remove(ctx, ro.Service, v)
		switch {
		case errors.Is(err, fault.Invalid):
			_ = access.Cluster.Tell(ctx, ro.Service, workload.Note{
				On: v.Deployment, Reason: "LeftOver", Message: fmt.Sprintf("%s is left over and cannot be removed: %v", v.Name, err), Warning: true,
			})
		case err != nil:
			return fmt.Errorf("remove %s, which is left over: %w", v.Name, err)
		}
	}
	return nil
}

// free makes sure that the lock may be taken. A lock whose owner has ended is taken over only
// after the way back was gone for that owner, in a freeze too. While it is another's turn, the rollout waits for up to queue.
func (s Prepare) free(ctx context.Context, access Access, ro Rollout, rec record.Record, queue time.Duration) (record.Record, error) {
	if rec.Holder == ro.Execution {
		return rec, nil // a repeated run of this very step: what runs goes on, frozen or not
	}
	frozen := s.thawed(ctx, access, ro, rec)
	first, err := s.first(ctx, access, ro, rec)
	if err != nil {
		return rec, err
	}
	switch {
	case first != "" && frozen == nil:
		return rec, s.wait(ctx, access, ro, rec, queue, first)
	case first != "" || rec.Holder == "":
		return rec, frozen
	}
	recover := Rollback{Open: s.Open, Executions: s.Executions, Clock: s.Clock, Hooks: s.Hooks}
	if _, err := recover.settle(ctx, access, ro.Service, rec, "its owner ended without giving the lock back"); err != nil {
		return rec, fmt.Errorf("recover from %s: %w", rec.Holder, err)
	}
	if frozen != nil { // no freeze keeps users half-shifted
		return rec, frozen
	}
	return access.Records.Read(ctx, ro.Service)
}

// thawed makes sure that neither the service nor its namespace is frozen.
func (s Prepare) thawed(ctx context.Context, access Access, ro Rollout, rec record.Record) error {
	op := "start rollout of " + ro.Service.Namespace + "/" + ro.Service.Name
	if rec.Freeze.Lasts(s.Clock.Now()) {
		return fmt.Errorf("%s: %w: frozen %v", op, fault.Refused, rec.Freeze)
	}
	whole, err := access.Records.Read(ctx, record.OfNamespace(ro.Service.Namespace))
	if err != nil {
		return fmt.Errorf("%s: read freeze of namespace %s: %w", op, ro.Service.Namespace, err)
	}
	if whole.Freeze.Lasts(s.Clock.Now()) {
		return fmt.Errorf("%s: %w: namespace %s is frozen %v", op, fault.Refused, ro.Service.Namespace, whole.Freeze)
	}
	return nil
}

// runs makes sure that the execution has not ended: a duplicate of its task that comes late would
// take a lock that nobody gives back.
func (s Prepare) runs(ctx context.Context, ro Rollout, rec record.Record) error {
	ended, err := s.Executions.Ended(ctx, ro.Execution)
	if err != nil {
		return fmt.Errorf("look up %s, which asks for the lock: %w", ro.Execution, err)
	}
	if ended || rec.Last.Execution == ro.Execution {
		return fmt.Errorf("start rollout of %s: %w: this execution has ended already", ro.Service.Name, fault.Refused)
	}
	return nil
}

// suits refuses what could only be promoted on silence.
func (s Prepare) suits(doc spec.Spec, tmpl spec.Template, ro Rollout) error {
	if ro.First() {
		return nil
	}
	if err := doc.Judgeable(tmpl); err != nil {
		return fmt.Errorf("plan rollout of %s: %w", ro.Service.Name, err)
	}
	return nil
}

// next is the version that the rollout would make. Where the Lease is gone, what is there tells which numbers were used: none
// is above the highest that is seen by more than there were rollouts, which the route's fence counts. A removal that is
// stuck since then must not find its version's name again.
func next(ro Rollout, rec record.Record, versions []workload.Version, image string) workload.Version {
	number := max(rec.Number, ro.Stable.Number)
	for _, v := range versions {
		number = max(number, v.Number)
	}
	if rec.Number == 0 {
		number += int(rec.Epoch)
	}
	number++
	name := workload.VersionName(ro.Service.Name, number)
	return workload.Version{Name: name, Number: number, Deployment: name, Image: image, Ours: true, Rollout: ro.Execution}
}

// admissible asks the cluster whether it would take the new version, while there is nothing to undo.
func admissible(ctx context.Context, access Access, doc spec.Spec, tmpl spec.Template, ro Rollout) error {
	objects, owner, err := manifest(doc, tmpl, ro)
	if err != nil {
		return err
	}
	if !ro.KubernetesOnly {
		if err := apartFrom(ro.Stable, objects); err != nil {
			return err
		}
	}
	if err := access.Cluster.DryRun(ctx, objects, owner); err != nil {
		return fmt.Errorf("dry run of %s: %w", ro.Canary.Name, err)
	}
	return nil
}

// take writes the lock, with the new version and what serves now.
func (s Prepare) take(ctx context.Context, access Access, ro Rollout, rec record.Record) (record.Record, error) {
	rec = rec.Turn(ro.Execution)
	rec.Holder = ro.Execution
	rec.Epoch++
	rec.Number = ro.Canary.Number
	rec.Acquired = s.Clock.Now().UTC().Truncate(time.Microsecond)
	rec.Stable, rec.Canary = ro.Stable, ro.Canary
	rec.Phase = record.Rolling
	rec.Router, rec.Route = ro.Router, ro.Route.Route
	rec, err := access.Records.Write(ctx, ro.Service, rec)
	if err != nil {
		return rec, fmt.Errorf("take the lock of %s: %w", ro.Service.Name, err)
	}
	return rec, nil
}
