package analysis

import (
	"math"
	"math/rand/v2"
	"time"
)

// Traffic is what a plan reckons with.
type Traffic struct {
	// PerSecond is the rate of requests to both versions together.
	PerSecond float64
	// Weight is the canary's share in percent.
	Weight int
	// Every is the length of a closed interval (10 s), Lag how late the
	// metrics source is.
	Every, Lag time.Duration
}

// A Sight is when a regression would be seen with a chance of 80 %.
type Sight struct {
	// Requests on the canary until then, a whole number of intervals' worth.
	Requests int64
	// After is the time from the weight being in force, with the source's lag.
	After time.Duration
}

// chance is what "would be seen" means.
const chance = 0.8

// runs of a simulation, and the intervals that its 80 % point is resolved in.
// The seed is fixed: a plan gives the same answer twice.
const (
	runs     = 4000
	lookGoal = 500
	neverIn  = 50 * 365 * 24 * time.Hour
)

// TimeToSee says when a canary that fails with probability canary, beside a
// stable that fails with probability stable, would be rolled back by the
// comparison. It plays 4000 seeded rollouts, because the closed formula is up
// to a quarter off where a handful of errors decides; that takes a tenth
// of a second at most. False means never: the difference is within what is tolerated
// or harmless, or there is no traffic.
func (p Policy) TimeToSee(t Traffic, stable, canary float64) (Sight, bool) {
	p = p.withDefaults()
	t = t.withDefaults()
	return p.timeToSee(t, stable, canary, runs)
}

func (p Policy) timeToSee(t Traffic, stable, canary float64, runs int) (Sight, bool) {
	c, w := p.Comparison, float64(t.Weight)/100
	base := max(stable, 1e-9)
	if w <= 0 || w >= 1 || canary > 1 || canary < c.IgnoreBelow || !(canary > base*c.Tolerated) || !(t.PerSecond > 0) {
		return Sight{}, false // a number that is none lands here as well
	}
	l := lineup{w, base, c.Tolerated, p.lineAt()}
	guess := l.requestsToSee(canary)
	perInterval := t.PerSecond * w * t.Every.Seconds()
	coarse := max(1, math.Floor(guess/perInterval/lookGoal))
	if guess/perInterval*t.Every.Seconds() > neverIn.Seconds() {
		return Sight{}, false
	}
	looks := l.play(canary, perInterval*coarse, runs) * coarse
	return Sight{
		Requests: int64(math.Ceil(looks * perInterval)),
		After:    time.Duration(looks)*t.Every + t.Lag,
	}, true
}

// lineAt is the logarithm of the evidence that one fresh process on errors
// needs to roll back by itself, with its share of the whole.
func (p Policy) lineAt() float64 {
	return math.Log(p.Comparison.RollbackAt * float64(p.starts()) / p.weights()[0])
}

// play returns the number of looks after which 80 % of the runs have crossed,
// with so many canary requests in a look.
func (l lineup) play(canary, perLook float64, runs int) float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	w, r0 := l.share, l.tolerated
	up, down := make([]float64, len(worse)), make([]float64, len(worse))
	for i, f := range worse {
		down[i] = math.Log1p(w*(r0-1)) - math.Log1p(w*(r0*f-1))
		up[i] = math.Log(f) + down[i]
	}
	sums := make([][]float64, runs)
	for i := range sums {
		sums[i] = make([]float64, len(worse))
	}
	canaryErrors, stableErrors := newPoisson(perLook*canary), newPoisson(perLook*(1-w)/w*l.stable)
	crossed := 0
	for look := 1.0; look < 10*lookGoal; look++ {
		for i, s := range sums {
			if s == nil {
				continue
			}
			e, n := canaryErrors.draw(rng), stableErrors.draw(rng)
			for j := range s {
				s[j] += e*up[j] + n*down[j]
			}
			if e > 0 && logMean(s) >= l.line {
				sums[i] = nil
				crossed++
			}
		}
		if float64(crossed) >= chance*float64(runs) {
			return look
		}
	}
	return 10 * lookGoal
}

// SmallestSeen is the smallest error rate of the canary that would be rolled
// back within the time, with a chance of 80 %, to about a fiftieth of itself.
// False means that not even a canary that always fails would be.
func (p Policy) SmallestSeen(t Traffic, stable float64, within time.Duration) (float64, bool) {
	p, t = p.withDefaults(), t.withDefaults()
	base := max(stable, 1e-9)
	seen := func(rate float64) bool {
		s, ok := p.timeToSee(t, stable, rate, runs/8)
		return ok && s.After <= within
	}
	low, high := base*p.Comparison.Tolerated, 1.0
	if !seen(high) {
		return 0, false
	}
	n := t.PerSecond * float64(t.Weight) / 100 * (within - t.Lag).Seconds()
	l := lineup{float64(t.Weight) / 100, base, p.Comparison.Tolerated, p.lineAt()}
	if guess := l.smallestSeen(n); guess > 0 {
		if g := max(low, guess/1.5); !seen(g) {
			low = g
		}
		if g := min(1, guess*1.5); seen(g) {
			high = g
		}
	}
	for high > low*1.02 {
		if mid := math.Sqrt(low * high); seen(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high, true
}

func (t Traffic) withDefaults() Traffic {
	if t.Every <= 0 {
		t.Every = 10 * time.Second
	}
	t.PerSecond = min(t.PerSecond, 1e9)
	return t
}

func (t Traffic) at(weight int) Traffic {
	t.Weight = weight
	return t
}
