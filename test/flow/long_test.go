package flow_test

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// BenchmarkThreeDays simulates one rollout of three days from its start to its end, first
// deployment left out, and reads its whole history. It has to take less than a second; it prints
// the processors' part too, which a busy machine does not change.
//
//	go test ./test/flow -run '^$' -bench ThreeDays
func BenchmarkThreeDays(b *testing.B) {
	worked, runs := time.Duration(0), 0
	for b.Loop() {
		b.StopTimer()
		s := deployed(b, healthyUpTo(2))
		b.StartTimer()
		before := work(b)
		if e := s.run(fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "36h"}); e.Status != asl.Succeeded {
			b.Fatalf("status %s, path %s (%s)", e.Status, e.path, e.cause)
		}
		worked, runs = worked+work(b)-before, runs+1
	}
	b.ReportMetric(float64(worked.Milliseconds())/float64(runs), "cpu-ms/op")
}
