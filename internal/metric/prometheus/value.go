package prometheus

import (
	"context"
	"fmt"
	"math"
	"net/url"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// Value evaluates a query of the user's at the window's end. Its placeholders
// are those of queries.Fill; ${WINDOW} makes a range selector of the window.
// The newest sample counts where it answers with a range of one series.
func (m *Meter) Value(ctx context.Context, s metric.Subject, query string, w metric.Window) (float64, bool, error) {
	filled, err := queries.Fill(query, s, w)
	if err != nil {
		return 0, false, err
	}
	d, err := m.ask(ctx, "/api/v1/query", url.Values{"query": {filled}, "time": {seconds(w.To)}})
	if err != nil {
		return 0, false, fmt.Errorf("query %s: %w", filled, err)
	}
	if len(d.series) > 1 {
		return 0, false, fmt.Errorf("query %s: %w: it answers %d series; one is expected, so sum them or select one", filled, fault.Invalid, len(d.series))
	}
	v, ok := d.number()
	if d.kind == "string" {
		return 0, false, fmt.Errorf("query %s: %w: it answers a string; a number is expected", filled, fault.Invalid)
	}
	if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false, nil
	}
	return v, true, nil
}

// number is the one number in an answer of at most one series.
func (d data) number() (float64, bool) {
	switch {
	case d.kind == "scalar":
		return d.scalar.value, true
	case len(d.series) == 0:
		return 0, false
	case d.series[0].Value != nil:
		return d.series[0].Value.value, true
	case len(d.series[0].Values) > 0:
		return d.series[0].Values[len(d.series[0].Values)-1].value, true
	}
	return 0, false
}
