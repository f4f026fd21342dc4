package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
)

// poisson draws counts: by inversion while the mean is small, from the normal
// distribution beyond, where the difference is far below a count.
type poisson struct{ mean, none float64 }

func newPoisson(mean float64) poisson { return poisson{mean, math.Exp(-mean)} }

func (p poisson) draw(rng *rand.Rand) float64 {
	if p.mean > 50 {
		return max(0, math.Round(p.mean+math.Sqrt(p.mean)*rng.NormFloat64()))
	}
	u, term, k := rng.Float64(), p.none, 0.0
	for sum := term; u > sum && term > 0; sum += term {
		k++
		term *= p.mean / k
	}
	return k
}

// A table draws counts of one mean again and again: what a small one sums up for each draw, it
// sums up once.
type table struct {
	poisson
	upTo []float64 // the chance of so many or fewer
}

func newTable(mean float64) table {
	t := table{poisson: newPoisson(mean)}
	if mean > 50 {
		return t
	}
	term, sum := t.none, 0.0
	for k := 1.0; sum < 1-1e-12 && len(t.upTo) < 200; k++ {
		sum += term
		t.upTo = append(t.upTo, sum)
		term *= mean / k
	}
	return t
}

func (t table) draw(rng *rand.Rand) float64 {
	if t.upTo == nil {
		return t.poisson.draw(rng)
	}
	k, _ := slices.BinarySearch(t.upTo, rng.Float64())
	return float64(k)
}
