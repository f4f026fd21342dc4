package analysis

import (
	"math"
	"slices"
)

// The alternatives that an e-process mixes evenly. worse and better multiply
// the rate or ratio of the null; asGood are ratios by themselves: a canary as
// good as stable, or better.
var (
	worse  = []float64{1.25, 1.5, 2, 3, 5, 8, 12, 20, 50}
	asGood = []float64{1, 0.75, 0.5}
	better = []float64{0.1, 0.25, 0.5}
)

// maxRestarts bounds how finely a rollout's evidence is shared out. Each share
// raises the evidence needed by its logarithm, so a rollout of a hundred steps
// starts a fresh process at every thirteenth only.
const maxRestarts = 8

// maxLog keeps exponentials finite.
const maxLog = 690

// events are what one interval tells about one kind of event, errors or
// requests slower than a bound, on both versions.
type events struct {
	canary, canaryBad int64
	stable, stableBad int64
	alone             bool // no stable beside it: the canary has all traffic
}

// logRatio is the log-likelihood, up to a constant, of the canary failing r
// times as often as stable, given how many failed in all and how the requests
// were shared. The processes add up differences of it between two ratios. An
// incident common to both versions raises both parts and cancels.
func (e events) logRatio(r float64) float64 {
	if e.canary+e.stable == 0 {
		return 0
	}
	share := float64(e.canary) / float64(e.canary+e.stable)
	return float64(e.canaryBad)*math.Log(r) - float64(e.canaryBad+e.stableBad)*math.Log1p(share*(r-1))
}

// logRate is the log-likelihood of one version failing with probability p.
func logRate(p float64, bad, all int64) float64 {
	return float64(bad)*math.Log(p) + float64(all-bad)*math.Log1p(-p)
}

// rateEvidence is the log e-value of bad out of all against the rate p,
// mixing the rates p times each factor. A rate that is none is no evidence.
func rateEvidence(p float64, factors []float64, bad, all int64) float64 {
	if p <= 0 || p >= 1 || all <= 0 {
		return 0
	}
	logs := make([]float64, len(factors))
	for i, f := range factors {
		logs[i] = logRate(capRate(p, f), bad, all) - logRate(p, bad, all)
	}
	return logMean(logs)
}

// capRate is p times f, kept below 1 and on the same side of p.
func capRate(p, f float64) float64 {
	if f > 1 && p*f > (1+p)/2 {
		return (1 + p) / 2
	}
	return p * f
}

