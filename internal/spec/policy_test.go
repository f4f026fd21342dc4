package spec_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

const minimal = `"percentage_step": 50, "wait_time": 60`

// The ancestor's file is judged by its threshold, and by the comparison, which
// may roll back on proof but asks for none.
func TestPolicyOfAnAncestorsFile(t *testing.T) {
	comparison := analysis.DefaultComparison()
	comparison.ProveBy = 0
	want := analysis.Policy{
		Limits: []analysis.Limit{{
			Name: "failure_threshold", Kind: analysis.ErrorCount, Bound: 5, Window: 5 * time.Minute,
			MinRequests: 1, InconclusiveAllowed: 1_000_000,
		}},
		Comparison: comparison, SampleRatio: analysis.DefaultSampleRatio(),
		Steps: []int{50, 100}, BakeFor: time.Minute, MissingTolerated: 0.2,
	}
	got := parse(t, minimal+`, "failure_threshold_value": 5, "failure_threshold_time": 300`).Policy()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

// The schema's defaults are those of package analysis.
func TestPolicyDefaults(t *testing.T) {
	want := analysis.DefaultComparison()
	want.MinRequests = 10
	if diff := cmp.Diff(want, parse(t, minimal+`, "analysis": {}`).Policy().Comparison); diff != "" {
		t.Errorf("comparison (-analysis +schema):\n%s", diff)
	}
	pace := analysis.DefaultPace()
	if diff := cmp.Diff(pace, parse(t, minimal+`, "pace": "evidence"`).Policy().Pace); diff != "" {
		t.Errorf("pace (-analysis +schema):\n%s", diff)
	}
}

func TestPolicyThreshold(t *testing.T) {
	for name, tt := range map[string]struct {
		fields string
		want   int
	}{
		"without a word the ancestor's threshold is checked": {``, 1},
		"analysis takes its place":                           {`, "analysis": {}`, 0},
		"unless one of its fields is written":                {`, "analysis": {}, "failure_threshold_value": 0`, 1},
		"or the other":                                       {`, "analysis": {}, "failure_threshold_time": 60`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := len(parse(t, minimal+tt.fields).Policy().Limits); got != tt.want {
				t.Errorf("%d limits, want %d", got, tt.want)
			}
		})
	}
}

func TestPolicyLimits(t *testing.T) {
	got := parse(t, minimal+`, "metrics": {"query": {"queue": "sum(queue)"}}, "analysis": {
		"interval": "30s", "min_requests": 50, "missing_tolerated": "10%", "sample_ratio": false, "compare": false,
		"limits": [
			{"metric": "error-rate", "max": "1%", "window": "2m", "failures_allowed": 2},
			{"metric": "success-rate", "min": 0.99, "advisory": true},
			{"metric": "latency", "max": "800ms", "percentile": 95, "name": "p95"},
			{"metric": "slow-ratio", "above": 0.3, "max": "5%", "inconclusive_allowed": 3},
			{"metric": "queue", "min": 2}
		]}`).Policy()
	limit := func(name string, kind analysis.Kind, bound float64, source string) analysis.Limit {
		return analysis.Limit{Name: name, Kind: kind, Bound: bound, Source: source, Every: 30 * time.Second, MinRequests: 50, InconclusiveAllowed: 1_000_000}
	}
	rate := limit("error-rate", analysis.ErrorRate, 0.01, "error-rate")
	rate.Window, rate.FailuresAllowed = 2*time.Minute, 2
	success := limit("success-rate", analysis.SuccessRate, 0.99, "success-rate")
	success.Advisory = true
	p95 := limit("p95", analysis.LatencyPercentile, 0.8, "latency")
	p95.Percentile = 95
	slow := limit("slow-ratio", analysis.SlowRatio, 0.05, "slow-ratio")
	slow.Above, slow.InconclusiveAllowed = 300*time.Millisecond, 3
	queue := limit("queue", analysis.Value, 2, "queue")
	queue.AtLeast = true
	if diff := cmp.Diff([]analysis.Limit{rate, success, p95, slow, queue}, got.Limits); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if got.Comparison.Enabled || !got.SampleRatio.Off || got.MissingTolerated != 0.1 {
		t.Errorf("comparison %t, sample ratio off %t, missing tolerated %v; want false, true, 0.1", got.Comparison.Enabled, got.SampleRatio.Off, got.MissingTolerated)
	}
	bounds := []time.Duration{300 * time.Millisecond, 800 * time.Millisecond}
	if diff := cmp.Diff(bounds, got.Comparison.LatencyBounds); diff != "" {
		t.Errorf("latency bounds (-want +got):\n%s", diff)
	}
}
