package analysis

import (
	"math"
	"math/rand/v2"
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
