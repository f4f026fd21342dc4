package analysis

import (
	"math"
	"time"
)

// infoBad is the evidence against "at most r0 times" that one canary request
// adds on average, when stable fails with probability p0, the canary with p1
// and the canary's share of requests is w.
func infoBad(w, p0, p1, r0 float64) float64 {
	r := p1 / p0
	if r <= r0 {
		return 0
	}
	all := p1 + p0*(1-w)/w
	return p1*math.Log(r/r0) - all*(math.Log1p(w*(r-1))-math.Log1p(w*(r0-1)))
}

// infoGood is the same against "at least ratio times", when both fail with p.
func infoGood(w, p, ratio float64) float64 {
	return p/w*math.Log1p(w*(ratio-1)) - p*math.Log(ratio)
}

// requestsToSee is about how many canary requests give a chance of 80 % to see
// p1 beside p0. It was fitted to simulations and is within a quarter of them;
// TimeToSee is nearer and slower.
func requestsToSee(w, p0, p1, r0, logAlpha float64) float64 {
	d := infoBad(w, p0, p1, r0)
	if d <= 0 {
		return math.Inf(1)
	}
	return 1.5 * (logAlpha + 1.5) / d
}

// smallestSeen is the p1 that n canary requests show with a chance of 80 %, 0
// if not even a canary that fails always would be seen.
func smallestSeen(n, w, p0, r0, logAlpha float64) float64 {
	low, high := p0*r0, 1.0
	if low >= 1 || requestsToSee(w, p0, high, r0, logAlpha) > n {
		return 0
	}
	for range 40 {
		mid := math.Sqrt(low * high)
		if requestsToSee(w, p0, mid, r0, logAlpha) > n {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// detectable says how far the evidence on errors reaches.
func (p Policy) detectable(s State, grid []float64) Detectable {
	if !p.Comparison.Enabled || len(s.Processes) == 0 || s.Alone {
		return Detectable{}
	}
	e, c := s.Processes[0], p.Comparison
	if e.Canary.Requests == 0 || e.Stable.Requests == 0 {
		return Detectable{}
	}
	n := float64(e.Canary.Requests)
	w := n / (n + float64(e.Stable.Requests))
	base := (float64(e.Stable.Errors) + 0.5) / (float64(e.Stable.Requests) + 1)
	spread := math.Log(float64(p.starts()) / p.weights()[0])
	d := Detectable{Rate: smallestSeen(n, w, base, c.Tolerated, math.Log(c.RollbackAt)+spread)}
	ratio := p.ratioFor(s)
	lacks := math.Log(c.GoodAt) - p.proof(s, 0, ratio, grid)
	if ratio == 0 || lacks <= 0 {
		return d
	}
	each := infoGood(w, base, ratio)
	if rate := c.GoodBelow * ratio / c.GoodRatio; rate > base && rate < 1 {
		each = max(each, base*math.Log(better[0])+(1-base)*(math.Log1p(-better[0]*rate)-math.Log1p(-rate)),
			base*math.Log(better[2])+(1-base)*(math.Log1p(-better[2]*rate)-math.Log1p(-rate)))
	}
	if each <= 0 {
		return d
	}
	d.More = int64(min(math.Ceil(lacks/each), 1e15))
	if took := s.Compared; s.Canary.Requests > 0 && took > 0 {
		wait := float64(took) * float64(d.More) / float64(s.Canary.Requests)
		d.Wait = time.Duration(min(wait, float64(1000*time.Hour)))
	}
	return d
}
