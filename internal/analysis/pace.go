package analysis

import "math"

// ratioFor is the ratio that has to be ruled out before the step is over, 0
// if the step needs no proof.
func (p Policy) ratioFor(s State) float64 {
	c := p.Comparison
	switch {
	case !c.Enabled || s.Baking:
		return 0
	case s.Alone && c.GoodBelow == 0:
		return 0 // nothing to prove it against
	case p.Pace.Evidence:
		return p.paceRatio(s.Step)
	case c.ProveBy > 0 && p.nextWeight(s.Step) > c.ProveBy:
		return c.GoodRatio
	}
	return 0
}

// paceRatio spreads the ratios over the steps: the first proves "not
// catastrophic", only the last proves good.
func (p Policy) paceRatio(step int) float64 {
	r, steps := p.Pace.Ratios, p.shared()
	if step >= steps-1 {
		return r[len(r)-1]
	}
	return r[int(math.Round(float64(step*(len(r)-1))/float64(steps-1)))]
}

// nextWeight is the weight that follows a step; after the last comes 100.
func (p Policy) nextWeight(step int) int {
	if step+1 < len(p.Steps) {
		return p.Steps[step+1]
	}
	return 100
}

// proven says that every compared measure rules the step's ratio out.
func (p Policy) proven(s State, grid []float64) bool {
	ratio := p.ratioFor(s)
	if ratio == 0 {
		return true
	}
	for i := range s.Processes {
		if s.Alone && i > 0 {
			continue // the objective is about errors
		}
		if p.proof(s, i, ratio, grid) < math.Log(p.Comparison.GoodAt) {
			return false
		}
	}
	return len(s.Processes) > 0
}
