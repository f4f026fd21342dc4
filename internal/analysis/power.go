package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
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
	if t.PerSecond <= 0 || w <= 0 || w >= 1 || canary > 1 || canary < c.IgnoreBelow || canary <= base*c.Tolerated {
		return Sight{}, false
	}
	guess := requestsToSee(w, base, canary, c.Tolerated, p.lineAt())
	perInterval := t.PerSecond * w * t.Every.Seconds()
	coarse := max(1, math.Floor(guess/perInterval/lookGoal))
	if guess/perInterval*t.Every.Seconds() > neverIn.Seconds() {
		return Sight{}, false
	}
	looks := p.play(w, base, canary, perInterval*coarse, runs) * coarse
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

// play returns the number of looks after which 80 % of the runs have crossed.
func (p Policy) play(w, stable, canary, perLook float64, runs int) float64 {
	rng := rand.New(rand.NewPCG(1, 2))
	r0 := p.Comparison.Tolerated
	up, down := make([]float64, len(worse)), make([]float64, len(worse))
	for i, f := range worse {
		down[i] = math.Log1p(w*(r0-1)) - math.Log1p(w*(r0*f-1))
		up[i] = math.Log(f) + down[i]
	}
	sums := make([][]float64, runs)
	for i := range sums {
		sums[i] = make([]float64, len(worse))
	}
	canaryErrors, stableErrors := newPoisson(perLook*canary), newPoisson(perLook*(1-w)/w*stable)
	line, crossed := p.lineAt(), 0
	for look := 1.0; look < 100*lookGoal; look++ {
		for i, s := range sums {
			if s == nil {
				continue
			}
			e, n := canaryErrors.draw(rng), stableErrors.draw(rng)
			for j := range s {
				s[j] += e*up[j] + n*down[j]
			}
			if e > 0 && logMean(s) >= line {
				sums[i] = nil
				crossed++
			}
		}
		if float64(crossed) >= chance*float64(runs) {
			return look
		}
	}
	return 100 * lookGoal
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
	if guess := smallestSeen(n, float64(t.Weight)/100, base, p.Comparison.Tolerated, p.lineAt()); guess > 0 {
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

// A PaceEstimate is how long a rollout paced by evidence takes with a canary
// that fails as often as stable does.
type PaceEstimate struct {
	// Median and Slow (nine of ten are faster) of the whole, lag left out.
	Median, Slow time.Duration
	// Steps are the medians of each step that canary and stable share.
	Steps []time.Duration
	// Undecided is the share of rollouts in which some step reaches its cap.
	Undecided float64
}

// PaceTime plays seeded rollouts of a canary and a stable that both fail with
// probability rate. Latency, if compared, may take longer and is left out.
func (p Policy) PaceTime(t Traffic, rate float64) PaceEstimate {
	const runs = 400
	p, t = p.withDefaults(), t.withDefaults()
	t.Every = max(t.Every, p.Pace.Cap/360)
	rng := rand.New(rand.NewPCG(3, 4))
	grid := p.grid()
	var totals []time.Duration
	steps := make([][]time.Duration, p.shared())
	undecided := 0
	for range runs {
		total, capped := time.Duration(0), false
		var state State
		state.Processes = make([]Process, 1)
		for i := range steps {
			took, ok := p.pacedStep(&state, t.at(p.weightOf(i, t.Weight)), rate, rng, grid)
			steps[i] = append(steps[i], took)
			total += took
			if !ok {
				capped = true
				break
			}
			state.Step++
		}
		totals = append(totals, total)
		if capped {
			undecided++
		}
	}
	out := PaceEstimate{Undecided: float64(undecided) / runs}
	out.Median, out.Slow = quantile(totals, 0.5), quantile(totals, 0.9)
	for _, s := range steps {
		out.Steps = append(out.Steps, quantile(s, 0.5))
	}
	return out
}

// pacedStep plays one step until it is proven, or false at its cap.
func (p Policy) pacedStep(s *State, t Traffic, rate float64, rng *rand.Rand, grid []float64) (time.Duration, bool) {
	w := float64(t.Weight) / 100
	canary, stable := newPoisson(t.PerSecond*w*t.Every.Seconds()), newPoisson(t.PerSecond*(1-w)*t.Every.Seconds())
	ratio := p.ratioFor(*s)
	for took := t.Every; ; took += t.Every {
		e := events{canary: int64(canary.draw(rng)), stable: int64(stable.draw(rng))}
		e.canaryBad = min(e.canary, int64(newPoisson(float64(e.canary)*rate).draw(rng)))
		e.stableBad = min(e.stable, int64(newPoisson(float64(e.stable)*rate).draw(rng)))
		s.Processes[0].fold(p.Comparison, e, grid)
		if took >= p.Pace.MinDwell && (ratio == 0 || p.proof(*s, 0, ratio, grid) >= math.Log(p.Comparison.GoodAt)) {
			return took, true
		}
		if took >= p.Pace.Cap {
			return took, false
		}
	}
}

func (t Traffic) withDefaults() Traffic {
	orElse(&t.Every, 10*time.Second)
	return t
}

func (t Traffic) at(weight int) Traffic {
	t.Weight = weight
	return t
}

// weightOf is the weight of a shared step, or otherwise where there are none.
func (p Policy) weightOf(step, otherwise int) int {
	if step < len(p.Steps) {
		return p.Steps[step]
	}
	return otherwise
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

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
