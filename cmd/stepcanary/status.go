package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/story"
)

// status says of one rollout, or of all that run, what happens, why, and how long.
func status(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("status", flag.ContinueOnError)
	var t target
	t.flags(c, f)
	c.outputFlag(f)
	rest, err := parse(c, f, args, 1)
	if err != nil {
		return err
	}
	api, err := t.open(ctx, c)
	if err != nil {
		return err
	}
	executions, err := api.which(ctx, strings.Join(rest, ""))
	if err != nil {
		return err
	}
	stories := make([]*story.Story, 0, len(executions))
	for _, e := range executions {
		s, err := api.story(ctx, e)
		if err != nil {
			return err
		}
		stories = append(stories, s)
	}
	return c.showStatus(stories)
}

// which gives the one execution that who names, or all that run.
func (c client) which(ctx context.Context, who string) ([]string, error) {
	if who != "" {
		e, _, err := c.find(ctx, who, false)
		return []string{e}, err
	}
	machine, err := c.arn(ctx)
	if err != nil {
		return nil, err
	}
	return c.list(ctx, machine, types.ExecutionStatusRunning, "")
}

// showStatus prints, and ends as the rollout did where it is one that is over.
func (c *console) showStatus(stories []*story.Story) error {
	if err := c.printStatus(stories); err != nil {
		return err
	}
	if len(stories) == 1 && !stories[0].Running() {
		return ending(stories[0])
	}
	return nil
}

func (c *console) printStatus(stories []*story.Story) error {
	if c.json {
		return c.printJSON(stories)
	}
	if len(stories) == 0 {
		c.printf("no rollout is running\n")
	}
	width := c.terminal()
	for i, s := range stories {
		if i > 0 {
			c.printf("\n")
		}
		for _, line := range screen(s, c.clock.Now(), width) {
			if line != "" {
				c.printf("%s\n", line)
			}
		}
	}
	return nil
}

// history tells a rollout from its beginning.
func history(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("history", flag.ContinueOnError)
	c.outputFlag(f)
	api, execution, err := pick(ctx, c, f, args, false)
	if err != nil {
		return err
	}
	s, err := api.story(ctx, execution)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(s)
	}
	for _, m := range s.Moments {
		c.printf("%s\n", momentLine(m))
	}
	c.printf("%s\n", summary(s, c.clock.Now()))
	return nil
}

// summary is the last line of a history: how long, and what it cost of Step Functions.
func summary(s *story.Story, now time.Time) string {
	return fmt.Sprintf("%s  %s, %d events, %d state transitions", s.Name, span(s.Elapsed(now)), s.Events, s.Transitions)
}
