package cloudwatch

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// retention is how long data are kept, as CloudWatch keeps its finest ones.
const retention = 3 * time.Hour

// A store holds data as they were published.
type store struct {
	mu     sync.Mutex
	series map[string][]datum
}

// A datum is one published value or set of values.
type datum struct {
	at      time.Time // cut to the metric's resolution
	arrived time.Time
	stats   statistics
	values  []weighted // empty where only statistics were published
}

type weighted struct{ value, count float64 }

// statistics are what CloudWatch keeps of a set of values.
type statistics struct{ sum, count, min, max float64 }

func (a statistics) plus(b statistics) statistics {
	if a.count == 0 {
		return b
	}
	return statistics{a.sum + b.sum, a.count + b.count, min(a.min, b.min), max(a.max, b.max)}
}

// key names a series: CloudWatch never merges metrics whose dimensions differ.
func key(namespace, name string, dims []dimension) string {
	parts := make([]string, 0, len(dims))
	for _, d := range dims {
		parts = append(parts, d.Name+"\x01"+d.Value)
	}
	slices.Sort(parts)
	return strings.Join(append([]string{namespace, name}, parts...), "\x00")
}

// put adds data and forgets those beyond retention.
func (s *store) put(key string, now time.Time, d datum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.series == nil {
		s.series = map[string][]datum{}
	}
	old := 0
	for old < len(s.series[key]) && now.Sub(s.series[key][old].arrived) > retention {
		old++
	}
	s.series[key] = append(s.series[key][old:], d)
}

// A point is one period of a series.
type point struct {
	at    time.Time
	value float64
}

// A reading says which part of a series is wanted, and how.
type reading struct {
	stat       string
	period     time.Duration
	start, end time.Time // [start, end)
	seen       time.Time // data that arrived later are not known yet
}

// read gives the points that have data, oldest first.
func (s *store) read(key string, r reading) []point {
	s.mu.Lock()
	defer s.mu.Unlock()
	type bucket struct {
		stats  statistics
		values []weighted
	}
	buckets := map[time.Time]*bucket{}
	for _, d := range s.series[key] {
		at := d.at.Truncate(r.period)
		if d.arrived.After(r.seen) || at.Before(r.start) || !at.Before(r.end) {
			continue
		}
		b := buckets[at]
		if b == nil {
			b = &bucket{}
			buckets[at] = b
		}
		b.stats = b.stats.plus(d.stats)
		b.values = append(b.values, d.values...)
	}
	var points []point
	for at, b := range buckets {
		if v, ok := statistic(r.stat, b.stats, b.values); ok {
			points = append(points, point{at, v})
		}
	}
	slices.SortFunc(points, func(a, b point) int { return a.at.Compare(b.at) })
	return points
}

// statistic computes stat; it is false for a percentile or a trimmed count of data
// that were published as statistics alone.
func statistic(stat string, s statistics, values []weighted) (float64, bool) {
	switch stat {
	case "Sum":
		return s.sum, true
	case "SampleCount":
		return s.count, true
	case "Average":
		return s.sum / s.count, s.count > 0
	case "Minimum":
		return s.min, true
	case "Maximum":
		return s.max, true
	}
	var total float64
	for _, v := range values {
		total += v.count
	}
	if total == 0 || total != s.count {
		return 0, false
	}
	if above, upTo, ok := trimmed(stat); ok {
		var n float64
		for _, v := range values {
			if v.value > above && v.value <= upTo {
				n += v.count
			}
		}
		return n, true
	}
	p, _ := percentile(stat)
	slices.SortFunc(values, func(a, b weighted) int { return int(math.Copysign(1, a.value-b.value)) })
	var below float64
	for _, v := range values {
		if below += v.count; below >= p/100*total {
			return v.value, true
		}
	}
	return values[len(values)-1].value, true
}

// percentile reads a statistic such as p99 or p99.9.
func percentile(stat string) (float64, bool) {
	digits, ok := strings.CutPrefix(stat, "p")
	p, err := strconv.ParseFloat(digits, 64)
	return p, ok && err == nil && p >= 0 && p <= 100 && !strings.ContainsAny(digits, "+-eExX_")
}

var trimmedCount = regexp.MustCompile(`^TC\(([0-9.]*):([0-9.]*)\)$`)

// trimmed reads a trimmed count by value, such as TC(0.3:): how many values are
// above the first bound and not above the second.
func trimmed(stat string) (above, upTo float64, ok bool) {
	m := trimmedCount.FindStringSubmatch(stat)
	if m == nil {
		return 0, 0, false
	}
	above, upTo = math.Inf(-1), math.Inf(1)
	var err1, err2 error
	if m[1] != "" {
		above, err1 = strconv.ParseFloat(m[1], 64)
	}
	if m[2] != "" {
		upTo, err2 = strconv.ParseFloat(m[2], 64)
	}
	return above, upTo, err1 == nil && err2 == nil
}

// served reports whether the stand-in computes the statistic.
func served(stat string) bool {
	_, p := percentile(stat)
	_, _, tc := trimmed(stat)
	return p || tc || slices.Contains([]string{"Sum", "SampleCount", "Average", "Minimum", "Maximum"}, stat)
}
