// Package metric is the port to whatever has counted a service's requests. Its
// drivers are the folders below it; package meters opens one by name, queries
// holds what to ask apart from whom to ask, and every driver passes the suite in
// metrictest.
package metric

import (
	"context"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// A Subject is a service with the two versions that are compared.
type Subject struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	// Route is the object that splits the traffic.
	Route string `json:"route"`
	// Canary and Stable are back end names, which are version names; Stable is empty
	// on a first deployment.
	Canary string `json:"canary"`
	Stable string `json:"stable,omitempty"`
}

// A Window is a span of closed intervals: [From, To), cut every Every. From is a
// moment after the weight was seen in force, and To is never later than now minus
// the source's lag.
type Window struct {
	From, To time.Time
	Every    time.Duration
	// Bounds are latency bounds in seconds; the answers slower than each are counted.
	Bounds []float64
}

// A Pace says how finely, and how late, a source can be read.
type Pace struct {
	// Every is the length of the shortest closed interval.
	Every time.Duration
	// Lag is how old an interval's end must be before its numbers are complete.
	Lag time.Duration
	// Grid is what a source's intervals begin at multiples of, counted from the zero
	// time; zero where they begin anywhere. See [Pace.Window].
	Grid time.Duration
	// Settle is how long after a change of weight a counter may be read with a value
	// from before it. An interval that begins within Settle of the change is fair
	// evidence about a version, and none about how the requests were split.
	Settle time.Duration
}

// A Meter reads raw counters from one source. Ratios, gaps and minimum samples
// are computed above it. Errors carry a fault.Kind: Transient for throttling,
// time-outs and 5xx answers, Invalid for a refused query or credentials. An error
// is never a verdict about the canary.
type Meter interface {
	// Intervals gives one entry for each interval of the window, in order. A version
	// for which the source has nothing in an interval is not Known there; zero
	// requests and no data are different things. NaN, +Inf, negative and
	// contradicting values are not Known either, and neither is an interval that
	// ended less than the lag ago. A source that keeps its numbers by a grid of its
	// own, such as whole minutes, begins at the first mark that is not before From
	// and answers by that grid. Weight is left for the caller to fill in, who knows
	// what was in force.
	Intervals(ctx context.Context, s Subject, w Window) ([]analysis.Interval, error)

	// Pace says how the source can be read.
	Pace() Pace
}

// A Valuer is a Meter that also answers a query of the user's with one number
// for the window. Placeholders such as ${VERSION} in the query are filled from
// the subject, quoted as the source's language asks. Known is false where it
// answered nothing, NaN or an infinity; several series are an error, because
// choosing one would be a guess.
type Valuer interface {
	Value(ctx context.Context, s Subject, query string, w Window) (value float64, known bool, err error)
}

// An Unscoper is a Meter that may not tell the versions apart: then the counts of the whole service
// stand for the canary's, and stable has none.
type Unscoper interface {
	Unscoped() bool
}

// Unscoped tells whether the meter's counts are those of all versions together.
func Unscoped(m Meter) bool {
	u, may := m.(Unscoper)
	return may && u.Unscoped()
}

// A Bounder is a Meter that can say where its response times can be cut.
type Bounder interface {
	// Bounds gives the cuts at which slower requests are counted when the wanted
	// ones, in rising seconds, are asked for: each the nearest one that is not above,
	// or, where the source's histogram begins after it, none. Every request slower than
	// a wanted bound is slower than its cut, too.
	Bounds(ctx context.Context, s Subject, wanted []float64) ([]float64, error)
}
