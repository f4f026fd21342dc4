package analysis

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// FuzzLook feeds intervals of any shape, in any order, through steps and a
// bake: no panic, finite numbers, no health without requests.
func FuzzLook(f *testing.F) {
	f.Add([]byte{0, 10, 30, 2, 200, 14, 10, 1, 10, 30, 1, 200, 13, 10})
	f.Add([]byte{5, 10, 255, 255, 255, 255, 100, 9, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{3, 1, 30, 30, 200, 0, 50, 8, 1, 30, 30, 200, 0, 50, 6, 7, 8, 9, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 7*200 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		p := fullPolicy()
		var s State
		at, requests := start, int64(0)
		for ; len(data) >= 7; data = data[7:] {
			iv := fuzzed(data, at)
			at = iv.To
			switch data[0] % 16 {
			case 9:
				s, requests = s.NextStep(), 0
			case 10:
				s, requests = s.Bake(), 0
			}
			var j Judgement
			if iv.Canary.usable().Known && iv.To.After(iv.From) && !iv.From.Before(s.Until) {
				requests += iv.Canary.Requests
			}
			s, j = p.Look(s, []Interval{iv})
			if j.Verdict == Healthy && requests == 0 {
				t.Fatalf("healthy without a request: %+v", j)
			}
			if j.Reason == "" {
				t.Fatal("a judgement without a reason")
			}
			for _, m := range j.Measures {
				for _, v := range []float64{m.Bad, m.Good, m.P, m.Low, m.High, m.Value, m.Bound} {
					if math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatalf("a number that is none in %+v", m)
					}
				}
			}
			if _, err := json.Marshal(j); err != nil {
				t.Fatalf("marshal judgement: %v", err)
			}
			s = travel(t, s)
		}
	})
}

// fuzzed reads one interval from seven bytes. The top of the scale is huge, so
// that sums come near overflow.
func fuzzed(b []byte, at time.Time) Interval {
	n := func(v byte) int64 {
		switch {
		case v == 255:
			return math.MaxInt64
		case v == 254:
			return -1
		case v >= 250:
			return maxCount
		}
		return int64(v)
	}
	iv := Interval{From: at, To: at.Add(time.Duration(int8(b[1])) * time.Second), Weight: int(int8(b[6]))}
	iv.Canary = Counts{Requests: n(b[2]), Errors: n(b[3]), Slow: []int64{n(b[3]), n(b[4])}, Known: b[0]&1 == 0}
	iv.Stable = Counts{Requests: n(b[4]), Errors: n(b[5]), Slow: []int64{n(b[5])}, Known: b[0]&2 == 0}
	iv.Values = map[string]float64{"queue": math.Inf(int(int8(b[5])))}
	return iv
}
