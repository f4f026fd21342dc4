package step

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Deploy applies the new version beside the old one and names it in the route
// with weight 0.
type Deploy struct {
	Open  Opener
	Clock clock.Clock
}

// Run does it.
func (s Deploy) Run(ctx context.Context, ev Event) (Deployed, error) {
	access, rec, err := holding(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Deployed{}, err
	}
	ro := *ev.Document.Rollout
	doc, err := spec.Parse("deploy.json", ev.Input)
	if err != nil {
		return Deployed{}, fmt.Errorf("check deploy.json: %w: %w", fault.Invalid, err)
	}
	tmpl, err := doc.Template()
	if err != nil {
		return Deployed{}, fmt.Errorf("check template: %w: %w", fault.Invalid, err)
	}
	objects, owner, err := manifest(doc, tmpl, ro)
	if err != nil {
		return Deployed{}, err
	}
	entrance := []workload.Object{}
	if ro.First() {
		objects, entrance = apart(objects)
	}
	if err := access.Cluster.Apply(ctx, objects, owner); err != nil {
		return Deployed{}, fmt.Errorf("apply %s: %w", ro.Canary.Name, err)
	}
	if err := s.name(ctx, access, ro, rec); err != nil {
		if errors.Is(err, fault.Fenced) {
			err = errors.Join(err, s.takeBack(ctx, access, ro))
		}
		return Deployed{}, err
	}
	tell(ctx, access, ro, "NewVersion", fmt.Sprintf("New version %s (%s) is starting; %s serves", ro.Canary.Name, ro.Canary.Image, serves(ro)))
	return Deployed{Name: ro.Canary.Name, Replicas: owner.Replicas, At: s.Clock.Now(), Entrance: entrance}, nil
}

// apart tells a version's own objects from those that lead users to it.
func apart(objects []workload.Object) (own, entrance []workload.Object) {
	entrance = []workload.Object{}
	for _, o := range objects {
		if o.CreateOnly() {
			entrance = append(entrance, o)
		} else {
			own = append(own, o)
		}
	}
	return own, entrance
}

// manifest is what a new version consists of.
func manifest(doc spec.Spec, tmpl spec.Template, ro Rollout) ([]workload.Object, workload.Ownership, error) {
	objects, err := tmpl.Render(values(doc, ro))
	if err != nil {
		return nil, workload.Ownership{}, fmt.Errorf("render template: %w: %w", fault.Invalid, err)
	}
	return objects, workload.Ownership{
		Service: ro.Service, Version: ro.Canary.Number, Execution: ro.Execution,
		Replicas: doc.Autoscaler.Within(ro.Stable.Replicas),
	}, nil
}

// name names the new back end in the route, with weight 0. The route's fence, or for a first
// deployment the lock, tells a run that comes too late.
func (s Deploy) name(ctx context.Context, access Access, ro Rollout, rec record.Record) error {
	if ro.First() {
		_, _, err := holding(ctx, s.Open, &ro)
		return err
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return err
	}
	if err := router.Shift(ctx, ro.Route, ro.Split(0), rec.Fence(1)); err != nil {
		return fmt.Errorf("name %s in route %s: %w", ro.Canary.Name, ro.Route.Route, err)
	}
	return nil
}

// takeBack removes what a run that came too late has applied, unless the version is in use:
// its rollout may have been promoted meanwhile.
func (s Deploy) takeBack(ctx context.Context, access Access, ro Rollout) error {
	rec, err := access.Records.Read(ctx, ro.Service)
	if err != nil {
		return fmt.Errorf("read record of %s: %w", ro.Service.Name, err)
	}
	if rec.Stable.Name == ro.Canary.Name || rec.Canary.Name == ro.Canary.Name {
		return nil
	}
	if err := access.Cluster.Remove(ctx, ro.Service, ro.Canary); err != nil {
		return fmt.Errorf("remove %s, applied too late: %w", ro.Canary.Name, err)
	}
	return nil
}

func values(doc spec.Spec, ro Rollout) spec.Values {
	v := spec.Values{
		Namespace: ro.Service.Namespace, Service: ro.Service.Name,
		Image: doc.Image, Version: ro.Canary.Number,
	}
	if ro.First() {
		v.Routes = []spec.Route{{Name: ro.Canary.Name, Weight: 100}}
		return v
	}
	v.Routes = []spec.Route{{Name: ro.Stable.Name, Weight: 100}, {Name: ro.Canary.Name, Weight: 0}}
	return v
}

func serves(ro Rollout) string {
	if ro.First() {
		return "nothing"
	}
	return ro.Stable.Name
}

// tell writes an event. It is best effort: a rollout does not fail for want of one.
func tell(ctx context.Context, access Access, ro Rollout, reason, message string) {
	_ = access.Cluster.Tell(ctx, ro.Service, workload.Note{
		On: ro.Canary.Deployment, Reason: reason, Message: message,
	})
}
