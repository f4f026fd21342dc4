package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/story"
)

// lastLook bounds how long an engine that ends looks for what it leaves running.
const lastLook = 5 * time.Second

// leftovers are the rollouts that run in the engine at that URL.
func leftovers(ctx context.Context, c *console, url string) ([]*story.Story, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer cancel()
	api, err := target{endpoint: url, machine: machineName}.open(ctx, c)
	if err != nil {
		return nil, err
	}
	machine, err := api.arn(ctx)
	if err != nil {
		return nil, err
	}
	running, err := api.list(ctx, machine, types.ExecutionStatusRunning, "")
	if err != nil {
		return nil, err
	}
	stories := make([]*story.Story, 0, len(running))
	for _, execution := range running {
		s, err := api.story(ctx, execution)
		if err != nil {
			return nil, err
		}
		stories = append(stories, s)
	}
	return stories, nil
}

// farewell says what an engine leaves that ends now, and how to go on. Rollouts that nothing
// keeps are exit code 3: nobody judges them any more.
func (s server) farewell(c *console, left []*story.Story) error {
	if len(left) == 0 {
		return nil
	}
	fmt.Fprintf(c.err, "%s still running:\n", count(len(left), "rollout"))
	for _, l := range left {
		fmt.Fprintf(c.err, "  %s\n", leftLine(l))
	}
	if s.state != "" {
		fmt.Fprintf(c.err, "Users stay where they are until 'stepcanary serve --state %s' runs again and goes on.\n", s.state)
		return nil
	}
	fmt.Fprint(c.err, "Users stay where they are, and nobody judges it: without --state this engine forgets its rollouts.\n"+
		"To go on: 'stepcanary serve --state FILE', then deploy the service again; that finishes the way back first.\n")
	return exit{exitHeld, ""}
}

// leftLine names a rollout, its versions and the canary's weight, as far as they are known.
func leftLine(s *story.Story) string {
	ro := s.Rollout
	switch {
	case ro == nil:
		return fmt.Sprintf("%s: %s, nothing is decided yet", s.Name, stateWords(s))
	case ro.First():
		return fmt.Sprintf("%s: first deployment of %s, %s: %s", s.Name, ro.Service.Name, ro.Canary.Name, stateWords(s))
	}
	return strings.Join([]string{
		fmt.Sprintf("%s: service %s", s.Name, ro.Service.Name),
		fmt.Sprintf("%d %% of users on %s, the rest on %s", s.Weight, ro.Canary.Name, ro.Stable.Name),
		stateWords(s),
	}, ", ")
}
