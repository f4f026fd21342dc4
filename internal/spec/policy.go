package spec

import (
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// Policy gives what the canary is held against.
func (s Spec) Policy() analysis.Policy {
	a := s.Analysis
	p := analysis.Policy{
		Comparison:       s.comparison(),
		SampleRatio:      analysis.DefaultSampleRatio(),
		BakeFor:          time.Duration(s.Bake),
		MissingTolerated: a.MissingTolerated,
	}
	p.SampleRatio.Off = !a.SampleRatio
	for _, step := range s.steps() {
		p.Steps = append(p.Steps, int(step.Weight))
	}
	if s.Pace == ByEvidence {
		p.Pace = analysis.DefaultPace()
		p.Pace.MinDwell, p.Pace.Cap = time.Duration(s.WaitTime), time.Duration(s.LongestStep)
	}
	if s.CountFailures {
		// The ancestor knows no least number of requests: one is enough to count 5xx.
		l := analysis.FailureThreshold(s.FailureThresholdValue, time.Duration(s.FailureThresholdTime))
		l.MinRequests, l.InconclusiveAllowed = 1, neverExhausted
		l.Every = time.Duration(a.Interval)
		p.Limits = append(p.Limits, l)
	}
	for _, l := range a.Limits {
		p.Limits = append(p.Limits, s.limit(l))
	}
	return p
}

// neverExhausted leaves it to the plan's patience to end a silent step. It is the
// schema's default of inconclusive_allowed.
const neverExhausted = 1_000_000

func (s Spec) comparison() analysis.Comparison {
	c := s.Analysis.Compare
	out := analysis.Comparison{
		Enabled: !c.Off, Tolerated: c.Tolerated, RollbackAt: c.RollbackAt,
		HoldRatio: c.HoldRatio, HoldAt: c.HoldAt, GoodRatio: c.GoodRatio, GoodAt: c.GoodAt,
		GoodBelow: c.GoodBelow, IgnoreBelow: c.IgnoreBelow, ProveBy: c.ProveBy,
		MinRequests: s.Analysis.MinRequests, Warmup: time.Duration(c.Warmup),
	}
	if !s.Analysis.Written {
		out.MinRequests = 1
	}
	for _, b := range c.LatencyBounds {
		out.LatencyBounds = append(out.LatencyBounds, time.Duration(b))
	}
	// A limit on latency reads the same histogram, cut exactly at its bound.
	for _, l := range s.Analysis.Limits {
		switch l.Metric {
		case "latency":
			out.LatencyBounds = append(out.LatencyBounds, seconds(l.Max.Value))
		case "slow-ratio":
			out.LatencyBounds = append(out.LatencyBounds, time.Duration(l.Above))
		}
	}
	slices.Sort(out.LatencyBounds)
	out.LatencyBounds = slices.Compact(out.LatencyBounds)
	return out
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }

var kinds = map[string]analysis.Kind{
	"error-count":  analysis.ErrorCount,
	"error-rate":   analysis.ErrorRate,
	"success-rate": analysis.SuccessRate,
	"latency":      analysis.LatencyPercentile,
	"slow-ratio":   analysis.SlowRatio,
}

func (s Spec) limit(l Limit) analysis.Limit {
	kind, builtin := kinds[l.Metric]
	if !builtin {
		kind = analysis.Value
	}
	bound := l.Max
	if l.Min.Set {
		bound = l.Min
	}
	out := analysis.Limit{
		Name: l.Name, Kind: kind, Bound: bound.Value,
		AtLeast: kind == analysis.Value && l.Min.Set,
		Above:   time.Duration(l.Above), Window: time.Duration(l.Window),
		Every: time.Duration(s.Analysis.Interval), MinRequests: s.Analysis.MinRequests,
		FailuresAllowed: l.FailuresAllowed, InconclusiveAllowed: l.InconclusiveAllowed,
		Advisory: l.Advisory, Source: l.Metric,
	}
	if kind == analysis.LatencyPercentile {
		out.Percentile = l.Percentile
	}
	return out
}
