package prometheus

import "math"

// A state says what is known of a counter at a moment, or of its rise.
type state int

const (
	absent state = iota
	present
	// contradiction is a value that no counter has: NaN, an infinity, a negative.
	contradiction
)

type point struct {
	state state
	value float64
}

func pointOf(v float64) point {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return point{state: contradiction}
	}
	return point{present, v}
}

// A track is one series on a grid.
type track struct {
	labels map[string]string
	points []point
}

// rise is how much the counter grew from a point to the next. It is absent
// where the growth within these two points cannot be told: the series went, or
// came back, in between.
func (t track) rise(from int, alive bool) (float64, state) {
	a, b := t.points[from], t.points[from+1]
	switch {
	case a.state == contradiction || b.state == contradiction:
		return 0, contradiction
	case b.state == absent:
		return 0, absent
	case a.state == present && b.value >= a.value:
		return b.value - a.value, present
	case a.state == present:
		// The process began anew. What it counted before it ended, after point a, is
		// lost; what it counted since is not.
		return b.value, present
	case alive && !t.seenBefore(from):
		// The first request of its kind: before it there was no series.
		return b.value, present
	}
	return 0, absent
}

func (t track) seenBefore(i int) bool {
	for _, p := range t.points[:i] {
		if p.state != absent {
			return true
		}
	}
	return false
}

// aliveAt tells whether the source had read any of the series by then. If not,
// a series that is there later may be an old one that was not read.
func aliveAt(tracks []track, i int) bool {
	for _, t := range tracks {
		if t.points[i].state == present {
			return true
		}
	}
	return false
}

// most is the largest count that is believed: a billion requests a second for a
// thousand seconds.
const most = 1e12

// whole makes a sum of counters a count again.
func whole(sum float64) (int64, bool) {
	if !(sum >= 0 && sum <= most) {
		return 0, false
	}
	return int64(math.Round(sum)), true
}
