package main

import (
	"fmt"
	"strings"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// measures gives a line for each of the first two, their columns below each other: name,
// verdict, figures. Every figure stands there once: a limit's sentence has its own.
func measures(all []analysis.Measure) []string {
	all = all[:min(2, len(all))]
	name, verdict := 0, 0
	for _, m := range all {
		if m.Name != analysis.ShareOfRequests {
			name, verdict = max(name, len(m.Name)), max(verdict, len(m.Verdict.String()))
		}
	}
	out := make([]string, len(all))
	for i, m := range all {
		text := m.Note
		if m.Name == analysis.ShareOfRequests {
			out[i] = text
			continue
		}
		if telling(m) {
			text = figures(m) + chance(m)
		}
		text = strings.TrimPrefix(strings.TrimPrefix(text, m.Name+" "), "can't be told: ")
		text = strings.ReplaceAll(text, " on the canary", "") // whom else would a limit be about
		out[i] = strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %s", name, m.Name, verdict, strings.ToUpper(m.Verdict.String()), text), " ")
	}
	return out
}

// telling tells a comparison whose counts say something from what is told by its note: a
// limit, or a comparison that could not be made.
func telling(m analysis.Measure) bool {
	return (m.Bad > 0 || m.Good > 0) && !strings.HasPrefix(m.Note, m.Name+" can't be told")
}

// figures are the canary's, stable's by its name, and how many times as often the canary fails.
func figures(m analysis.Measure) string {
	text := percent(m.Canary)
	switch {
	case m.Stable.Requests > 0:
		text = text + ", stable " + percent(m.Stable)
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
		return "  odds < 1:1000000"
	}
	return fmt.Sprintf("  odds 1:%.0f", 1/m.P)
}

func percent(t analysis.Total) string {
	return fmt.Sprintf("%.3g %% of %d", 100*t.Rate(), t.Requests)
}
