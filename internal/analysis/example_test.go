package analysis_test

import (
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// A canary at 10 % fails 12 of 100 requests beside a stable that fails 4 of 900.
func ExamplePolicy_Look() {
	policy := analysis.Policy{Comparison: analysis.DefaultComparison(), Steps: []int{10, 50}}
	from := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	state, judgement := policy.Look(analysis.State{}, []analysis.Interval{{
		From: from, To: from.Add(10 * time.Second), Weight: 10,
		Canary: analysis.Counts{Requests: 100, Errors: 12, Known: true},
		Stable: analysis.Counts{Requests: 900, Errors: 4, Known: true},
	}})
	fmt.Println(judgement.Verdict)
	fmt.Println(judgement.Reason)

	// The same interval again changes nothing.
	_, again := policy.Look(state, nil)
	fmt.Println(again.Verdict)
	// Output:
	// unhealthy
	// 12 of 100 requests (12 %) on the canary failed, 4 of 900 (0.44 %) on stable: more than 5 times as often; a canary that is fine looks this bad in at most 1 in 2.32 million rollouts.
	// unhealthy
}
