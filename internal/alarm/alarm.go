// Package alarm aborts the rollouts that name a CloudWatch alarm which went off.
//
// A team names alarms in deploy.json. EventBridge tells of every alarm of the account; which
// rollouts are meant is found here, so that nothing has to be wired for a new alarm.
package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
)

// Rollouts are the executions of one state machine.
type Rollouts interface {
	// Running gives the ARNs of those that run.
	Running(ctx context.Context, machine string) ([]string, error)
	// Input gives an execution's deploy.json.
	Input(ctx context.Context, execution string) (json.RawMessage, error)
	// Waiting gives the state that an execution is in, empty once it is over, and the token
	// on which it waits there, empty where it does not.
	Waiting(ctx context.Context, execution string) (state, token string, err error)
	// Abort answers a token; task.ErrAnswered where that was done before.
	Abort(ctx context.Context, token, reason string) error
}

// within is how long rollouts are waited for, less than the function may run: its error is
// to reach Lambda, which then calls again.
const within = 45 * time.Second

// atOnce is how many rollouts are looked at at the same time: some hundreds are through in seconds, and the
// API is asked little more often than it lets itself be.
const atOnce = 10

// An Abort brings alarms to rollouts.
type Abort struct {
	Rollouts Rollouts
	// Machine is the state machine's ARN.
	Machine string
	Clock   clock.Clock
}

// An event is EventBridge's "CloudWatch Alarm State Change", as far as it is needed.
type event struct {
	Detail struct {
		Alarm string `json:"alarmName"`
		State struct {
			Value  string `json:"value"`
			Reason string `json:"reason"`
		} `json:"state"`
	} `json:"detail"`
}

// Handle is the function. Its error makes Lambda call it again; a rollout that was aborted by then
// is found to be over.
func (a Abort) Handle(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
	var ev event
	if err := json.Unmarshal(input, &ev); err != nil {
		return nil, fmt.Errorf("read event: %w: %w", fault.Invalid, err)
	}
	if ev.Detail.Alarm == "" {
		return nil, fmt.Errorf("read event: %w: detail.alarmName is missing", fault.Invalid)
	}
	if ev.Detail.State.Value != "ALARM" {
		return json.RawMessage(`{"aborted":[]}`), nil
	}
	ends, err := a.all(ctx, ev.Detail.Alarm, ev.Detail.State.Reason)
	slog.InfoContext(ctx, "alarm", "alarm", ev.Detail.Alarm, "aborted", ends.Aborted, "preparing", ends.Preparing)
	if err != nil {
		return nil, fmt.Errorf("abort on alarm %s: %w", ev.Detail.Alarm, err)
	}
	return json.Marshal(ends)
}

// ends are the rollouts that name the alarm and ran when it went off.
type ends struct {
	Aborted []string `json:"aborted"`
	// Preparing are those that have not begun yet: they wait for their turn, and nobody is on their canary.
	Preparing []string `json:"preparing,omitempty"`
}

// all aborts every running rollout that names the alarm. Each is watched by itself, so that one that does not listen,
// or cannot be looked at, does not keep the others from it.
func (a Abort) all(ctx context.Context, alarm, why string) (ends, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	all := ends{Aborted: []string{}}
	running, err := a.Rollouts.Running(ctx, a.Machine)
	if err != nil {
		return all, err
	}
	watches, turns := make([]watch, len(running)), make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, execution := range running {
		watches[i] = watch{Abort: a, execution: execution, alarm: alarm, reason: fmt.Sprintf("alarm %s: %s", alarm, why), turns: turns}
		wg.Go(func() { watches[i].run(ctx) })
	}
	wg.Wait()
	for _, w := range watches {
		switch {
		case w.aborted:
			all.Aborted = append(all.Aborted, w.execution)
		case w.over:
		case w.state == "Prepare" && w.err == nil:
			all.Preparing = append(all.Preparing, w.execution)
		default:
			err = errors.Join(err, fmt.Errorf("%s: %w", w.execution, w.why()))
		}
	}
	return all, err
}
