package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
)

const (
	// lookEvery is the pace at which a rollout is followed.
	lookEvery = time.Second
	// heartbeat is the pace at which a log says that nothing changed.
	heartbeat = time.Minute
)

// watch follows a rollout to its end.
func watch(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("watch", flag.ContinueOnError)
	c.outputFlag(f)
	api, execution, err := pick(ctx, c, f, args, false)
	if err != nil {
		return err
	}
	return api.follow(ctx, c, execution)
}

// follow shows a rollout until it ends: four lines redrawn on a terminal, one line for each
// thing that happens elsewhere. Leaving it leaves the rollout running.
func (c client) follow(ctx context.Context, con *console, execution string) error {
	v := view{console: con, width: con.terminal()}
	for {
		s, err := c.story(ctx, execution)
		if ctx.Err() != nil {
			name := nameOf(execution)
			fmt.Fprintf(con.err, "\nthe rollout goes on; 'stepcanary watch %s' looks again, 'stepcanary abort %s' goes back\n", name, name)
			return exit{exitHeld, ""}
		}
		if err != nil {
			return lost(execution, err)
		}
		if err := v.show(s, c.clock.Now()); err != nil {
			return err
		}
		if !s.Running() {
			return ending(s)
		}
		_ = c.clock.Sleep(ctx, lookEvery) // the next look sees that ctx has ended
	}
}

// lost is for a rollout whose engine stopped answering: how it goes on is not known.
func lost(execution string, err error) error {
	text := silent(err)
	if text == "" {
		return err
	}
	return exit{exitHeld, fmt.Sprintf("%s\nhow the rollout goes on is not known; 'stepcanary watch %s' looks again", text, nameOf(execution))}
}

func nameOf(execution string) string { return execution[strings.LastIndexByte(execution, ':')+1:] }

// ending is the exit code of a rollout that is over.
func ending(s *story.Story) error {
	switch s.Outcome {
	case step.OutcomePromoted:
		return nil
	case step.OutcomeRolledBack, "Aborted":
		return exit{exitRolledBack, ""}
	case step.OutcomeRefused:
		if s.Fault == fault.Invalid { // the input or a setting is wrong: trying later does not help
			return exit{exitError, ""}
		}
		return exit{exitRefused, ""}
	case step.OutcomeNeedsOperator:
		return exit{exitHeld, ""}
	}
	return exit{exitError, ""}
}

// A view is what has been shown so far.
type view struct {
	*console
	width int
	drawn bool
	told  int
	said  time.Time
}

func (v *view) show(s *story.Story, now time.Time) error {
	switch {
	case v.json:
		return v.tellJSON(s)
	case v.width > 0:
		v.draw(s, now)
	default:
		v.tell(s, now)
	}
	return nil
}

// draw redraws the four lines in place. Wrapping is off meanwhile: a line that the terminal
// takes for wider than we do must not become two.
func (v *view) draw(s *story.Story, now time.Time) {
	v.width = v.terminal()
	var b strings.Builder
	b.WriteString("\x1b[?7l")
	if v.drawn {
		b.WriteString("\x1b[4A")
	}
	for _, line := range screen(s, now, v.width) {
		b.WriteString("\r\x1b[2K" + v.paint(line) + "\n")
	}
	b.WriteString("\x1b[?7h")
	v.drawn = true
	v.printf("%s", b.String())
}

// tints are the colours of the words that carry a verdict or an end.
var tints = []struct{ word, code string }{
	{"UNHEALTHY", "31"}, {"RolledBack", "31"}, {"NeedsOperator", "31"},
	{"HEALTHY", "32"}, {"Promoted", "32"}, {"INCONCLUSIVE", "33"},
}

// paint colours the word that carries the verdict; it is a word, so nothing is lost without.
func (v *view) paint(line string) string {
	for _, t := range tints {
		if i := strings.Index(line, t.word); i > 0 && line[i-1] == ' ' {
			return line[:i] + v.color(t.code, t.word) + line[i+len(t.word):]
		}
	}
	return line
}

// tell writes a line for each new moment, and a sign of life now and then.
func (v *view) tell(s *story.Story, now time.Time) {
	for _, m := range s.Moments[min(v.told, len(s.Moments)):] {
		v.printf("%s\n", momentLine(m))
		v.said = now
	}
	v.told = len(s.Moments)
	if s.Running() && now.Sub(v.said) >= heartbeat {
		v.printf("%s  %s\n", now.UTC().Format("15:04:05"), headline(s, now, 0))
		v.said = now
	}
}

func momentLine(m story.Moment) string {
	return fmt.Sprintf("%s  %3d %%  %-8s  %s", m.At.Format("15:04:05"), m.Weight, m.Kind, cut(m.Text, 0))
}

func (v *view) tellJSON(s *story.Story) error {
	for _, m := range s.Moments[min(v.told, len(s.Moments)):] {
		if err := v.printLine(m); err != nil {
			return err
		}
	}
	v.told = len(s.Moments)
	return nil
}
