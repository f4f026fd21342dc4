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
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/task"
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

// pause is between two looks at a rollout that does not wait just now: it is between two
// states that do, for seconds.
const pause = 500 * time.Millisecond

// within is how long a rollout is waited for, less than the function may run: its error is
// to reach Lambda, which then calls again.
const within = 45 * time.Second

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
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	aborted, err := a.all(ctx, ev.Detail.Alarm, ev.Detail.State.Reason)
	slog.InfoContext(ctx, "alarm", "alarm", ev.Detail.Alarm, "aborted", aborted)
	if err != nil {
		return nil, fmt.Errorf("abort on alarm %s: %w", ev.Detail.Alarm, err)
	}
	return json.Marshal(map[string][]string{"aborted": aborted})
}

// all aborts every running rollout that names the alarm. One that cannot be aborted does not
// keep the others from it.
func (a Abort) all(ctx context.Context, alarm, why string) ([]string, error) {
	running, err := a.Rollouts.Running(ctx, a.Machine)
	if err != nil {
		return nil, err
	}
	aborted, failed := []string{}, error(nil)
	for _, execution := range running {
		named, err := a.names(ctx, execution, alarm)
		if err == nil && named {
			var did bool
			did, err = a.one(ctx, execution, fmt.Sprintf("alarm %s: %s", alarm, why))
			if did {
				aborted = append(aborted, execution)
			}
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", execution, err))
		}
	}
	return aborted, failed
}

// names tells whether the rollout's deploy.json names the alarm. The document was checked when the
// rollout began; here one field is read.
func (a Abort) names(ctx context.Context, execution, alarm string) (bool, error) {
	input, err := a.Rollouts.Input(ctx, execution)
	if err != nil {
		return false, err
	}
	var doc struct {
		Alarms []string `json:"alarms"`
	}
	if json.Unmarshal(input, &doc) != nil {
		return false, nil // no deploy.json: its rollout is about to be refused
	}
	return slices.Contains(doc.Alarms, alarm), nil
}

// one aborts a rollout at the next state that listens.
func (a Abort) one(ctx context.Context, execution, reason string) (bool, error) {
	for {
		state, token, err := a.Rollouts.Waiting(ctx, execution)
		if err != nil {
			return false, err
		}
		switch {
		case state == "", state == "Promote", state == "Rollback":
			return false, nil // over, or past the point where an abort would change its end
		case token != "":
			err := a.Rollouts.Abort(ctx, token, reason)
			if err == nil {
				return true, nil
			}
			if !errors.Is(err, task.ErrAnswered) {
				return false, err
			}
		}
		if err := a.Clock.Sleep(ctx, pause); err != nil {
			return false, fmt.Errorf("%w: it is in state %s, which does not listen: %w", fault.Transient, state, err)
		}
	}
}
