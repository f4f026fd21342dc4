package analysis

import (
	"slices"
	"time"
)

// Look counts the closed intervals that the state has not seen, in order, and
// judges. It is pure: the same intervals, in one call or in many, give the
// same state and the same judgement. Intervals that end at or before s.Until
// were counted already and are ignored, and so are those that overlap what was
// counted, because no request may count twice. A gap between intervals is time
// without data.
func (p Policy) Look(s State, in []Interval) (State, Judgement) {
	if err := p.Validate(); err != nil {
		return s, Judgement{Reason: "Can't tell: the policy makes no sense: " + err.Error() + "."}
	}
	p = p.withDefaults()
	s = s.clone()
	p.fit(&s)
	in = slices.Clone(in)
	slices.SortStableFunc(in, func(a, b Interval) int { return a.To.Compare(b.To) })
	grid := p.grid()
	for _, iv := range in {
		if iv.To.After(iv.From) && !iv.From.Before(s.Until) {
			p.fold(&s, iv, grid)
		}
	}
	return s, p.judge(s, grid)
}

// fit drops evidence that was gathered under a policy of another shape. It
// costs time and never gives a verdict that the data do not.
func (p Policy) fit(s *State) {
	if len(s.Checks) != len(p.Limits) {
		s.Checks, s.Recent = make([]Check, len(p.Limits)), nil
	}
	if !p.Comparison.Enabled {
		s.Processes = nil
		return
	}
	n := 1 + len(p.Comparison.LatencyBounds)
	wrong := func(e Process) bool {
		return len(e.Bad) != len(e.Hold) || len(e.Bad) > 0 && len(e.Bad) != len(worse)
	}
	if len(s.Processes) != n || slices.ContainsFunc(s.Processes, wrong) {
		s.Processes, s.Starts = make([]Process, n), 0
	}
}

// fold counts one interval and makes the checks that are due at its end.
func (p Policy) fold(s *State, iv Interval, grid []float64) {
	iv.Canary, iv.Stable = iv.Canary.usable(), iv.Stable.usable()
	if s.Since.IsZero() {
		s.Since = iv.From
	}
	if s.From.IsZero() && (iv.Canary.Known || p.valuesOf(iv) != nil) {
		s.From = iv.From // a source takes a while to know a new version: the step lasts from its first word
	}
	s.Until = iv.To
	s.Alone = iv.Weight >= 100
	s.Canary, s.Stable = s.Canary.plus(iv.Canary), s.Stable.plus(iv.Stable)

	length := iv.To.Sub(iv.From)
	both := iv.Canary.Known && (iv.Stable.Known || s.Alone)
	s.Silent = !iv.Canary.Known || p.Comparison.Enabled && !both
	if iv.Canary.Known {
		s.Seen += length
	}
	if both {
		s.Compared += length
	}
	if iv.Canary.Known && iv.Stable.Known && !p.SampleRatio.Off {
		s.Router.fold(p.SampleRatio, iv.Canary.Requests, iv.Stable.Requests, iv.Weight)
	}
	if p.Comparison.Enabled {
		p.compare(s, iv, both, grid)
	}
	p.remember(s, iv)
	for i, l := range p.Limits {
		p.check(s, l, &s.Checks[i])
	}
}

// compare folds one interval into the comparison's processes.
func (p Policy) compare(s *State, iv Interval, both bool, grid []float64) {
	p.restart(s, iv.To.Sub(iv.From))
	if !both || iv.To.Sub(s.Since) <= p.Comparison.Warmup {
		return
	}
	s.Processes[0].fold(p.Comparison, events{
		canary: iv.Canary.Requests, canaryBad: iv.Canary.Errors,
		stable: iv.Stable.Requests, stableBad: iv.Stable.Errors, alone: s.Alone,
	}, grid)
	n := len(p.Comparison.LatencyBounds)
	if len(iv.Canary.Slow) == n && (s.Alone || len(iv.Stable.Slow) == n) {
		p.compareLatency(s, iv, grid)
	}
	p.convict(s)
}

func (p Policy) compareLatency(s *State, iv Interval, grid []float64) {
	c := p.Comparison
	c.GoodBelow = 0 // the objective is about errors: most bounds are passed by many requests of any version
	for i := range c.LatencyBounds {
		e := events{canary: iv.Canary.Requests, canaryBad: iv.Canary.Slow[i], alone: s.Alone}
		if !s.Alone {
			e.stable, e.stableBad = iv.Stable.Requests, iv.Stable.Slow[i]
		}
		s.Processes[i+1].fold(c, e, grid)
	}
}

// restart puts mass on fresh processes: at the start of a step its share of
// one, in a bake a share of one for each interval by its length.
func (p Policy) restart(s *State, length time.Duration) {
	mass := 0.0
	switch {
	case s.Baking:
		mass = float64(length) / float64(p.BakeFor)
	case s.Starts == 0 || s.Restart && p.startsAt(s.Step) && s.Starts < p.starts():
		mass = 1 / float64(p.starts())
		s.Starts++
	}
	s.Restart = false
	for i := range s.Processes {
		s.Processes[i].add(mass)
	}
}

// shared is the number of steps in which canary and stable both serve.
func (p Policy) shared() int {
	n := 0
	for _, w := range p.Steps {
		if w < 100 {
			n++
		}
	}
	return max(n, 1)
}

// starts is the number of processes that the evidence is shared out over.
func (p Policy) starts() int { return min(p.shared(), maxRestarts) }

// startsAt spreads the starts evenly over the steps.
func (p Policy) startsAt(step int) bool {
	all, n := p.shared(), p.starts()
	return step == 0 || step*n/all != (step-1)*n/all
}

// reserve is the mass of the processes that have not begun, each worth 1.
func (p Policy) reserve(s State) float64 {
	if s.Baking {
		return 0
	}
	return max(0, 1-float64(s.Starts)/float64(p.starts()))
}
