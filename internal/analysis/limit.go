package analysis

import (
	"fmt"
	"math"
	"time"
)

// windowSlots is how many pieces the longest window is kept in. Windows are
// exact as long as intervals are no shorter than such a piece; otherwise a
// window reaches back up to one piece too far.
const windowSlots = 60

// A slot is one piece of the recent past of the canary: times in Unix
// milliseconds, how much of it had data, counts and newest values.
type slot struct {
	From   int64              `json:"f"`
	To     int64              `json:"t"`
	Known  int64              `json:"k,omitempty"`
	Counts Counts             `json:"c"`
	Values map[string]float64 `json:"v,omitempty"`
}

// remember appends an interval to the tail and drops what no window reaches.
func (p Policy) remember(s *State, iv Interval) {
	longest := time.Duration(0)
	for _, l := range p.Limits {
		longest = max(longest, l.Window)
		if l.Kind == Value && l.Window == 0 {
			longest = max(longest, iv.To.Sub(iv.From))
		}
	}
	if longest == 0 {
		return
	}
	width := max(longest.Milliseconds()/windowSlots, 1)
	next := slot{From: iv.From.UnixMilli(), To: iv.To.UnixMilli(), Counts: Counts{}.plus(iv.Canary), Values: p.valuesOf(iv)}
	if iv.Canary.Known {
		next.Known = next.To - next.From
	}
	n := len(s.Recent)
	if n > 0 && s.Recent[n-1].From/width == next.From/width {
		s.Recent[n-1] = s.Recent[n-1].with(next)
	} else {
		s.Recent = append(s.Recent, next)
	}
	oldest := next.To - longest.Milliseconds()
	for len(s.Recent) > 1 && s.Recent[0].To <= oldest {
		s.Recent = s.Recent[1:]
	}
}

// valuesOf are the interval's usable values that some limit asks for.
func (p Policy) valuesOf(iv Interval) map[string]float64 {
	var out map[string]float64
	for _, l := range p.Limits {
		v, ok := iv.Values[l.Name]
		if l.Kind != Value || !ok || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[l.Name] = v
	}
	return out
}

func (s slot) with(next slot) slot {
	s.To = next.To
	s.Known += next.Known
	s.Counts = s.Counts.plus(next.Counts)
	for name, v := range next.Values {
		if s.Values == nil {
			s.Values = map[string]float64{}
		}
		s.Values[name] = v
	}
	return s
}

// A window is what a limit looks at.
type window struct {
	length, known time.Duration
	counts        Counts
	value         float64
	hasValue      bool
}

func (s State) window(l Limit) window {
	w := window{length: s.elapsed(), known: s.Seen, counts: s.Canary}
	if l.Window > 0 && l.Window < w.length {
		w.length = l.Window
	}
	if l.Window > 0 {
		w.known, w.counts = 0, Counts{}
	}
	oldest := s.Until.UnixMilli() - l.Window.Milliseconds()
	for _, r := range s.Recent {
		if l.Window > 0 && r.To <= oldest {
			continue
		}
		if l.Window > 0 {
			w.known += time.Duration(r.Known) * time.Millisecond
			w.counts = w.counts.plus(r.Counts)
		} else if r.To < s.Until.UnixMilli() {
			continue // without a window only the newest value counts
		}
		if v, ok := r.Values[l.Name]; ok {
			w.value, w.hasValue = v, true
		}
	}
	w.known = min(w.known, w.length)
	return w
}

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

// lacking says in words why a window is not enough to judge, or nothing.
func (p Policy) lacking(l Limit, w window) string {
	if l.Kind == Value {
		if !w.hasValue {
			return fmt.Sprintf("%s can't be told: no value in the last %s", l.Name, short(w.length))
		}
		return ""
	}
	if missing := w.length - w.known; w.length > 0 && float64(missing) > p.MissingTolerated*float64(w.length) {
		return fmt.Sprintf("%s can't be told: no data for %s of the last %s", l.Name, short(missing), short(w.length))
	}
	if w.counts.Requests < max(l.MinRequests, 1) {
		return fmt.Sprintf("%s can't be told: %s in %s, needs %d", l.Name,
			count(w.counts.Requests, "canary request"), short(w.length), max(l.MinRequests, 1))
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
