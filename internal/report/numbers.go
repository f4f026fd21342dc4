package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/story"
)

// A row is a measure as the page shows it: each number in its own unit, and nothing where the
// measure has none.
type row struct {
	Name, Canary, Stable string
	// Value is what was held against Allowed; both are empty for a comparison with stable.
	Value, Allowed string
	Against, For   string
	Ratios         string
	Advisory       bool
}

// A lookView is a look with its numbers.
type lookView struct {
	story.Moment
	Rows []row
}

// rows are the measures of a look.
func (r Report) rows(measures []analysis.Measure) []row {
	var out []row
	for _, m := range measures {
		out = append(out, r.row(m))
	}
	return out
}

func (r Report) row(m analysis.Measure) row {
	out := row{Name: m.Name, Advisory: m.Advisory}
	limit, ok := r.limit(m)
	switch {
	case m.Name == analysis.ShareOfRequests:
		out.Canary, out.Stable = fmt.Sprint(m.Canary.Requests), fmt.Sprint(m.Stable.Requests)
		out.Value, out.Allowed = share(m.Value), "weight "+share(m.Bound)
		out.Against = number(m.Bad)
	case ok:
		out.Canary = of(limit, m)
		out.Value, out.Allowed = r.held(limit, m)
	default:
		out.compare(m)
	}
	return out
}

// compare is the row of a comparison with stable, or, where stable serves nobody, with the objective.
func (w *row) compare(m analysis.Measure) {
	w.Canary = total(m.Canary)
	switch {
	case m.Stable.Requests > 0:
		w.Stable = total(m.Stable)
	case m.Bound > 0 && m.Bound < 1 && m.Canary.Requests > 0:
		w.Value, w.Allowed = share(m.Canary.Rate()), "≤ "+share(m.Bound)
	}
	if m.Bad > 0 {
		w.Against, w.For = number(m.Bad), number(m.Good)
	}
	switch {
	case m.Low > 0 && m.High > 0:
		w.Ratios = number(m.Low) + " – " + number(m.High)
	case m.Low > 0:
		w.Ratios = "above " + number(m.Low)
	case m.High > 0:
		w.Ratios = "below " + number(m.High)
	}
}

// limit is the limit that a measure is of; a comparison, which has evidence, is of none.
func (r Report) limit(m analysis.Measure) (analysis.Limit, bool) {
	if r.Story.Rollout == nil || m.Bad > 0 || m.Good > 0 {
		return analysis.Limit{}, false
	}
	limits := r.Story.Rollout.Policy.Limits
	i := slices.IndexFunc(limits, func(l analysis.Limit) bool { return l.Name == m.Name })
	if i < 0 {
		return analysis.Limit{}, false
	}
	return limits[i], true
}

// of is what a limit counted; failures only where it is about failures.
func of(l analysis.Limit, m analysis.Measure) string {
	switch l.Kind {
	case analysis.Value:
		return ""
	case analysis.LatencyPercentile, analysis.SlowRatio:
		return fmt.Sprint(m.Canary.Requests)
	}
	return total(m.Canary)
}

// held is a limit's value and bound in its unit. A check that could not be made has no value.
func (r Report) held(l analysis.Limit, m analysis.Measure) (value, allowed string) {
	write, sign := number, "≤ "
	switch l.Kind {
	case analysis.ErrorRate, analysis.SuccessRate, analysis.SlowRatio:
		write = share
	case analysis.LatencyPercentile:
		write = r.latency
	}
	if l.Kind == analysis.SuccessRate || l.AtLeast {
		sign = "≥ "
	}
	if strings.HasPrefix(m.Note, l.Name+" can't be told") || strings.HasSuffix(m.Note, " was not checked yet") {
		return "not known", sign + write(m.Bound)
	}
	return write(m.Value), sign + write(m.Bound)
}

// latency writes seconds; nothing is known beyond the last bound that was counted.
func (r Report) latency(s float64) string {
	if b := bounds(r.Story); len(b) > 0 && s > b[len(b)-1].Seconds() {
		return "more than " + b[len(b)-1].String()
	}
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

func share(f float64) string { return fmt.Sprintf("%.3g %%", 100*f) }

// number has three digits that count, and all of those before the point of what is below a million.
func number(f float64) string {
	if f >= 1000 && f < 1e6 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

func total(t analysis.Total) string {
	if t.Requests == 0 {
		return "none"
	}
	return fmt.Sprintf("%s of %d", share(t.Rate()), t.Requests)
}

// moved tells whether any user was ever on the canary.
func (r Report) moved() bool {
	return slices.ContainsFunc(r.Story.Moments, func(m story.Moment) bool { return m.Weight > 0 })
}
