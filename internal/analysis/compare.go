package analysis

import (
	"fmt"
	"math"
)

// harmAt is the evidence that the canary's error rate is above IgnoreBelow.
const harmAt = 20

// shownAt is the evidence by which ratios are ruled out in what people see.
const shownAt = 20

// weights are how much each process counts in the average over all: errors
// half, and the latency bounds together the other half. An average of e-values
// is an e-value, however much they depend on each other.
func (p Policy) weights() []float64 {
	n := len(p.Comparison.LatencyBounds)
	if n == 0 {
		return []float64{1}
	}
	w := make([]float64, n+1)
	w[0] = 0.5
	for i := range n {
		w[i+1] = 0.5 / float64(n)
	}
	return w
}

// against is the log e-value over all processes, and the one that says most.
// A process whose canary does no harm worth a rollback counts as 1 at most.
func (p Policy) against(s State, mass func(Process) []float64) (log float64, worst int) {
	reserve, log, top := p.reserve(s), math.Inf(-1), math.Inf(-1)
	for i, w := range p.weights() {
		e := evidence(mass(s.Processes[i]), reserve)
		if !p.harmful(s.Processes[i]) {
			e = min(e, 0)
		}
		if e > top {
			top, worst = e, i
		}
		log = logSum(log, e+math.Log(w))
	}
	return log, worst
}

func bad(p Process) []float64  { return p.Bad }
func hold(p Process) []float64 { return p.Hold }

// harmful says that the canary's rate, over the step or the rollout, is above
// what nobody minds.
func (p Policy) harmful(e Process) bool {
	floor := p.Comparison.IgnoreBelow
	if floor == 0 {
		return true
	}
	all := e.Canary.plus(e.Lone.Requests, e.Lone.Errors)
	for _, t := range []Total{e.Step, all} {
		if rateEvidence(floor, worse, t.Errors, t.Requests) >= math.Log(harmAt) {
			return true
		}
	}
	return false
}

// convict records the moment when the evidence crosses the line.
func (p Policy) convict(s *State) {
	log, worst := p.against(*s, bad)
	if s.Failed != nil || log < math.Log(p.Comparison.RollbackAt) {
		return
	}
	s.Failed = &Failure{At: s.Until, Measure: p.processName(worst), Reason: p.accuse(*s, worst, log)}
}

func (p Policy) held(s State) (bool, int) {
	if !p.Comparison.Enabled || len(s.Processes) == 0 {
		return false, 0
	}
	log, worst := p.against(s, hold)
	return log >= math.Log(p.Comparison.HoldAt), worst
}

const (
	errorsName = "errors"
	slowPrefix = "slower than "
)

func (p Policy) processName(i int) string {
	if i == 0 {
		return errorsName
	}
	return slowPrefix + short(p.Comparison.LatencyBounds[i-1])
}

// accuse says in one sentence what process i has against the canary.
func (p Policy) accuse(s State, i int, log float64) string {
	e := s.Processes[i]
	name := p.processName(i)
	chance := fmt.Sprintf("a canary that is fine looks this bad in at most %s rollouts", oneIn(finiteExp(log)))
	if s.Alone {
		return fmt.Sprintf("%s %s, up to %s is expected; %s", canaryPart(e.Lone), happened(name), percent(p.loneBound(e, i)), chance)
	}
	m := Measure{Name: name, Canary: e.Canary, Stable: e.Stable}
	m.Low, m.High = e.ratios(p.grid(), shownAt)
	return versus(m) + "; " + chance
}

// compared has one measure for each process.
func (p Policy) compared(s State, grid []float64) []Measure {
	if !p.Comparison.Enabled {
		return nil
	}
	out := make([]Measure, 0, len(s.Processes))
	for i, e := range s.Processes {
		log, ratio := evidence(e.Bad, p.reserve(s)), p.ratioFor(s)
		orElse(&ratio, p.Comparison.GoodRatio)
		m := Measure{
			Name: p.processName(i), Window: s.Until.Sub(s.Since), Canary: e.Canary, Stable: e.Stable, Bound: ratio,
			Bad: finiteExp(log), P: min(1, finiteExp(-log)), Good: finiteExp(p.proof(s, i, ratio, grid)),
		}
		if s.Alone {
			m.Window, m.Canary, m.Stable, m.Bound = s.elapsed(), e.Lone, Total{}, p.loneBound(e, i)
		}
		m.Low, m.High = e.ratios(grid, shownAt)
		m.Verdict, m.Note = p.noteOn(s, m)
		m.Advisory = s.Alone && m.Bound == 0 && m.Verdict != Unhealthy
		out = append(out, m)
	}
	return out
}

// loneBound is the rate that process i holds a canary with all traffic to.
func (p Policy) loneBound(e Process, i int) float64 {
	c := p.Comparison
	if i > 0 {
		c.GoodBelow = 0
	}
	return c.loneRate(e.Stable)
}

func (p Policy) noteOn(s State, m Measure) (Verdict, string) {
	missing := s.elapsed() - s.Compared
	switch {
	case s.Failed != nil && s.Failed.Measure == m.Name:
		return Unhealthy, s.Failed.Reason
	case s.Alone && m.Bound == 0:
		return Inconclusive, m.Name + " can't be told: there is no stable to compare with and no objective is set"
	case s.Silent:
		return Inconclusive, m.Name + " can't be told: the newest interval has no data"
	case float64(missing) > p.MissingTolerated*float64(s.elapsed()):
		return Inconclusive, fmt.Sprintf("%s can't be told: no data on both versions for %s of the step's %s",
			m.Name, lasted(missing), lasted(s.elapsed()))
	case s.Canary.Requests < p.Comparison.MinRequests || m.Canary.Requests == 0:
		return Inconclusive, fmt.Sprintf("%s can't be told: %s in this step, needs %d",
			m.Name, count(min(s.Canary.Requests, m.Canary.Requests), "canary request"), p.Comparison.MinRequests)
	case s.Alone:
		return Healthy, fmt.Sprintf("%s %s, up to %s is expected", canaryPart(m.Canary), happened(m.Name), percent(m.Bound))
	}
	return Healthy, versus(m)
}

// proof is the log e-value that process i has against "the canary fails at
// least ratio times as often". Where the objective counts too, half of the
// permitted error goes to each way of proving.
func (p Policy) proof(s State, i int, ratio float64, grid []float64) float64 {
	e, c := s.Processes[i], p.Comparison
	relative := e.good(grid, ratio)
	rate := c.GoodBelow * ratio / c.GoodRatio
	if c.GoodBelow == 0 || rate >= 1 {
		return relative
	}
	all := e.Canary.plus(e.Lone.Requests, e.Lone.Errors)
	return max(relative, rateEvidence(rate, better, all.Errors, all.Requests)) - math.Ln2
}
