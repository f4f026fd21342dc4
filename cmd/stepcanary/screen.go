package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
)

// screen says in four lines what happens, why, and how long: the rollout, its two most
// telling measures, and what else led to the last decision. Zero width cuts nothing.
func screen(s *story.Story, now time.Time, width int) [4]string {
	lines := [4]string{headline(s, now, width)}
	if w := s.Watch; w != nil {
		copy(lines[1:3], measures(w.Judgement.Measures))
		for i := 1; i < 3 && w.Of != s.Step; i++ {
			if lines[i] != "" {
				lines[i] = stepBefore(s, w) + lines[i]
			}
		}
		if w.Trouble != "" {
			lines[1], lines[2] = "metrics   no answer: "+w.Trouble, ""
		}
	}
	if s.Watch == nil {
		copy(lines[1:3], expected(s, now))
	}
	lines[3] = last(s)
	for i := range lines {
		lines[i] = cut(lines[i], width)
	}
	return lines
}

// stepBefore says, before the figures of the step before, at which weight they were taken.
func stepBefore(s *story.Story, w *step.Watch) string {
	if s.Rollout == nil || w.Of < 0 || w.Of >= len(s.Rollout.Plan.Steps) {
		return "before: "
	}
	return fmt.Sprintf("at %d %%: ", s.Rollout.Plan.Steps[w.Of].Weight)
}

// expected says, until the first look is over, why there are no figures, and what will be judged.
func expected(s *story.Story, now time.Time) []string {
	if !s.Running() || s.Rollout == nil || s.State == "Rollback" {
		return nil
	}
	why := "no user is on " + s.Rollout.Canary.Name
	if s.Weight > 0 && s.State == "HealthCheck" {
		why = fmt.Sprintf("the first look began %s ago and takes at most a minute", span(now.Sub(s.Since)))
	} else if s.Weight > 0 {
		why = "the first look comes next"
	}
	return []string{"no figures yet: " + why, "to be judged: " + strings.Join(judged(s.Rollout), "; ")}
}

// judged names what a rollout is judged by, beside its pods.
func judged(ro *step.Rollout) []string {
	var by, limits []string
	if c := ro.Policy.Comparison; c.Enabled {
		what := "errors"
		if len(c.LatencyBounds) > 0 {
			what += " and latency"
		}
		if !ro.First() {
			what += " beside stable's"
		}
		by = append(by, what)
	}
	for _, l := range ro.Policy.Limits {
		limits = append(limits, l.Name)
	}
	if len(limits) > 0 {
		by = append(by, "limits on "+strings.Join(limits, ", "))
	}
	if ro.KubernetesOnly || len(by) == 0 {
		return []string{"its pods alone"}
	}
	return by
}

// look is the last look at the step that the rollout is in; nil before it.
func look(s *story.Story) *step.Watch {
	if s.Watch == nil || s.Watch.Of != s.Step {
		return nil
	}
	return s.Watch
}

// headline: versions, step, weight, time gone and left. The versions give way to the rest.
func headline(s *story.Story, now time.Time, width int) string {
	gone := span(s.Elapsed(now))
	ro := s.Rollout
	if ro == nil {
		if !s.Running() {
			return fmt.Sprintf("%s  %s  %s", s.Name, gone, s.Outcome)
		}
		return fmt.Sprintf("%s  %s  %s gone", s.Name, stateWords(s), gone)
	}
	rest := fmt.Sprintf("  step %d/%d  %d %%  %s", s.Step+1, len(ro.Plan.Steps), s.Weight, gone)
	if s.Running() {
		rest += " gone, " + left(s, now)
	} else {
		rest += "  " + s.Outcome
	}
	room := width - utf8.RuneCountInString(rest)
	versions := ro.Canary.Name
	if !ro.First() {
		versions = ro.Stable.Name + " -> " + ro.Canary.Name
		if width > 0 && len(versions) > room {
			versions = "-> " + ro.Canary.Name
		}
	}
	if width > 0 {
		versions = cut(versions, max(room, 10))
	}
	return versions + rest
}

