package flow_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// BenchmarkThreeDays simulates one rollout of three days from its start to its end, first
// deployment left out.
//
//	go test ./test/flow -run '^$' -bench ThreeDays
func BenchmarkThreeDays(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := newScene(b)
		s.first()
		s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
		b.StartTimer()
		if e := s.run(fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "36h"}); e.Status != asl.Succeeded {
			b.Fatalf("status %s, path %s (%s)", e.Status, e.path, e.cause)
		}
	}
}
