package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

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
	var totals []time.Duration
	steps := make([][]time.Duration, p.shared())
	undecided := 0
	for range runs {
		total, capped := time.Duration(0), false
		var state State
		state.Processes = make([]Process, 1)
		for i := range steps {
			took, ok := p.pacedStep(&state, t.at(p.weightOf(i, t.Weight)), rate, rng)
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
func (p Policy) pacedStep(s *State, t Traffic, rate float64, rng *rand.Rand) (time.Duration, bool) {
	grid := p.grid()
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
