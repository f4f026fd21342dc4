package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/story"
)

// How long a request waits for a state that hears it. The states between two holds take seconds, and
// an abort has another way where they take longer: a router that does not take a weight up, for one.
const (
	tokenWithin = 10 * time.Second
	abortWithin = 2 * time.Second
	// betweenLooks at its history.
	betweenLooks = 250 * time.Millisecond
)

func abort(ctx context.Context, c *console, args []string) error {
	return ask(ctx, c, "abort", args)
}

func promote(ctx context.Context, c *console, args []string) error {
	return ask(ctx, c, string(rollout.WishPromote), args)
}

func pause(ctx context.Context, c *console, args []string) error {
	return ask(ctx, c, string(rollout.WishPause), args)
}

func resume(ctx context.Context, c *console, args []string) error {
	return ask(ctx, c, string(rollout.WishResume), args)
}

// ask brings a person's wish to a running rollout: as the answer to the token of the
// state that waits. An abort that finds no such state in time, or whose answers all come too late, stops the
// execution, and the rule on stopped executions goes back.
func ask(ctx context.Context, c *console, wish string, args []string) error {
	f := flag.NewFlagSet(wish, flag.ContinueOnError)
	reason := f.String("reason", "", "why, for the history and the events")
	c.outputFlag(f)
	api, execution, err := pick(ctx, c, f, args, true)
	if err != nil {
		return err
	}
	s, err := api.say(ctx, execution, wish, *reason, c.clock.Now().Add(within(wish)))
	if err != nil {
		return err
	}
	a := asked{Execution: execution, Asked: wish, Reason: *reason, State: s.State, Weight: s.Weight, Effect: effect(s, wish)}
	if c.json {
		return c.printJSON(a)
	}
	c.printf("%s\n", strings.TrimSuffix(fmt.Sprintf("%s: asked to %s at %d %% (state %s): %s", s.Name, wish, s.Weight, s.State, a.Effect), ": "))
	return nil
}

// asked is a wish that was brought to a rollout, and what the rollout was doing then.
type asked struct {
	Execution string         `json:"execution"`
	Asked     string         `json:"asked"`
	Reason    string         `json:"reason,omitempty"`
	State     string         `json:"state"`
	Weight    rollout.Weight `json:"weight"`
	// Effect is what the wish does there; empty where the step is not known.
	Effect string `json:"effect"`
}

// within is how long a wish waits for a state that listens.
func within(wish string) time.Duration {
	if wish == "abort" {
		return abortWithin
	}
	return tokenWithin
}

// say brings the wish to the rollout, and gives what it was doing then. A token that was answered, or whose time ran out,
// between the look and the answer is no token: the next state that waits has another.
func (c client) say(ctx context.Context, execution, wish, reason string, deadline time.Time) (*story.Story, error) {
	s, err := c.listening(ctx, execution, deadline)
	if err != nil {
		return nil, err
	}
	if !s.Running() {
		return nil, exit{exitError, fmt.Sprintf("%s has ended already: %s", s.Name, s.Outcome)}
	}
	if s.Token != "" {
		name, cause := string(fault.Asked), request(wish, reason, c.clock.Now())
		if wish == "abort" {
			name, cause = string(fault.Aborted), reason
		}
		_, err = c.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
			TaskToken: aws.String(s.Token), Error: aws.String(name), Cause: aws.String(cause),
		})
		switch {
		case err == nil:
			return s, nil
		case !spent(err):
			return nil, fmt.Errorf("%s %s: %w", wish, s.Name, err)
		case c.clock.Now().Before(deadline):
			if err := c.clock.Sleep(ctx, betweenLooks); err != nil {
				return nil, err
			}
			return c.say(ctx, execution, wish, reason, deadline)
		}
	}
	if wish != "abort" {
		return nil, exit{exitHeld, fmt.Sprintf("%s is in state %s, which does not listen; try again in a moment", s.Name, s.State)}
	}
	_, err = c.StopExecution(ctx, &sfn.StopExecutionInput{
		ExecutionArn: aws.String(execution), Error: aws.String(string(fault.Aborted)), Cause: aws.String(reason),
	})
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", wish, s.Name, err)
	}
	return s, nil
}

