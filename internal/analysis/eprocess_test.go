package analysis

import (
	"math"
	"testing"
	"time"
)

// start is the moment at which every test's first interval begins.
var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// stream makes consecutive intervals of ten seconds at one weight. A row is
// canary requests and errors, then stable requests and errors.
func stream(weight int, rows ...[4]int64) []Interval {
	out := make([]Interval, len(rows))
	for i, r := range rows {
		out[i] = Interval{
			From: start.Add(time.Duration(i) * 10 * time.Second), To: start.Add(time.Duration(i+1) * 10 * time.Second),
			Canary: Counts{Requests: r[0], Errors: r[1], Known: true},
			Stable: Counts{Requests: r[2], Errors: r[3], Known: true}, Weight: weight,
		}
	}
	return out
}

// later shifts intervals to begin where the state ends.
func later(s State, in []Interval) []Interval {
	if len(in) == 0 || s.Until.IsZero() {
		return in
	}
	by := s.Until.Sub(in[0].From)
	out := make([]Interval, len(in))
	for i, iv := range in {
		iv.From, iv.To = iv.From.Add(by), iv.To.Add(by)
		out[i] = iv
	}
	return out
}

func TestEvidenceOfKnownCases(t *testing.T) {
	for name, tt := range map[string]struct {
		tolerated float64
		in        [][4]int64
		bad, good float64
	}{
		"a healthy canary":               {1, [][4]int64{{300, 2, 2700, 14}, {300, 1, 2700, 13}}, 0.2544, 1.806},
		"twice as many errors":           {1, [][4]int64{{1000, 20, 9000, 90}}, 6.378, 0.01195},
		"ten times as many":              {1, [][4]int64{{300, 3, 2700, 3}, {300, 3, 2700, 2}}, 301.1, 0.01876},
		"ten times, a quarter tolerated": {1.25, [][4]int64{{300, 3, 2700, 3}, {300, 3, 2700, 2}}, 107.9, 0.01876},
		"a weight that rises":            {1.25, [][4]int64{{150, 2, 2850, 10}, {750, 11, 2250, 8}, {750, 14, 2250, 7}}, 4138, 3.377e-05},
		"nobody on the canary":           {1.25, [][4]int64{{0, 0, 3000, 12}}, 1, 1},
		"an incident common to both":     {1, [][4]int64{{300, 60, 2700, 540}}, 0.02746, 2.23e+06},
	} {
		t.Run(name, func(t *testing.T) {
			p := Policy{Comparison: Comparison{Enabled: true, Tolerated: tt.tolerated}}
			_, j := p.Look(State{}, stream(10, tt.in...))
			m := find(t, j, errorsName)
			if !near(m.Bad, tt.bad, 5e-4) || !near(m.Good, tt.good, 5e-4) {
				t.Errorf("evidence = bad %.4g, good %.4g; want %.4g, %.4g", m.Bad, m.Good, tt.bad, tt.good)
			}
		})
	}
}

func near(got, want, relative float64) bool { return math.Abs(got-want) <= relative*math.Abs(want) }

func find(t *testing.T, j Judgement, name string) Measure {
	t.Helper()
	for _, m := range j.Measures {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no measure %q in %+v", name, j.Measures)
	return Measure{}
}