// logSum is log(exp(a)+exp(b)) without overflow.
func logSum(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// logMean is the logarithm of the mean of exp(x).
func logMean(x []float64) float64 {
	top := slices.Max(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum/float64(len(x)))
}

// finiteExp is exp kept within float64.
func finiteExp(x float64) float64 { return math.Exp(max(-maxLog, min(maxLog, x))) }

// A Process is the evidence on one kind of event through a rollout.
//
// Bad and Hold are the logarithms of the mass on each alternative, against
// the ratio that rolls back and the one that holds. A restart adds mass where
// the old one has been multiplied already, so that each alternative carries
// the sum of the processes begun at each step, in one number.
type Process struct {
	Bad  []float64 `json:"b,omitempty"`
	Hold []float64 `json:"h,omitempty"`
	// Grid is the log-likelihood of each ratio of the policy's grid, over the
	// rollout: any null within the grid is tested by differences.
	Grid []float64 `json:"g,omitempty"`
	// Totals over the rollout of what was compared.
	Canary Total `json:"c,omitzero"`
	Stable Total `json:"s,omitzero"`
	// Lone are the totals of the step without stable beside it.
	Lone Total `json:"a,omitzero"`
	// Step is the canary's part of what was compared in this step.
	Step Total `json:"t,omitzero"`
}

func (p Process) clone() Process {
	p.Bad, p.Hold, p.Grid = slices.Clone(p.Bad), slices.Clone(p.Hold), slices.Clone(p.Grid)
	return p
}

// add puts mass (not its logarithm) on every alternative.
func (p *Process) add(mass float64) {
	if mass <= 0 {
		return
	}
	log := math.Log(mass)
	if len(p.Bad) != len(worse) || len(p.Hold) != len(worse) {
		p.Bad, p.Hold = make([]float64, len(worse)), make([]float64, len(worse))
		for i := range worse {
			p.Bad[i], p.Hold[i] = log, log
		}
		return
	}
	for i := range worse {
		p.Bad[i], p.Hold[i] = logSum(p.Bad[i], log), logSum(p.Hold[i], log)
	}
}

// fold multiplies one interval in.
func (p *Process) fold(c Comparison, e events, grid []float64) {
	if e.alone {
		p.foldAlone(c, e)
		return
	}
	if len(p.Grid) != len(grid) {
		p.Grid = make([]float64, len(grid))
	}
	if e.canaryBad+e.stableBad > 0 { // without errors every ratio is as likely
		tolerated, held := e.logRatio(c.Tolerated), e.logRatio(c.HoldRatio)
		for i, f := range worse[:len(p.Bad)] {
			p.Bad[i] += e.logRatio(c.Tolerated*f) - tolerated
			p.Hold[i] += e.logRatio(c.HoldRatio*f) - held
		}
		for i, r := range grid {
			p.Grid[i] += e.logRatio(r)
		}
	}
	p.Canary = p.Canary.plus(e.canary, e.canaryBad)
	p.Stable = p.Stable.plus(e.stable, e.stableBad)
	p.Step = p.Step.plus(e.canary, e.canaryBad)
}

// foldAlone holds a canary without stable beside it against the objective, or
// against what stable showed before, whichever is the looser.
func (p *Process) foldAlone(c Comparison, e events) {
	if rate := c.loneRate(p.Stable); rate > 0 && rate < 1 {
		for i, f := range worse[:len(p.Bad)] {
			step := logRate(capRate(rate, f), e.canaryBad, e.canary) - logRate(rate, e.canaryBad, e.canary)
			p.Bad[i] += step
			p.Hold[i] += step
		}
	}
	p.Lone = p.Lone.plus(e.canary, e.canaryBad)
	p.Step = p.Step.plus(e.canary, e.canaryBad)
}

// loneRate is the error rate that a canary without stable is held against, 0
// if nothing is known.
func (c Comparison) loneRate(stable Total) float64 {
	if stable.Requests == 0 {
		return c.GoodBelow
	}
	if c.GoodBelow > 0 {
		return max(c.GoodBelow, c.Tolerated*stable.Rate())
	}
	return c.Tolerated * float64(stable.Errors+1) / float64(stable.Requests+1)
}

// evidence is the log e-value of the mass and what is still in reserve.
func evidence(mass []float64, reserve float64) float64 {
	if len(mass) == 0 {
		return math.Log(max(reserve, math.SmallestNonzeroFloat64))
	}
	e := logMean(mass)
	if reserve > 0 {
		e = logSum(e, math.Log(reserve))
	}
	return e
}

// good is the log e-value against "the canary fails at least ratio times as often".
func (p Process) good(grid []float64, ratio float64) float64 {
	null := slices.Index(grid, ratio)
	if null < 0 || len(p.Grid) != len(grid) {
		return 0
	}
	logs := make([]float64, len(asGood))
	for i, r := range asGood {
		logs[i] = p.Grid[slices.Index(grid, r)] - p.Grid[null]
	}
	return logMean(logs)
}

// ratios are the ends of the range of ratios that the data do not rule out
// with evidence of at least threshold, 0 where an end is not known.
func (p Process) ratios(grid []float64, threshold float64) (low, high float64) {
	if len(p.Grid) != len(grid) {
		return 0, 0
	}
	for i := range grid {
		if i < len(grid)-1 && logMean(p.Grid[i+1:])-p.Grid[i] >= math.Log(threshold) {
			low = grid[i]
		}
		if high == 0 && i > 0 && logMean(p.Grid[:i])-p.Grid[i] >= math.Log(threshold) {
			high = grid[i]
		}
	}
	return low, high
}

func (t Total) plus(requests, errors int64) Total {
	return Total{Requests: addCount(t.Requests, requests), Errors: addCount(t.Errors, errors)}
}
