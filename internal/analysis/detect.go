package analysis

import (
	"math"
	"time"
)

// A lineup is a canary beside a stable, before one process.
type lineup struct {
	share  float64 // the canary's share of requests
	stable float64 // the chance of a request to stable to fail
	// tolerated is the null's ratio, line the logarithm of the evidence needed.
	tolerated, line float64
}

// info is the evidence that one canary request adds on average, where the
// canary fails with probability canary.
func (l lineup) info(canary float64) float64 {
	r := canary / l.stable
	if r <= l.tolerated {
		return 0
	}
	all := canary + l.stable*(1-l.share)/l.share
	return canary*math.Log(r/l.tolerated) - all*(math.Log1p(l.share*(r-1))-math.Log1p(l.share*(l.tolerated-1)))
}

// requestsToSee is about how many canary requests give a chance of 80 % to see
// that rate. It was fitted to simulations and is within a quarter of them;
// TimeToSee is nearer and slower.
func (l lineup) requestsToSee(canary float64) float64 {
	info := l.info(canary)
	if info <= 0 {
		return math.Inf(1)
	}
	return 1.5 * (l.line + 1.5) / info
}

// smallestSeen is the rate that so many canary requests show with a chance of
// 80 %, 0 if not even a canary that always fails would be seen.
func (l lineup) smallestSeen(requests float64) float64 {
	low, high := l.stable*l.tolerated, 1.0
	if low >= 1 || l.requestsToSee(high) > requests {
		return 0
	}
	for range 40 {
		if mid := math.Sqrt(low * high); l.requestsToSee(mid) > requests {
			low = mid
		} else {
			high = mid
		}
	}
	return high
}

// infoGood is the evidence that one canary request adds on average against "at
// least ratio times as often", where both fail with the same probability.
func infoGood(share, rate, ratio float64) float64 {
	return rate/share*math.Log1p(share*(ratio-1)) - rate*math.Log(ratio)
}

// infoBelow is the same against "at least with probability limit", for the
// mixed-in rate that is so many times the limit.
func infoBelow(rate, limit, factor float64) float64 {
	return rate*math.Log(factor) + (1-rate)*(math.Log1p(-factor*limit)-math.Log1p(-limit))
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
	seen := lineup{w, base, c.Tolerated, p.lineAt()}
	d := Detectable{Rate: seen.smallestSeen(n)}
	ratio := p.ratioFor(s)
	lacks := math.Log(c.GoodAt) - p.proof(s, 0, ratio, grid)
	if ratio == 0 || lacks <= 0 {
		return d
	}
	each := infoGood(w, base, ratio)
	if rate := c.GoodBelow * ratio / c.GoodRatio; rate > base && rate < 1 {
		for _, f := range better {
			each = max(each, infoBelow(base, rate, f))
		}
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
