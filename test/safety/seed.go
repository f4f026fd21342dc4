package safety

import (
	"context"
	"sync"

	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// The rollouts from before the search begins: the one that brought version 1 up, and the one that died with version 2.
const (
	seeded    = "arn:aws:states:us-east-1:000000000000:execution:stepcanary:checkout-w"
	forgotten = "arn:aws:states:us-east-1:000000000000:execution:stepcanary:checkout-v"
)

// laid are the objects of the versions from before, by their number less one.
var laid = sync.OnceValue(func() (out [2][]workload.Object) {
	doc, err := spec.Parse("deploy.json", []byte(input(nil)))
	must(err)
	t, err := doc.Template()
	must(err)
	for i := range out {
		out[i], err = t.Render(spec.Values{
			Namespace: service.Namespace, Service: service.Name, Image: doc.Image, Version: i + 1,
			Routes: []spec.Route{{Name: version(1), Weight: 100}},
		})
		must(err)
	}
	return out
})

// lay brings a version up, as a rollout did before.
func (r *run) lay(number int, execution string) workload.Version {
	owner := workload.Ownership{Service: service, Version: number, Execution: execution}
	must(r.world.Cluster.Apply(context.Background(), laid()[number-1], owner))
	name := version(number)
	return workload.Version{Name: name, Number: number, Deployment: name, Image: "podlet:2", Ours: true, Rollout: execution}
}

// seed leaves what a first deployment leaves; a test holds the two together.
func (r *run) seed() {
	ctx := context.Background()
	rec := record.Record{
		Epoch: 1, Number: 1, Stable: r.lay(1, seeded), Router: "gateway-api", Route: route.Route,
		Last: record.End{Execution: seeded, Outcome: step.OutcomePromoted, At: start},
	}
	must(r.world.Router.Settle(ctx, route, rec.Stable.Name, "", rec.Fence(rollout.Last+1)))
	_, err := r.world.Records.Write(ctx, service, rec)
	must(err)
}

// inherit leaves what a rollout leaves that was stopped at half of the users.
func (r *run) inherit() {
	ctx := context.Background()
	rec := r.world.Records.Peek(service)
	rec.Holder, rec.Epoch, rec.Number, rec.Acquired = forgotten, 2, 2, start
	rec.Stable.Replicas = 2
	rec.Canary, rec.Phase = r.lay(2, forgotten), record.Rolling
	split := traffic.Split{Stable: rec.Stable.Name, Canary: rec.Canary.Name, Weight: 50}
	must(r.world.Router.Shift(ctx, route, split, rec.Fence(2)))
	_, err := r.world.Records.Write(ctx, service, rec)
	must(err)
	r.ready[rec.Canary.Name] = true
}

// must ends the search by what is a defect of its own.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