// spent tells whether a token was answered before, or its time is over.
func spent(err error) bool {
	var timedOut *types.TaskTimedOut
	var gone *types.TaskDoesNotExist
	return errors.As(err, &timedOut) || errors.As(err, &gone)
}

// effect says what a wish does to a rollout whose step is watched; nothing where the step is
// not known.
func effect(s *story.Story, wish string) string {
	if s.Rollout == nil || s.Step >= len(s.Rollout.Plan.Steps) || s.State != "HealthCheck" && s.State != "Hold" {
		return ""
	}
	w := look(s)
	paused := w != nil && !w.Paused.IsZero()
	last := s.Step == len(s.Rollout.Plan.Steps)-1
	switch rollout.Wish(wish) {
	case rollout.WishPause:
		if paused {
			return "it was paused; its limit of " + brief(time.Duration(s.Rollout.Plan.PauseLimit)) + " begins anew"
		}
		return "it stays for at most " + brief(time.Duration(s.Rollout.Plan.PauseLimit))
	case rollout.WishPromote:
		if last && w != nil && w.Needs == rollout.NeedVerdict {
			return "what could not be told is decided; its gates are still asked"
		}
		if last {
			return "it is at its last step already; the bake is still judged"
		}
	case rollout.WishResume:
		switch {
		case paused:
			return "the pause ends"
		case w != nil && w.Needs == rollout.NeedGate:
			return "the gate is passed over"
		case w != nil && w.Needs == rollout.NeedVerdict:
			return "that is no verdict; say promote or abort"
		case s.Rollout.Plan.Steps[s.Step].Approve:
			return "this step is approved; its verdict still decides"
		}
		return "nothing is paused or waits for approval, so it changes nothing"
	}
	return ""
}

func request(wish, reason string, now time.Time) string {
	b, _ := json.Marshal(step.Request{ // three strings
		ID: now.UTC().Format(time.RFC3339Nano), Wish: rollout.Wish(wish), Reason: reason,
	})
	return string(b)
}

// listening reads the story until a state waits for a token, the rollout is over, or the
// deadline has come.
func (c client) listening(ctx context.Context, execution string, deadline time.Time) (*story.Story, error) {
	for {
		s, err := c.story(ctx, execution)
		if err != nil || s.Token != "" || !s.Running() || c.clock.Now().After(deadline) {
			return s, err
		}
		if err := c.clock.Sleep(ctx, betweenLooks); err != nil {
			return nil, err
		}
	}
}

// retry starts the rollout of an execution that has ended once more, as a new execution with the
// same input: reality is read anew.
func retry(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("retry", flag.ContinueOnError)
	follow := f.Bool("watch", false, "follow the rollout to its end")
	c.outputFlag(f)
	api, execution, err := pick(ctx, c, f, args, false)
	if err != nil {
		return err
	}
	d, err := api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
	if err != nil {
		return fmt.Errorf("describe %s: %w", execution, known(err))
	}
	if d.Status == "RUNNING" {
		return exit{exitRefused, fmt.Sprintf("%s is still running", aws.ToString(d.Name))}
	}
	var in struct {
		Service string `json:"microservice_name"`
		Image   string `json:"container_image"`
	}
	if err := json.Unmarshal([]byte(aws.ToString(d.Input)), &in); err != nil {
		return fmt.Errorf("read input of %s: %w", aws.ToString(d.Name), err)
	}
	if !c.json {
		c.printf("again %s, with image %s\n", aws.ToString(d.Name), in.Image)
	}
	return api.start(ctx, c, in.Service, aws.ToString(d.Input), *follow)
}
