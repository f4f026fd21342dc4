// Package stepfunctions is what the functions of a rollout need of AWS Step Functions, or of the
// local engine, which speaks the same API: to answer a token, and to look up another rollout.
package stepfunctions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/task"
)

// A Client answers tokens and looks up executions.
type Client struct {
	api *sfn.Client
}

// New makes a client of the API's.
func New(api *sfn.Client) *Client { return &Client{api: api} }

// Answer sends the success of a task. A token that is spent gives task.ErrAnswered.
func (c *Client) Answer(ctx context.Context, token string, output json.RawMessage) error {
	_, err := c.api.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{
		TaskToken: aws.String(token), Output: aws.String(string(output)),
	})
	var timedOut *types.TaskTimedOut
	var gone *types.TaskDoesNotExist
	if errors.As(err, &timedOut) || errors.As(err, &gone) {
		return task.ErrAnswered
	}
	if err != nil { // the SDK's text names the operation, never the token
		return fmt.Errorf("send task success: %w: %w", fault.Transient, err)
	}
	return nil
}

// consistency is how long a new execution may be unknown: DescribeExecution is eventually consistent.
const consistency = 2 * time.Second

// Ended tells whether the execution is over, or unknown. Who has begun a moment ago may be unknown too, and would lose its lock
// or be refused, so what is unknown is asked for twice.
func (c *Client) Ended(ctx context.Context, execution string) (bool, error) {
	for again := false; ; again = true {
		out, err := c.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
		var unknown *types.ExecutionDoesNotExist
		var malformed *types.InvalidArn
		switch {
		case errors.As(err, &malformed) || errors.As(err, &unknown) && again:
			return true, nil
		case errors.As(err, &unknown):
			err = clock.Real{}.Sleep(ctx, consistency)
		case err == nil:
			return out.Status != types.ExecutionStatusRunning && out.Status != types.ExecutionStatusPendingRedrive, nil
		}
		if err != nil {
			return false, fmt.Errorf("describe execution: %w: %w", fault.Transient, err)
		}
	}
}

// Input gives the execution's input.
func (c *Client) Input(ctx context.Context, execution string) (json.RawMessage, error) {
	out, err := c.api.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
	if err != nil {
		return nil, fmt.Errorf("describe execution: %w: %w", fault.Transient, err)
	}
	return json.RawMessage(aws.ToString(out.Input)), nil
}
