package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// never is when a step sees what it cannot see.
const never = "never"

// hasty warns of holds that are over before the metrics source has told anything.
func hasty(s spec.Spec, source metric.Pace) string {
	interval, told := s.Told(source)
	shortest := slices.Min(s.Takes(metric.Pace{}))
	if shortest >= told {
		return ""
	}
	text := fmt.Sprintf("a hold of %s is shorter than a step can be: the metrics source tells of intervals of %s, and %s late, so a step takes %s at least",
		brief(shortest), brief(interval), brief(source.Lag), brief(told))
	latest := told + source.Grid
	if latest > told {
		text += fmt.Sprintf(", and up to %s where it begins between two marks of the clock", brief(latest))
	}
	if held := shortest + time.Duration(s.Patience); held < latest {
		text += fmt.Sprintf("; patience ends after %s, so a good canary may go back for want of an answer", brief(held))
	}
	return text
}

// foresee says when each step would see the rise of errors, and what the traffic makes of the
// limits.
func (p *planned) foresee(s spec.Spec, source metric.Pace, t analysis.Traffic, from, to float64) {
	policy := s.Policy()
	var short []string
	takes := s.Takes(source)
	for i := range p.Steps {
		t.Weight = int(p.Steps[i].Weight)
		if t.Weight >= 100 || !policy.Comparison.Enabled {
			continue
		}
		seen, ok := policy.TimeToSee(t, from, to)
		step := &p.Steps[i]
		step.Sees = never
		if ok {
			step.Sees, step.SeesSeconds = told(seen.After.Round(time.Second))
			step.SeesRequests = seen.Requests
		}
		if !ok || seen.After > takes[i] {
			short = append(short, fmt.Sprint(t.Weight))
		}
	}
	if len(short) > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("too short to see it on their own: the steps at %s %%", strings.Join(short, ", ")))
	}
	if w := undecided(s, source, t, from); w != "" {
		p.Warnings = append(p.Warnings, w)
	}
	for _, l := range policy.Limits {
		if w := tooStrict(l, t, from); w != "" && !l.Advisory {
			p.Warnings = append(p.Warnings, w)
		}
	}
}

// undecided warns where a canary as good as stable would too often not be known to be good in time.
func undecided(s spec.Spec, source metric.Pace, t analysis.Traffic, rate float64) string {
	policy := s.Policy()
	if !policy.Comparison.Enabled {
		return ""
	}
	takes := s.Takes(source)
	var within []analysis.Stretch
	for i, hold := range s.Takes(metric.Pace{}) {
		most := hold + time.Duration(s.Patience) - t.Lag
		if s.Pace == spec.ByEvidence {
			most = max(most, time.Duration(s.LongestStep))
		}
		if policy.Steps[i] < 100 {
			within = append(within, analysis.Stretch{Least: max(t.Every, takes[i]-t.Lag), Most: most})
		}
	}
	e := policy.PaceTime(t, rate, within...)
	if len(within) == 0 || e.Undecided < 0.05 {
		return ""
	}
	end := "go back"
	if s.OnUndecided == rollout.UndecidedAsks {
		end = "wait for a person"
	}
	return fmt.Sprintf("with this traffic %.0f %% of rollouts of a canary no worse than stable would %s undecided, most of them at %d %%: more patience, or a longer or larger step, tells more",
		100*e.Undecided, end, policy.Steps[e.Stuck])
}

// tooStrict warns of a limit that a canary as good as stable would not keep.
func tooStrict(l analysis.Limit, t analysis.Traffic, from float64) string {
	switch {
	case l.Kind == analysis.ErrorCount:
		if expect := t.PerSecond * l.Window.Seconds() * from; expect > l.Bound {
			return fmt.Sprintf("%s: with all requests, a canary no worse than stable fails about %.3g of them in %s; %g are allowed",
				l.Name, expect, brief(l.Window), l.Bound)
		}
	case l.Kind == analysis.ErrorRate && from > l.Bound, l.Kind == analysis.SuccessRate && 1-from < l.Bound:
		return fmt.Sprintf("%s: stable itself, at %.3g %% errors, does not keep it", l.Name, 100*from)
	}
	return ""
}
