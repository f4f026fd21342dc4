package main

import (
	"fmt"
	"strings"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// planWidth is what the text of a plan fits into.
const planWidth = 80

// printPlan shows a plan to people.
func (c *console) printPlan(p planned, q question) {
	c.printf("%s: %s, at least %s, at most %s\n\n", p.Service, count(len(p.Steps), "step"), p.Shortest, p.Longest)
	width := 6
	for _, s := range p.Steps {
		width = max(width, len(s.lasts()))
	}
	for i, s := range p.Steps {
		line := fmt.Sprintf("  %3d %%  %-*s", s.Weight, width, s.lasts())
		switch s.Sees {
		case "":
		case never:
			line += "  never sees it"
		default:
			line += fmt.Sprintf("  sees it in %s (%d requests)", s.Sees, s.SeesRequests)
		}
		if s.Approve {
			line += "  then waits for a person's word"
		}
		if i == len(p.Steps)-1 {
			line += "  the bake; then stable drains and goes"
		}
		c.printf("%s\n", strings.TrimRight(line, " "))
	}
	if p.Pace == spec.ByEvidence {
		c.wrap("\n  ", "by evidence: a step ends as soon as enough speaks for the canary, and is undecided after the longer time")
	}
	if q.rps > 0 && p.Refused == "" {
		c.wrap("\n  ", fmt.Sprintf("it: a rise from %g to %g %% errors at %g requests a second, with a chance of 80 %%", q.from, q.to, q.rps))
	}
	c.list("\nThe canary goes on while\n", p.Checks)
	if p.Queue != "" {
		c.wrap("\n", fmt.Sprintf("While another rollout of the service runs, a start waits up to %s for its turn.", p.Queue))
	}
	c.list("\nIt asks\n", p.Gates)
	c.list("\nIt tells\n", p.Told)
	c.printf("\n")
	c.wrap("", fmt.Sprintf("A good rollout takes about %d state transitions, %.0f function seconds and %.4f USD; its history has at most %d of the 25000 events that it may have.",
		p.Transitions, p.Seconds, p.USD, p.Events))
	if p.Refused != "" {
		c.wrap("\nThe first rollout deploys it. Every other would be refused: ", p.Refused)
	}
	for _, w := range p.Warnings {
		c.wrap("Warning: ", w)
	}
}

// lasts is how long a step takes, or from when to when it may end.
func (s plannedStep) lasts() string {
	if s.AtMost == "" {
		return s.Takes
	}
	return s.Takes + " to " + s.AtMost
}

// list prints items below a head, or nothing where there are none.
func (c *console) list(head string, items []string) {
	if len(items) > 0 {
		c.printf("%s", head)
	}
	for _, what := range items {
		c.wrap("  - ", what)
	}
}

// wrap prints text behind a beginning, in lines that fit; an item's lines stand below
// each other.
func (c *console) wrap(begin, text string) {
	line, indent := begin, ""
	if n := len(strings.TrimLeft(begin, "\n")); n <= 4 {
		indent = strings.Repeat(" ", n)
	}
	for i, word := range strings.Fields(text) {
		word = spec.Visible(word)
		if i > 0 && len([]rune(strings.TrimLeft(line, "\n")))+1+len([]rune(word)) > planWidth {
			c.printf("%s\n", line)
			line = indent + word
			continue
		}
		if i > 0 {
			line += " "
		}
		line += word
	}
	c.printf("%s\n", line)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
