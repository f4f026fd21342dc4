package analysis

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// shownRatios make the range of ratios shown to people fine enough to narrow
// visibly. They decide nothing.
var shownRatios = []float64{0.1, 0.2, 0.35, 0.5, 0.65, 0.75, 0.85, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6.5, 8, 10, 13, 16, 20, 30, 50}

// grid lists, rising, every ratio whose likelihood the policy needs.
func (p Policy) grid() []float64 {
	g := slices.Concat(shownRatios, asGood, p.Pace.Ratios, []float64{p.Comparison.GoodRatio})
	slices.Sort(g)
	return slices.Compact(g)
}

// withDefaults fills in what is zero.
func (p Policy) withDefaults() Policy {
	c := &p.Comparison
	orElse(&c.Tolerated, 1.25)
	orElse(&c.RollbackAt, 100)
	orElse(&c.HoldRatio, 1)
	orElse(&c.HoldAt, 20)
	orElse(&c.GoodRatio, 2)
	orElse(&c.GoodAt, 20)
	orElse(&c.MinRequests, 1)
	orElse(&p.Pace.Cap, time.Hour)
	if len(p.Pace.Ratios) == 0 {
		p.Pace.Ratios = DefaultPace().Ratios
	}
	orElse(&p.SampleRatio.Tolerance, 0.2)
	orElse(&p.SampleRatio.At, 100)
	orElse(&p.BakeFor, 10*time.Minute)
	return p
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Validate names the first setting that makes no sense. Look judges nothing
// by a policy that does not pass.
func (p Policy) Validate() error {
	p = p.withDefaults()
	names := map[string]bool{}
	for i, l := range p.Limits {
		if err := l.validate(p.Comparison.LatencyBounds); err != nil {
			return fmt.Errorf("limits[%d] %q: %w", i, l.Name, err)
		}
		if names[l.Name] {
			return fmt.Errorf("limits[%d]: name %q is there twice, expected names that differ", i, l.Name)
		}
		names[l.Name] = true
	}
	if err := p.Comparison.validate(); err != nil {
		return fmt.Errorf("comparison: %w", err)
	}
	if err := p.Pace.validate(p.Comparison); err != nil {
		return fmt.Errorf("pace: %w", err)
	}
	switch {
	case !within(p.SampleRatio.Tolerance, 0, 1):
		return fmt.Errorf("sample ratio: tolerance is %v, expected 0 to 1", p.SampleRatio.Tolerance)
	case !within(p.SampleRatio.At, 1, math.MaxFloat64):
		return fmt.Errorf("sample ratio: evidence is %v, expected at least 1", p.SampleRatio.At)
	case !within(p.MissingTolerated, 0, 1):
		return fmt.Errorf("missing tolerated is %v, expected 0 to 1", p.MissingTolerated)
	case p.BakeFor < 0:
		return fmt.Errorf("bake is %v, expected a positive time", p.BakeFor)
	}
	for i, w := range p.Steps {
		if w < 0 || w > 100 {
			return fmt.Errorf("steps[%d] is %d, expected 0 to 100", i, w)
		}
	}
	return nil
}

func within(v, low, high float64) bool { return v >= low && v <= high } // false for NaN

func (l Limit) validate(bounds []time.Duration) error {
	switch l.Kind {
	case ErrorCount:
		if !within(l.Bound, 0, math.MaxFloat64) {
			return fmt.Errorf("bound is %v, expected a count", l.Bound)
		}
	case ErrorRate, SuccessRate, SlowRatio:
		if !within(l.Bound, 0, 1) {
			return fmt.Errorf("bound is %v, expected a share from 0 to 1", l.Bound)
		}
		if l.Kind == SlowRatio && !slices.Contains(bounds, l.Above) {
			return fmt.Errorf("above is %v, expected one of the latency bounds %v", l.Above, bounds)
		}
	case LatencyPercentile:
		switch {
		case !within(l.Bound, 0, math.MaxFloat64):
			return fmt.Errorf("bound is %v, expected seconds", l.Bound)
		case !within(l.Percentile, 0, 100) || l.Percentile == 0 || l.Percentile == 100:
			return fmt.Errorf("percentile is %v, expected a number between 0 and 100", l.Percentile)
		case len(bounds) == 0:
			return fmt.Errorf("there are no latency bounds, expected at least one")
		case l.Bound > bounds[len(bounds)-1].Seconds():
			return fmt.Errorf("bound is %vs, expected at most the last latency bound %v: nothing is known beyond it", l.Bound, bounds[len(bounds)-1])
		}
	case Value:
		if !within(l.Bound, -math.MaxFloat64, math.MaxFloat64) {
			return fmt.Errorf("bound is %v, expected a finite number", l.Bound)
		}
	default:
		return fmt.Errorf("kind is %q, expected one of %q", l.Kind,
			[]Kind{ErrorCount, ErrorRate, SuccessRate, LatencyPercentile, SlowRatio, Value})
	}
	if l.Window < 0 || l.Every < 0 || l.MinRequests < 0 || l.FailuresAllowed < 0 || l.InconclusiveAllowed < 0 {
		return fmt.Errorf("a time or count is negative, expected none to be")
	}
	return nil
}

func (c Comparison) validate() error {
	for _, v := range []struct {
		name      string
		value     float64
		low, high float64
	}{
		{"tolerated", c.Tolerated, 1, 100},
		{"hold ratio", c.HoldRatio, 1, 100},
		{"roll back at", c.RollbackAt, 1, 1e100},
		{"hold at", c.HoldAt, 1, 1e100},
		{"good ratio", c.GoodRatio, 1.01, 1000},
		{"good at", c.GoodAt, 1, 1e100},
		{"good below", c.GoodBelow, 0, 0.99},
		{"ignore below", c.IgnoreBelow, 0, 0.99},
		{"prove by", float64(c.ProveBy), 0, 100},
		{"min requests", float64(c.MinRequests), 1, math.MaxInt64},
		{"warm-up", float64(c.Warmup), 0, math.MaxInt64},
	} {
		if !within(v.value, v.low, v.high) {
			return fmt.Errorf("%s is %v, expected %v to %v", v.name, v.value, v.low, v.high)
		}
	}
	for i, b := range c.LatencyBounds {
		if b <= 0 || i > 0 && b <= c.LatencyBounds[i-1] {
			return fmt.Errorf("latency bounds[%d] is %v, expected rising times above 0", i, b)
		}
	}
	return nil
}

func (p Pace) validate(c Comparison) error {
	if p.Evidence && !c.Enabled {
		return fmt.Errorf("evidence needs the comparison to stable, which is off")
	}
	if p.MinDwell < 0 || p.Cap < 0 {
		return fmt.Errorf("min dwell %v or cap %v is negative, expected none to be", p.MinDwell, p.Cap)
	}
	for i, r := range p.Ratios {
		if !within(r, 1.01, 1000) || i > 0 && r > p.Ratios[i-1] {
			return fmt.Errorf("ratios[%d] is %v, expected falling ratios from 1000 to 1.01", i, r)
		}
	}
	return nil
}
