package e2e_test

import (
	"os"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/routers"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// settled waits until the service's lock is free, for a minute at most, and checks what every
// end has to leave behind: one version, ready, with all of the route. It gives that version's tag.
func (b *bed) settled(service string) string {
	b.Helper()
	ctx := b.Context()
	client, err := kube.Open(ctx, kube.Config{Kubeconfig: os.Getenv("STEPCANARY_TEST_KUBECONFIG"), Context: "testbed"})
	if err != nil {
		b.Fatal(err)
	}
	s := workload.Service{Namespace: "default", Name: service}
	records, cluster := kube.NewRecords(client), kube.NewCluster(client)
	rec, err := records.Read(ctx, s)
	for deadline := time.Now().Add(time.Minute); (err != nil || rec.Holder != "") && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		rec, err = records.Read(ctx, s)
	}
	if err != nil || rec.Holder != "" {
		b.Fatalf("the lock of %s is held by %q, phase %s (%v)", service, rec.Holder, rec.Phase, err)
	}
	router, err := routers.Open("gateway-api", client)
	if err != nil {
		b.Fatal(err)
	}
	state, err := router.Read(ctx, traffic.Target{Namespace: s.Namespace, Route: service})
	if err != nil {
		b.Fatal(err)
	}
	if len(state.Weights) != 1 || state.Weights[rec.Stable.Name] != 100 {
		b.Errorf("route %v; want all of it on %s", state.Weights, rec.Stable.Name)
	}
	versions, err := cluster.Versions(ctx, s)
	if err != nil || len(versions) != 1 || versions[0].Name != rec.Stable.Name {
		b.Errorf("versions %v (%v); want %s alone", versions, err, rec.Stable.Name)
	}
	follower, err := cluster.Follow(ctx, s, rec.Stable)
	if err != nil {
		b.Fatal(err)
	}
	defer follower.Close()
	if status, err := follower.Next(ctx, 0); err != nil || !status.Available() {
		b.Errorf("%s serves and is not ready: %+v (%v)", rec.Stable.Name, status, err)
	}
	return strings.TrimPrefix(rec.Stable.Image, "podlet:")
}
