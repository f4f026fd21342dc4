package step

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/metric"
)

const (
	// cutFor bounds the question about buckets: a way back must not wait for its own words.
	cutFor = 2 * time.Second
	// beyond every bucket, in seconds: what is counted at it is the source's last one.
	beyond = 1e9
)

// cut says in words at which response times a source really counts, for the latency limits that are
// not kept or not known; nothing where it counts at the limits themselves. A limit between two
// buckets is counted at the lower one, which is the safe side and may look too strict.
func (w *watcher) cut(ctx context.Context) string {
	b, ok := w.meter.(metric.Bounder)
	limits := w.slow()
	if !ok || len(limits) == 0 || w.out.Trouble != "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, cutFor)
	defer cancel()
	has, err := b.Bounds(ctx, w.subject(), append(limits, beyond))
	if err != nil || len(has) == 0 {
		return "" // the words are lost, not the verdict
	}
	var out []string
	for _, l := range limits {
		i, exact := slices.BinarySearchFunc(has, l, func(bound, limit float64) int {
			switch {
			case bound < limit*(1-1e-9):
				return -1
			case bound > limit*(1+1e-9):
				return 1
			}
			return 0
		})
		switch {
		case exact:
		case i == 0:
			out = append(out, fmt.Sprintf("the source has no bucket at or below %gs, so nothing is known of that limit", l))
		default:
			out = append(out, fmt.Sprintf("the source has no bucket at %gs and counts what is slower than %gs", l, has[i-1]))
		}
	}
	return strings.Join(out, "; ")
}

// slow has the response times, rising, of the latency limits that do not hold.
func (w *watcher) slow() []float64 {
	var out []float64
	for _, l := range w.ro.Policy.Limits {
		held := slices.ContainsFunc(w.out.Judgement.Measures, func(m analysis.Measure) bool {
			return m.Name == l.Name && m.Verdict == analysis.Healthy
		})
		switch {
		case held:
		case l.Kind == analysis.LatencyPercentile:
			out = append(out, l.Bound)
		case l.Kind == analysis.SlowRatio:
			out = append(out, l.Above.Seconds())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
