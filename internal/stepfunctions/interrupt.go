package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/task"
)

// Running gives the ARNs of the state machine's running executions.
func (c *Client) Running(ctx context.Context, machine string) ([]string, error) {
	pages := sfn.NewListExecutionsPaginator(c.api, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(machine), StatusFilter: types.ExecutionStatusRunning,
	})
	var running []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list executions: %w: %w", fault.Transient, err)
		}
		for _, e := range page.Executions {
			running = append(running, aws.ToString(e.ExecutionArn))
		}
	}
	return running, nil
}

// Waiting gives the state that the execution is in, and the token on which it waits there; an empty
// token where it does not wait, an empty state where it is over.
func (c *Client) Waiting(ctx context.Context, execution string) (state, token string, err error) {
	// The newest events tell: few of them make a task.
	out, err := c.api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(execution), ReverseOrder: true, MaxResults: 20, IncludeExecutionData: aws.Bool(true),
	})
	if err != nil {
		return "", "", fmt.Errorf("get execution history: %w: %w", fault.Transient, err)
	}
	state = "Started"
	settled := false // a newer event said that no task waits
	for _, e := range out.Events {
		switch {
		case e.ExecutionSucceededEventDetails != nil, e.ExecutionFailedEventDetails != nil,
			e.Type == types.HistoryEventTypeExecutionAborted, e.Type == types.HistoryEventTypeExecutionTimedOut:
			return "", "", nil
		case e.TaskScheduledEventDetails != nil:
			p := payload(aws.ToString(e.TaskScheduledEventDetails.Parameters))
			if !settled {
				token = p.Token
			}
			settled = true
			if p.State != "" { // many tries push the event that entered the state out of sight
				state = p.State
			}
		case e.TaskSucceededEventDetails != nil, e.TaskFailedEventDetails != nil, e.TaskTimedOutEventDetails != nil:
			settled = true
		case e.StateExitedEventDetails != nil:
			return aws.ToString(e.StateExitedEventDetails.Name), "", nil
		case e.StateEnteredEventDetails != nil:
			return aws.ToString(e.StateEnteredEventDetails.Name), token, nil
		}
	}
	return state, token, nil
}

// A request is what a state tells its function, as far as it is needed.
type request struct{ State, Token string }

func payload(parameters string) request {
	var p struct{ Payload request }
	if json.Unmarshal([]byte(parameters), &p) != nil {
		return request{}
	}
	return p.Payload
}

// Abort answers a token with an order to go back. A token that is spent gives task.ErrAnswered.
func (c *Client) Abort(ctx context.Context, token, reason string) error {
	_, err := c.api.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{
		TaskToken: aws.String(token), Error: aws.String(string(fault.Aborted)), Cause: aws.String(reason),
	})
	var timedOut *types.TaskTimedOut
	var gone *types.TaskDoesNotExist
	if errors.As(err, &timedOut) || errors.As(err, &gone) {
		return task.ErrAnswered
	}
	if err != nil { // the SDK's text names the operation, never the token
		return fmt.Errorf("send task failure: %w: %w", fault.Transient, err)
	}
	return nil
}
