package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/stepcanary/stepcanary/testbed/bed"
)

// BenchmarkWeightChange measures from the answer to the write of an HTTPRoute's
// weights to the first of twenty requests in a row that obey them.
func BenchmarkWeightChange(b *testing.B) {
	ns := "bench-" + rand.String(5)
	ctx := b.Context()
	apply(b, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", ns))
	apply(b, deployment(ns, "stable", "podlet:v1", 1)+"---\n"+deployment(ns, "canary", "podlet:v2", 1)+"---\n"+route(ns, 100, 0))
	host := ns + ".example"
	for deadline := time.Now().Add(30 * time.Second); ask(b, host) != "v1"; {
		if time.Now().After(deadline) {
			b.Fatal("the route was not served after 30s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	var took []time.Duration
	canary := 0
	for b.Loop() {
		canary = 100 - canary
		want := map[int]string{0: "v1", 100: "v2"}[canary]
		if err := setWeights(ctx, ns, 100-canary, canary); err != nil {
			b.Fatal(err)
		}
		written := time.Now()
		first, row := time.Time{}, 0
		for row < 20 {
			sent := time.Now()
			if ask(b, host) != want {
				row = 0
				continue
			}
			if row++; row == 1 {
				first = sent
			}
		}
		took = append(took, first.Sub(written))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms-median")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "ms-max")
}

// ask sends one request and gives the version that answered.
func ask(b *testing.B, host string) string {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, shared.GatewayURL(), nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host = host
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("X-Version")
}

// BenchmarkStart measures how long a bed takes until it is ready.
func BenchmarkStart(b *testing.B) {
	var memory int64
	for b.Loop() {
		one, err := bed.Start(b.Context(), bed.Options{Programs: programs})
		if err != nil {
			b.Fatal(err)
		}
		memory = 0
		for _, p := range one.Status().Parts {
			memory += p.Memory
		}
		if err := one.Stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(memory>>20), "MiB")
}
