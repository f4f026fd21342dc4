package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// checks says in words what the canary is held against.
func checks(s spec.Spec, policy analysis.Policy) []string {
	out := []string{"its pods are ready"}
	if len(s.Alarms) > 0 {
		out = append(out, "no alarm goes off (one that is on at the start is not seen): "+strings.Join(s.Alarms, ", "))
	}
	if s.Strategy == spec.Replace {
		return out
	}
	for _, l := range policy.Limits {
		text := inWords(l)
		if l.Advisory {
			text += " (shown, decides nothing)"
		}
		out = append(out, text)
	}
	if c := policy.Comparison; c.Enabled {
		what := "fails"
		if n := len(c.LatencyBounds); n > 0 {
			bounds := make([]string, n)
			for i, b := range c.LatencyBounds {
				bounds[i] = brief(b)
			}
			what += " or takes longer than " + strings.Join(bounds, ", ")
		}
		out = append(out, fmt.Sprintf("compared: it %s at most %.3g times as often as stable", what, c.Tolerated))
	}
	return out
}

// gates says who is asked when. A URL may be a secret, so it is not shown.
func gates(s spec.Spec) []string {
	var out []string
	for _, phase := range []struct{ name, when string }{
		{spec.BeforeRollout, "before the first weight"},
		{spec.BeforeStep, "before each later weight"},
		{spec.BeforePromotion, "before stable goes"},
	} {
		for _, w := range s.Webhooks {
			if w.Phase == phase.name {
				out = append(out, fmt.Sprintf("%s, %s: waits up to %s for a yes", w.Name, phase.when, brief(time.Duration(w.Limit))))
			}
		}
	}
	return out
}

// notified says who is told what.
func notified(s spec.Spec) []string {
	var out []string
	for _, n := range s.Notifications {
		out = append(out, n.Name+": "+strings.Join(n.On, ", "))
	}
	return out
}

// inWords says what a limit asks for, as people say it.
func inWords(l analysis.Limit) string {
	within := ""
	if l.Window > 0 {
		within = " in " + brief(l.Window)
	}
	switch l.Kind {
	case analysis.ErrorCount:
		return fmt.Sprintf("%s: at most %g failed requests%s", l.Name, l.Bound, within)
	case analysis.ErrorRate:
		return fmt.Sprintf("%s: at most %.4g %% of requests fail%s", l.Name, 100*l.Bound, within)
	case analysis.SuccessRate:
		return fmt.Sprintf("%s: at least %.4g %% of requests succeed%s", l.Name, 100*l.Bound, within)
	case analysis.LatencyPercentile:
		return fmt.Sprintf("%s: %g %% of requests take at most %s%s", l.Name, l.Percentile, brief(time.Duration(l.Bound*float64(time.Second)).Round(time.Microsecond)), within)
	case analysis.SlowRatio:
		return fmt.Sprintf("%s: at most %.4g %% of requests take longer than %s%s", l.Name, 100*l.Bound, brief(l.Above), within)
	}
	if l.AtLeast {
		return fmt.Sprintf("%s: at least %g", l.Name, l.Bound)
	}
	return fmt.Sprintf("%s: at most %g", l.Name, l.Bound)
}

// told is a time in words and in seconds.
func told(d time.Duration) (words string, seconds float64) { return brief(d), d.Seconds() }

// brief writes a duration without its zero parts: 1m0s as 1m.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
