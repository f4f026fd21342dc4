package world_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

// A canary that crashes under load is seen at the moment the weight comes into
// force, not when it was written.
func TestTrafficReachesTheCluster(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	v := clock.NewVirtual(start)
	w := world.New(v)
	service := workload.Service{Namespace: "shop", Name: "checkout"}
	target := traffic.Target{Namespace: "shop", Route: "checkout", Service: service.Name}
	w.Cluster.Behave("shop", "checkout-2", cluster.Script{CrashAtWeight: 30})
	w.Router.Script(router.Script{Delay: 4 * time.Second})
	for _, number := range []int{1, 2} {
		objects := append(workloadtest.Objects(service, number), workloadtest.Route(service, number))
		if err := w.Cluster.Apply(t.Context(), objects, workload.Ownership{Service: service, Version: number}); err != nil {
			t.Fatal(err)
		}
	}
	st, err := w.Router.Read(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]rollout.Weight{"checkout-1": 100}, st.Weights); diff != "" {
		t.Errorf("weights of the applied route (-want +got):\n%s", diff)
	}
	f, err := w.Cluster.Follow(t.Context(), service, workload.Version{Name: "checkout-2", Deployment: "checkout-2"})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := f.Next(t.Context(), time.Hour); err != nil || !st.Available() {
		t.Fatalf("Next() = %+v, %v; want available", st, err)
	}
	for i, weight := range []rollout.Weight{20, 40} {
		s := traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: weight}
		if err := w.Router.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1, Seq: int64(i)}); err != nil {
			t.Fatal(err)
		}
		if err := v.Sleep(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := f.Next(t.Context(), time.Hour); err != nil || !st.Fatal || v.Now().Sub(start) != 5*time.Second {
		t.Errorf("Next() = %+v, %v after %v; want a crash loop 4 s after the second write, at 5 s", st, err, v.Now().Sub(start))
	}
}
