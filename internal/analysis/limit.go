package analysis

import (
	"fmt"
	"time"
)

// check makes one check of a limit at the end of the last interval and counts it.
func (p Policy) check(s *State, l Limit, c *Check) {
	if !c.At.IsZero() && s.Until.Sub(c.At) < l.Every {
		return
	}
	m, broken := p.measure(*s, l)
	c.At = s.Until
	switch {
	case broken:
		c.Failures++
		c.Inconclusive = 0
		m.Verdict = Inconclusive
		if c.Failures > l.FailuresAllowed {
			m.Verdict = Unhealthy
		} else {
			m.Note += fmt.Sprintf("; failed check %d of %d allowed", c.Failures, l.FailuresAllowed)
		}
	case m.Verdict == Inconclusive:
		c.Inconclusive++
	default:
		c.Inconclusive = 0
	}
	c.Last = m
	if m.Verdict == Unhealthy && !l.Advisory && s.Failed == nil {
		s.Failed = &Failure{At: s.Until, Measure: l.Name, Reason: m.Note}
	}
}

// measure takes the limit's number. broken says that it passes the bound.
func (p Policy) measure(s State, l Limit) (m Measure, broken bool) {
	w := s.window(l)
	m = Measure{
		Name: l.Name, Window: w.length, Bound: l.Bound, Advisory: l.Advisory,
		Canary: Total{Requests: w.counts.Requests, Errors: w.counts.Errors},
	}
	if l.Kind == ErrorCount && float64(m.Canary.Errors) > l.Bound {
		m.Value = float64(m.Canary.Errors)
		m.Note = l.sentence(m, p.Comparison.LatencyBounds)
		return m, true // data that are still missing cannot make it fewer
	}
	if note := p.lacking(l, w); note != "" {
		m.Note = note
		return m, false
	}
	least := max(l.MinRequests, 1)
	if l.Kind != Value && w.counts.Requests < least {
		return p.early(l, w, m, least)
	}
	var ok bool
	m.Value, ok = l.value(w, p.Comparison.LatencyBounds)
	if !ok {
		m.Note = fmt.Sprintf("%s can't be told: the source has no latency counts for the canary", l.Name)
		return m, false
	}
	m.Note = l.sentence(m, p.Comparison.LatencyBounds)
	if !l.holds(m.Value) {
		return m, true
	}
	m.Verdict = Healthy
	return m, false
}

// early judges a window of too few requests. It never passes; but what is over the bound even if all
// requests up to the least number were fine is broken already, and waiting only costs users.
func (p Policy) early(l Limit, w window, m Measure, least int64) (Measure, bool) {
	bounds := p.Comparison.LatencyBounds
	more := least - w.counts.Requests
	best := w
	best.counts.Requests = least
	if v, ok := l.value(best, bounds); ok && w.counts.Requests > 0 && !l.holds(v) {
		m.Value, _ = l.value(w, bounds)
		m.Note = fmt.Sprintf("%s; %d more that are fine would not change that", l.sentence(m, bounds), more)
		return m, true
	}
	m.Note = fmt.Sprintf("%s can't be told: %s in %s, needs %d", l.Name, count(w.counts.Requests, "canary request"), lasted(w.length), least)
	return m, false
}

// lacking says in words which data are missing from a window, or nothing.
func (p Policy) lacking(l Limit, w window) string {
	if l.Kind == Value {
		if !w.hasValue {
			return fmt.Sprintf("%s can't be told: no value in the last %s", l.Name, lasted(w.length))
		}
		return ""
	}
	if missing := w.length - w.known; w.length > 0 && float64(missing) > p.MissingTolerated*float64(w.length) {
		return fmt.Sprintf("%s can't be told: no data for %s of the last %s", l.Name, lasted(missing), lasted(w.length))
	}
	return ""
}

// value is the limit's number; false where the counts do not hold it.
func (l Limit) value(w window, bounds []time.Duration) (float64, bool) {
	all := float64(w.counts.Requests)
	switch l.Kind {
	case ErrorCount:
		return float64(w.counts.Errors), true
	case ErrorRate:
		return float64(w.counts.Errors) / all, true
	case SuccessRate:
		return float64(w.counts.Requests-w.counts.Errors) / all, true
	case Value:
		return w.value, true
	}
	if len(w.counts.Slow) != len(bounds) {
		return 0, false
	}
	if l.Kind == LatencyPercentile {
		return percentile(w.counts, bounds, l.Percentile), true
	}
	for i, b := range bounds {
		if b == l.Above {
			return float64(w.counts.Slow[i]) / all, true
		}
	}
	return 0, false
}

// percentile reads the histogram as Prometheus does: straight lines between
// bounds. Beyond the last bound it is twice that bound, which says "more".
func percentile(c Counts, bounds []time.Duration, percent float64) float64 {
	rank := percent / 100 * float64(c.Requests)
	below, from := 0.0, 0.0
	for i, b := range bounds {
		upTo := max(float64(c.Requests-c.Slow[i]), below)
		if upTo >= rank && upTo > below {
			return from + (b.Seconds()-from)*(rank-below)/(upTo-below)
		}
		below, from = upTo, b.Seconds()
	}
	return 2 * from
}

// holds is false for NaN.
func (l Limit) holds(v float64) bool {
	if l.Kind == SuccessRate || l.Kind == Value && l.AtLeast {
		return v >= l.Bound
	}
	return v <= l.Bound
}
