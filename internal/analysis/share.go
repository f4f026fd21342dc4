package analysis

import (
	"math"
	"slices"
)

var (
	higher = []float64{1.5, 2, 4, 10}     // times the weight
	lower  = []float64{0.75, 0.5, 0.2, 0} // times the lowest share tolerated
)

// A Share is the evidence that the canary's share of requests is not the
// weight in force: logarithms for each alternative above and below.
type Share struct {
	High []float64 `json:"high,omitempty"`
	Low  []float64 `json:"low,omitempty"`
	// Expected is the sum of requests times weight, to say what share was due.
	Expected float64 `json:"expected,omitempty"`
	Canary   int64   `json:"canary,omitempty"`
	All      int64   `json:"all,omitempty"`
}

func (s Share) clone() Share {
	s.High, s.Low = slices.Clone(s.High), slices.Clone(s.Low)
	return s
}

// fold counts one interval in which both versions are known.
func (s *Share) fold(r SampleRatio, canary, stable int64, weight int) {
	if weight <= 0 || weight > 100 || canary+stable == 0 {
		return
	}
	if len(s.High) != len(higher) || len(s.Low) != len(lower) {
		s.High, s.Low = make([]float64, len(higher)), make([]float64, len(lower))
	}
	w := float64(weight) / 100
	all := canary + stable
	if most := w * (1 + r.Tolerance); most < 1 {
		for i, f := range higher {
			s.High[i] += logRate(capRate(most, f), canary, all) - logRate(most, canary, all)
		}
	}
	if least := w * (1 - r.Tolerance); least > 0 {
		for i, f := range lower {
			s.Low[i] += logRate(max(least*f, 1e-6), canary, all) - logRate(least, canary, all)
		}
	}
	s.Expected += w * float64(all)
	s.Canary, s.All = addCount(s.Canary, canary), addCount(s.All, all)
}

// evidence is the log e-value against "within tolerance".
func (s Share) evidence() float64 {
	if len(s.High) == 0 {
		return 0
	}
	return logSum(logMean(s.High), logMean(s.Low)) - math.Ln2
}
