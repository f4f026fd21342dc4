package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/story"
)

// screen says in four lines what happens, why, and how long: the rollout, its two most
// telling measures, and the reason for the last decision.
func screen(s *story.Story, now time.Time, width int) [4]string {
	var lines [4]string
	lines[0] = headline(s, now)
	if w := s.Watch; w != nil {
		for i, m := range w.Judgement.Measures {
			if i == 2 {
				break
			}
			lines[1+i] = measure(m)
		}
		if w.Trouble != "" {
			lines[1] = "metrics  no answer: " + w.Trouble
		}
	}
	lines[3] = last(s)
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

// headline: service, versions, step, weight, time gone and left.
func headline(s *story.Story, now time.Time) string {
	ro := s.Rollout
	if ro == nil {
		return fmt.Sprintf("%s  %s  %s gone", s.Name, stateWords(s), span(s.Elapsed(now)))
	}
	versions := ro.Canary.Name
	if !ro.First() {
		versions = ro.Stable.Name + " -> " + ro.Canary.Name
	}
	head := fmt.Sprintf("%s  step %d/%d  %d %%  %s", versions, s.Step+1, len(ro.Plan.Steps), s.Weight, span(s.Elapsed(now)))
	if !s.Running() {
		return head + "  " + s.Outcome
	}
	return head + fmt.Sprintf(" gone, %s left", left(s, now))
}

// left is the time that the plan's holds still take: no rollout is faster.
func left(s *story.Story, now time.Time) string {
	var d time.Duration
	for i, st := range s.Rollout.Plan.Steps {
		if i >= s.Step {
			d += time.Duration(st.Hold)
		}
	}
	if s.Shift != nil && s.Shift.Observed {
		d -= min(now.Sub(s.Shift.Since), time.Duration(s.Rollout.Plan.Steps[s.Step].Hold))
	}
	return "at least " + span(d)
}

// measure: name, stable and canary, the ratios not ruled out, the verdict.
func measure(m analysis.Measure) string {
	text := fmt.Sprintf("%-9s", m.Name)
	if m.Stable.Requests > 0 {
		text += fmt.Sprintf("%s -> ", percent(m.Stable))
	}
	text += percent(m.Canary)
	if m.High > 0 {
		text += fmt.Sprintf("  %.3g-%.3g x", m.Low, m.High)
	}
	text += "  " + strings.ToUpper(m.Verdict.String())
	if m.Note != "" {
		text += ": " + m.Note
	}
	return text
}

func percent(t analysis.Total) string {
	return fmt.Sprintf("%.2f %% of %d", 100*t.Rate(), t.Requests)
}

// last is the latest thing that happened, with its reason.
func last(s *story.Story) string {
	if !s.Running() {
		return s.Outcome + ": " + s.Reason
	}
	if s.State == "Hold" && s.Watch != nil {
		return "holding: " + s.Watch.Reason
	}
	if len(s.Moments) == 0 {
		return stateWords(s)
	}
	m := s.Moments[len(s.Moments)-1]
	return fmt.Sprintf("%s: %s", stateWords(s), m.Text)
}

var states = map[string]string{
	"Prepare": "preparing", "DeployCanary": "deploying", "AwaitReady": "waiting for pods", "ShiftWeight": "shifting",
	"HealthCheck": "watching", "Hold": "holding", "Promote": "promoting", "Rollback": "going back",
}

// stateWords is the state in a word that needs no knowledge of the machine.
func stateWords(s *story.Story) string {
	if w := states[s.State]; w != "" {
		return w
	}
	if s.State == "" {
		return "starting"
	}
	return s.State
}

// span writes 1:02 or 1:02:03.
func span(d time.Duration) string {
	sec := int(max(0, d).Round(time.Second).Seconds())
	if sec >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", sec/3600, sec/60%60, sec%60)
	}
	return fmt.Sprintf("%d:%02d", sec/60, sec%60)
}

// cut shortens a line to the width, in characters, and keeps what would move the cursor out.
func cut(line string, width int) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	r := []rune(line)
	return string(r[:width-1]) + "…"
}