// left is how long it still takes: the holds that are left, for no rollout is faster; or, where
// a step waits for more than its hold, how long it may.
func left(s *story.Story, now time.Time) string {
	if s.State == "Rollback" {
		return "going back"
	}
	plan, d := s.Rollout.Plan, time.Duration(0)
	for _, st := range plan.Steps[min(s.Step, len(plan.Steps)):] {
		d += time.Duration(st.Hold)
	}
	if s.Shift == nil || !s.Shift.Observed || s.Step >= len(plan.Steps) {
		return "at least " + span(d) + " left"
	}
	hold, in := time.Duration(plan.Steps[s.Step].Hold), now.Sub(s.Shift.Since)
	w := look(s)
	limit, gate := gateLeft(s, w, now)
	switch {
	case w != nil && !w.Paused.IsZero():
		return "paused for at most " + span(time.Duration(plan.PauseLimit)-now.Sub(w.Paused))
	case gate:
		return "a gate is waited for at most " + span(limit)
	case w != nil && w.Action == rollout.Wait && in >= hold:
		return "held for at most " + span(time.Duration(plan.PauseLimit))
	case w != nil && w.Action == rollout.Watch && in > hold:
		patience := time.Duration(plan.Patience)
		if plan.Evidence {
			patience += max(0, time.Duration(plan.Cap)-hold)
		}
		return "held for at most " + span(patience-(in-hold))
	}
	return "at least " + span(d-min(max(in, 0), hold)) + " left"
}

// gateLeft is how long a gate of the step is waited for that has said neither yes nor no.
func gateLeft(s *story.Story, w *step.Watch, now time.Time) (left time.Duration, waits bool) {
	if w == nil || w.Needs != "" {
		return 0, false
	}
	for _, said := range w.Gates {
		for _, g := range s.Rollout.Gates {
			if g.Name != said.Gate || said.Word == rollout.Yes || said.Word == rollout.No {
				continue
			}
			if d := time.Duration(g.Limit) - now.Sub(said.First); !waits || d < left {
				left, waits = d, true
			}
		}
	}
	return left, waits
}

// last is the state in a word, and what the measures above do not say already.
func last(s *story.Story) string {
	w := look(s)
	if !s.Running() {
		why := s.Reason
		if s.Rollout != nil {
			why = strings.TrimPrefix(why, s.Rollout.Canary.Name+" is the stable version: ")
		}
		return strings.Join(filled(users(s), fresh(why, w)), "; ")
	}
	if w != nil && (s.State == "HealthCheck" || s.State == "Hold") {
		var pods string
		if w.Status.Desired > 0 {
			pods = fmt.Sprintf("%d of %d pods ready", w.Status.Ready, w.Status.Desired)
		}
		return stateWords(s) + ": " + strings.Join(filled(pods, fresh(w.Reason, w)), "; ")
	}
	if len(s.Moments) == 0 {
		return stateWords(s)
	}
	m := s.Moments[len(s.Moments)-1]
	if m.Kind == story.Holding {
		return "waiting for a gate: " + m.Text
	}
	why := fresh(m.Text, w)
	if s.State == "Rollback" {
		why = m.Text // the measures above may say the same, but this is why
	}
	return strings.TrimSuffix(stateWords(s)+": "+why, ": ")
}

// users says where all users are now that it is over; nothing where that is not certain.
func users(s *story.Story) string {
	ro := s.Rollout
	switch {
	case ro == nil:
		return ""
	case s.Outcome == step.OutcomePromoted:
		return "all users are on " + ro.Canary.Name
	case s.Outcome == step.OutcomeRolledBack && ro.First():
		return ro.Canary.Name + " is removed"
	case s.Outcome == step.OutcomeRolledBack && !s.Away: // where they are else, the reason says
		return "all users are on " + ro.Stable.Name
	}
	return ""
}

// fresh is the part of a reason that the measures of the look do not say.
func fresh(reason string, w *step.Watch) string {
	if w == nil {
		return reason
	}
	for i, m := range w.Judgement.Measures {
		if n := len(m.Note); i < 2 && n > 0 && len(reason) >= n && strings.EqualFold(reason[:n], m.Note) {
			return strings.Trim(reason[n:], "; .")
		}
	}
	return reason
}

func filled(parts ...string) []string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return out
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

// cut shortens a line to the width, in characters, and keeps out what would move the cursor or turn the text.
func cut(line string, width int) string {
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
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
