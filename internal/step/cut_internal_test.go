package step

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// buckets is a source that counts at these response times.
type buckets struct {
	metric.Meter
	at    []float64
	err   error
	asked int
}

func (b *buckets) Bounds(_ context.Context, _ metric.Subject, wanted []float64) ([]float64, error) {
	b.asked++
	var out []float64
	for _, w := range wanted {
		cut := math.NaN()
		for _, at := range b.at {
			if at <= w {
				cut = at
			}
		}
		if !math.IsNaN(cut) && (len(out) == 0 || out[len(out)-1] != cut) {
			out = append(out, cut)
		}
	}
	return out, b.err
}

// A canary that goes back for a limit that is no bucket is told so: it may have been just below it.
func TestTheReasonNamesTheBucketThatALimitIsCountedAt(t *testing.T) {
	p95 := analysis.Limit{Name: "p95", Kind: analysis.LatencyPercentile, Percentile: 95, Bound: 1.2}
	slow := analysis.Limit{Name: "slow", Kind: analysis.SlowRatio, Above: 300 * time.Millisecond}
	bad := func(name string) analysis.Measure { return analysis.Measure{Name: name, Verdict: analysis.Unhealthy} }
	for name, tt := range map[string]struct {
		limits   []analysis.Limit
		measures []analysis.Measure
		source   metric.Meter
		want     string
	}{
		"between two": {[]analysis.Limit{p95}, []analysis.Measure{bad("p95")}, &buckets{at: []float64{0.5, 1, 2.5}},
			"; the source has no bucket at 1.2s and counts what is slower than 1s"},
		"at one":    {[]analysis.Limit{p95}, []analysis.Measure{bad("p95")}, &buckets{at: []float64{0.5, 1.2, 2.5}}, ""},
		"above all": {[]analysis.Limit{p95}, []analysis.Measure{bad("p95")}, &buckets{at: []float64{0.5, 1}}, "; the source has no bucket at 1.2s and counts what is slower than 1s"},
		"below all": {[]analysis.Limit{slow, p95}, []analysis.Measure{bad("slow"), bad("p95")}, &buckets{at: []float64{1.2, 5}},
			"; the source has no bucket at or below 0.3s, so nothing is known of that limit"},
		"a limit that holds":          {[]analysis.Limit{p95}, []analysis.Measure{{Name: "p95", Verdict: analysis.Healthy}}, &buckets{at: []float64{1, 2.5}}, ""},
		"no histogram":                {[]analysis.Limit{p95}, nil, &buckets{}, ""},
		"no answer":                   {[]analysis.Limit{p95}, nil, &buckets{at: []float64{1}, err: errors.New("down")}, ""},
		"a source that cuts anywhere": {[]analysis.Limit{p95}, []analysis.Measure{bad("p95")}, struct{ metric.Meter }{}, ""},
	} {
		w := watcher{HealthCheck: HealthCheck{Clock: clock.Real{}}, meter: tt.source, gates: &asking{}}
		w.ro.Policy.Limits, w.out.Judgement.Measures = tt.limits, tt.measures
		w.ro.Plan.Steps = []rollout.Step{{Weight: 10}}
		w.messages = newMessenger(t.Context(), nil, clock.Real{}, w.ro)
		got := w.answer(t.Context(), rollout.Decision{Action: rollout.RollBack, Reason: "too slow"}).Reason
		if got != "too slow"+tt.want {
			t.Errorf("%s: reason %q; want %q", name, got, "too slow"+tt.want)
		}
	}
}

// A source in trouble is not asked once more: the way back would wait for it.
func TestASourceInTroubleIsNotAskedForItsBuckets(t *testing.T) {
	source := &buckets{at: []float64{1}}
	w := watcher{meter: source, out: Watch{Trouble: "down"}}
	w.ro.Policy.Limits = []analysis.Limit{{Name: "p95", Kind: analysis.LatencyPercentile, Percentile: 95, Bound: 1.2}}
	if got := w.cut(t.Context()); got != "" || source.asked != 0 {
		t.Errorf("cut() = %q after %d questions; want none", got, source.asked)
	}
}
