package stepfunctions_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
	"github.com/stepcanary/stepcanary/internal/task"
)

// Between is a plain task; Watch waits for its token.
const machine = `{
  "StartAt": "Between",
  "States": {
    "Between": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
      "Parameters": {"FunctionName": "between", "Payload": {}}, "Next": "Watch"},
    "Watch": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
      "Parameters": {"FunctionName": "watch", "Payload": {"token.$": "$$.Task.Token"}}, "End": true}
  }
}`

// newEngine gives a client of a local engine, and what lets Between end.
func newEngine(t *testing.T) (c *stepfunctions.Client, e *local.Engine, between chan struct{}) {
	t.Helper()
	between = make(chan struct{})
	e, err := local.New(local.Options{Handlers: map[string]local.Handler{
		"between": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
			select {
			case <-between:
			case <-ctx.Done():
			}
			return nil, nil
		},
		"watch": func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	server := httptest.NewServer(local.API(e))
	t.Cleanup(server.Close)
	api := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})
	return stepfunctions.New(api), e, between
}

func TestAnOrderToGoBackReachesTheStateThatWaits(t *testing.T) {
	ctx := t.Context()
	c, e, between := newEngine(t)
	m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: machine})
	if err != nil {
		t.Fatal(err)
	}
	execution, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Name: "one", Input: `{"alarms": []}`})
	if err != nil {
		t.Fatal(err)
	}
	running, err := c.Running(ctx, m.ARN)
	if err != nil || len(running) != 1 || running[0] != execution {
		t.Fatalf("Running = %v, %v; want %s", running, err, execution)
	}
	waitFor(t, c, execution, "Between", false)
	close(between)
	token := waitFor(t, c, execution, "Watch", true)
	if err := c.Abort(ctx, token, "alarm 5xx: 3 > 2"); err != nil {
		t.Fatal(err)
	}
	if err := c.Abort(ctx, token, "again"); !errors.Is(err, task.ErrAnswered) {
		t.Errorf("a second Abort: %v, want %v", err, task.ErrAnswered)
	}
	if err := e.Wait(ctx, execution); err != nil {
		t.Fatal(err)
	}
	d, err := e.Describe(execution)
	if err != nil || d.Status != asl.Failed || d.Error == nil || *d.Error != "Canary.Aborted" || *d.Cause != "alarm 5xx: 3 > 2" {
		t.Errorf("ended %+v, %v; want Canary.Aborted", d, err)
	}
	if state, token, err := c.Waiting(ctx, execution); state != "" || token != "" || err != nil {
		t.Errorf("Waiting = %q, %q, %v after the end", state, token, err)
	}
	if running, err := c.Running(ctx, m.ARN); err != nil || len(running) > 0 {
		t.Errorf("Running = %v, %v after the end", running, err)
	}
}

// waitFor looks until the execution is in the state, with or without a token.
func waitFor(t *testing.T, c *stepfunctions.Client, execution, state string, waits bool) string {
	t.Helper()
	var at, token string
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		var err error
		if at, token, err = c.Waiting(t.Context(), execution); err != nil {
			t.Fatal(err)
		}
		if at == state && (token != "") == waits {
			return token
		}
	}
	t.Fatalf("in %q with token %q, want %q and a token: %v", at, token, state, waits)
	return ""
}

// A rollout that waits for its turn is in Prepare for hours, and each try adds to its history: the event that says so is far back
// soon, and the rollout was in no state.
func TestARolloutIsInTheStateThatItsLongHistoryTellsOf(t *testing.T) {
	try := []string{
		`{"id": 4, "type": "TaskFailed", "taskFailedEventDetails": {"resource": "invoke", "resourceType": "lambda", "error": "Canary.Queued"}}`,
		`{"id": 3, "type": "TaskStarted", "taskStartedEventDetails": {"resource": "invoke", "resourceType": "lambda"}}`,
		`{"id": 2, "type": "TaskScheduled", "taskScheduledEventDetails": {"resource": "invoke", "resourceType": "lambda", "region": "r",
		  "parameters": "{\"FunctionName\":\"prepare\",\"Payload\":{\"state\":\"Prepare\",\"token\":\"t\"}}"}}`,
	}
	for name, tt := range map[string]struct {
		events       []string
		state, token string
	}{
		"between two tries": {events: slices.Repeat(try, 6), state: "Prepare"},
		"in one of them":    {events: slices.Repeat(try, 6)[1:], state: "Prepare", token: "t"},
		"before the first":  {events: []string{`{"id": 1, "type": "ExecutionStarted", "executionStartedEventDetails": {}}`}, state: "Started"},
	} {
		t.Run(name, func(t *testing.T) {
			c := stepfunctions.New(sfn.New(sfn.Options{
				Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"), HTTPClient: &says{`{"events": [` + strings.Join(tt.events, ",") + `]}`},
				Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
			}))
			if state, token, err := c.Waiting(t.Context(), "arn:x"); state != tt.state || token != tt.token || err != nil {
				t.Errorf("Waiting() = %q, %q, %v; want %q, %q", state, token, err, tt.state, tt.token)
			}
		})
	}
}
