package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A Stretch is when a step may end at the earliest, and when it is undecided.
type Stretch struct {
	Least, Most time.Duration
}

// A PaceEstimate is how long a rollout takes with a canary that fails as often as stable does.
type PaceEstimate struct {
	// Median and Slow (nine of ten are faster) of the whole, lag left out.
	Median, Slow time.Duration
	// Steps are the medians of each step that canary and stable share.
	Steps []time.Duration
	// Undecided is the share of rollouts in which some step is not decided in its time, and Stuck
	// the step, counted from 0, in which most of them end.
	Undecided float64
	Stuck     int
}

// PaceTime plays seeded rollouts of a canary and a stable that both fail with
// probability rate. There is a stretch for each step that both share; without any it is from the
// pace's MinDwell to its Cap. The source's lag, latency if it is compared, and limits
// may make it longer and are left out.
func (p Policy) PaceTime(t Traffic, rate float64, stretches ...Stretch) PaceEstimate {
	const runs = 400
	p, t = p.withDefaults(), t.withDefaults()
	for len(stretches) < p.shared() {
		stretches = append(stretches, Stretch{p.Pace.MinDwell, p.Pace.Cap})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var totals []time.Duration
	steps := make([][]time.Duration, p.shared())
	undecided := make([]int, p.shared())
	for range runs {
		total := time.Duration(0)
		var state State
		state.Processes = make([]Process, 1)
		for i := range steps {
			took, ok := p.pacedStep(&state, t.at(p.weightOf(i, t.Weight)), stretches[i], rate, rng)
			steps[i] = append(steps[i], took)
			total += took
			if !ok {
				undecided[i]++
				break
			}
			state.Step++
		}
		totals = append(totals, total)
	}
	var out PaceEstimate
	for i, n := range undecided {
		out.Undecided += float64(n) / runs
		if n > undecided[out.Stuck] {
			out.Stuck = i
		}
	}
	out.Median, out.Slow = quantile(totals, 0.5), quantile(totals, 0.9)
	for _, s := range steps {
		out.Steps = append(out.Steps, quantile(s, 0.5))
	}
	return out
}

// pacedStep plays one step until it is proven, or false where it is undecided.
func (p Policy) pacedStep(s *State, t Traffic, within Stretch, rate float64, rng *rand.Rand) (time.Duration, bool) {
	grid, ratio := p.grid(), p.ratioFor(*s)
	w, seen := float64(t.Weight)/100, int64(0)
	every := max(t.Every, within.Most/360)
	for took, length := max(every, within.Least), max(every, within.Least); ; took, length = took+every, every {
		requests := t.PerSecond * length.Seconds()
		e := events{canary: int64(newPoisson(requests * w).draw(rng)), stable: int64(newPoisson(requests * (1 - w)).draw(rng))}
		e.canaryBad = min(e.canary, int64(newPoisson(float64(e.canary)*rate).draw(rng)))
		e.stableBad = min(e.stable, int64(newPoisson(float64(e.stable)*rate).draw(rng)))
		s.Processes[0].fold(p.Comparison, e, grid)
		seen += e.canary
		if seen >= p.Comparison.MinRequests && (ratio == 0 || p.proof(*s, 0, ratio, grid) >= math.Log(p.Comparison.GoodAt)) {
			return took, true
		}
		if took >= within.Most {
			return took, false
		}
	}
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
