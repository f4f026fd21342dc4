package main

import (
	"fmt"
	"strings"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// measures gives a line for each of the first two, their columns below each other. Every
// figure stands there once: a limit's sentence has its own.
func measures(all []analysis.Measure) []string {
	all = all[:min(2, len(all))]
	name, figure := 0, 0
	for _, m := range all {
		if m.Name == analysis.ShareOfRequests {
			continue
		}
		name = max(name, len(m.Name))
		if telling(m) {
			figure = max(figure, len(figures(m)))
		}
	}
	out := make([]string, len(all))
	for i, m := range all {
		verdict := strings.ToUpper(m.Verdict.String())
		switch {
		case m.Name == analysis.ShareOfRequests:
			out[i] = m.Note
		case telling(m):
			out[i] = fmt.Sprintf("%-*s  %-*s  %s%s", name, m.Name, figure, figures(m), verdict, chance(m))
		default:
			note := strings.TrimPrefix(strings.TrimPrefix(m.Note, m.Name+" "), "can't be told: ")
			out[i] = strings.TrimSuffix(fmt.Sprintf("%-*s  %s: %s", name, m.Name, verdict, note), ": ")
		}
	}
	return out
}

// telling tells a comparison whose counts say something from what is told by its note: a
// limit, or a comparison that could not be made.
func telling(m analysis.Measure) bool {
	return (m.Bad > 0 || m.Good > 0) && !strings.HasPrefix(m.Note, m.Name+" can't be told")
}

// figures are stable's and the canary's, and how many times as often the canary fails.
func figures(m analysis.Measure) string {
	text := percent(m.Canary)
	switch {
	case m.Stable.Requests > 0:
		text = percent(m.Stable) + " -> " + text
	case m.Bound > 0:
		text += fmt.Sprintf(", up to %.3g %% expected", 100*m.Bound)
	}
	switch {
	case m.Low > 0 && m.High > 0:
		text += fmt.Sprintf("  %.3g-%.3g x", m.Low, m.High)
	case m.Low > 0:
		text += fmt.Sprintf("  > %.3g x", m.Low)
	case m.High > 0:
		text += fmt.Sprintf("  < %.3g x", m.High)
	}
	return text
}

// chance is how often a good canary would look this bad.
func chance(m analysis.Measure) string {
	switch {
	case m.Verdict != analysis.Unhealthy || m.P <= 0 || m.P >= 1:
		return ""
	case m.P < 1e-6:
		return ", chance below 1 in a million"
	}
	return fmt.Sprintf(", chance 1 in %.3g", 1/m.P)
}

func percent(t analysis.Total) string {
	return fmt.Sprintf("%.3g %% of %d", 100*t.Rate(), t.Requests)
}
