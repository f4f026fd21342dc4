// Package metrictest is the suite that every meter passes. It says what
// happened, as a model; a driver's test makes its source tell that, and the
// suite looks at what the meter makes of it.
package metrictest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// Every is the length of the model's intervals, and Start where the first one
// begins: whole minutes, which every source can tell.
const Every = time.Minute

// Start is when the model begins.
var Start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Subject is the service that the suite asks about.
var Subject = metric.Subject{
	Cluster: "demo", Namespace: "shop", Service: "checkout", Route: "checkout",
	Canary: "checkout-2", Stable: "checkout-1",
}

// Bounds are the latency bounds at which the model counts slow requests.
var Bounds = []float64{0.1, 1}

// A Model is what happened in each interval, from Start on.
type Model struct {
	Subject metric.Subject
	// Versions has a row of counts for each version. Where one is not Known, the
	// source had nothing of it. Versions of other services, with names much like
	// these, belong to a service of their own in the same namespace.
	Versions map[string][]analysis.Counts
	// Age is how long ago the last interval ended, on top of the source's lag, when
	// the meter reads. It may be negative.
	Age time.Duration
}

// Intervals is the number of intervals.
func (m Model) Intervals() int {
	n := 0
	for _, row := range m.Versions {
		n = max(n, len(row))
	}
	return n
}

// End is when the last interval ends.
func (m Model) End() time.Time { return Start.Add(time.Duration(m.Intervals()) * Every) }

// Now is when the meter reads, by a source with this lag.
func (m Model) Now(lag time.Duration) time.Time { return m.End().Add(lag + m.Age) }

// Names are the versions, sorted.
func (m Model) Names() []string { return slices.Sorted(maps.Keys(m.Versions)) }

// Service is the service of a version: the name without its number.
func Service(version string) string {
	for i := len(version) - 1; i > 0; i-- {
		if version[i] == '-' {
			return version[:i]
		}
	}
	return version
}

// An Open makes a source tell the model, and gives a meter that reads it at
// Model.Now. Clean-up goes to t.Cleanup.
type Open func(t *testing.T, m Model) metric.Meter

// Row repeats counts n times.
func Row(n int, c analysis.Counts) []analysis.Counts { return slices.Repeat([]analysis.Counts{c}, n) }

// Some are counts that are known: requests, errors, and those slower than each
// of Bounds.
func Some(requests, errors int64, slow ...int64) analysis.Counts {
	if len(slow) == 0 {
		slow = make([]int64, len(Bounds))
	}
	return analysis.Counts{Requests: requests, Errors: errors, Slow: slow, Known: true}
}
