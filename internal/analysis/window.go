package analysis

import (
	"math"
	"slices"
	"time"
)

// windowSlots is how finely a window's edge is resolved: it may reach back by
// up to a sixtieth of the window too far. Intervals that are no shorter than
// that are never merged, and then windows are exact.
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

// windows are the lengths of the limits' windows in milliseconds, rising.
func (p Policy) windows(last time.Duration) []int64 {
	var out []int64
	for _, l := range p.Limits {
		if l.Window > 0 {
			out = append(out, l.Window.Milliseconds())
		} else if l.Kind == Value {
			out = append(out, last.Milliseconds())
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// remember appends an interval to the tail, drops what no window reaches, and
// merges neighbours that no window needs apart.
func (p Policy) remember(s *State, iv Interval) {
	windows := p.windows(iv.To.Sub(iv.From))
	if len(windows) == 0 {
		return
	}
	next := slot{From: iv.From.UnixMilli(), To: iv.To.UnixMilli(), Counts: Counts{}.plus(iv.Canary), Values: p.valuesOf(iv)}
	if iv.Canary.Known {
		next.Known = next.To - next.From
	}
	longest := windows[len(windows)-1]
	var out []slot
	for _, r := range append(s.Recent, next) {
		if r.To <= next.To-longest {
			continue
		}
		n := len(out)
		if n > 0 && r.To-out[n-1].From <= mergeable(windows, next.To-r.To) {
			out[n-1] = out[n-1].with(r)
			continue
		}
		out = append(out, r)
	}
	s.Recent = out
}

// mergeable is how long a merged slot of that age may be: the edges of longer
// windows alone will still pass over it.
func mergeable(windows []int64, age int64) int64 {
	for _, w := range windows {
		if w > age {
			return w / windowSlots
		}
	}
	return 0
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
