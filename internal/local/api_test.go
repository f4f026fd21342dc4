package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/local"
)

// serve offers an engine with function f on loopback, by the real clock.
func serve(t *testing.T, o local.Options) (*local.Engine, string) {
	t.Helper()
	e, err := local.New(o)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	s := httptest.NewServer(local.API(e))
	t.Cleanup(func() {
		s.Close()
		if err := e.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return e, s.URL
}

func client(url string) *sfn.Client {
	return sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

const holdForever = `{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
	"Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}},"HeartbeatSeconds":600,"End":true}}}`

// tokens is a function that gives away the tokens it gets.
func tokens() (map[string]local.Handler, <-chan string) {
	c := make(chan string, 10)
	return map[string]local.Handler{"f": func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
		var p struct{ Token string }
		err := json.Unmarshal(in, &p)
		c <- p.Token
		return json.RawMessage(`"sent"`), err
	}}, c
}

// TestSDKDrivesTheEngine goes through the whole API with the client that AWS
// gives to Go programs.
func TestSDKDrivesTheEngine(t *testing.T) {
	handlers, tokens := tokens()
	e, url := serve(t, local.Options{Handlers: handlers})
	c, ctx := client(url), t.Context()

	valid, err := c.ValidateStateMachineDefinition(ctx, &sfn.ValidateStateMachineDefinitionInput{Definition: aws.String(`{"StartAt":"X","States":{}}`)})
	if err != nil || valid.Result != types.ValidateStateMachineDefinitionResultCodeFail || len(valid.Diagnostics) == 0 {
		t.Errorf("ValidateStateMachineDefinition() = %+v, %v; want FAIL", valid, err)
	}
	made, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: aws.String("roll"), Definition: aws.String(holdForever), RoleArn: aws.String("arn:aws:iam::000000000000:role/r")})
	if err != nil {
		t.Fatalf("CreateStateMachine() = %v", err)
	}
	machine := made.StateMachineArn
	started, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String("one"), Input: aws.String(`{"a": 1}`)})
	if err != nil {
		t.Fatalf("StartExecution() = %v", err)
	}
	again, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String("one"), Input: aws.String(`{"a": 1}`)})
	if err != nil || *again.ExecutionArn != *started.ExecutionArn || !again.StartDate.Equal(*started.StartDate) {
		t.Errorf("StartExecution() again = %+v, %v; want the same execution", again, err)
	}
	_, err = c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String("one"), Input: aws.String(`{"a": 2}`)})
	var exists *types.ExecutionAlreadyExists
	if !errors.As(err, &exists) {
		t.Errorf("StartExecution() with another input = %v; want ExecutionAlreadyExists", err)
	}

	token := <-tokens
	submitted(t, c, started.ExecutionArn)
	if _, err := c.SendTaskHeartbeat(ctx, &sfn.SendTaskHeartbeatInput{TaskToken: &token}); err != nil {
		t.Errorf("SendTaskHeartbeat() = %v", err)
	}
	var invalid *types.InvalidToken
	if _, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: aws.String("guess"), Output: aws.String("1")}); !errors.As(err, &invalid) {
		t.Errorf("SendTaskSuccess() of a guess = %v; want InvalidToken", err)
	}
	if _, err := c.SendTaskSuccess(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(`{"ok":true}`)}); err != nil {
		t.Errorf("SendTaskSuccess() = %v", err)
	}
	if err := e.Wait(ctx, *started.ExecutionArn); err != nil {
		t.Fatalf("Wait() = %v", err)
	}
	d, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: started.ExecutionArn})
	if err != nil || d.Status != types.ExecutionStatusSucceeded || *d.Output != `{"ok":true}` || *d.Input != `{"a": 1}` || d.StopDate == nil {
		t.Errorf("DescribeExecution() = %+v, %v", d, err)
	}
	checkHistory(t, c, started.ExecutionArn)

	two := failRedriveStop(t, c, machine, tokens)
	checkMachines(t, c, machine, two)
}

// submitted returns when the function that waits with a token has returned: a token that is answered
// before leaves no TaskSubmitted in the history.
func submitted(t *testing.T, c *sfn.Client, arn *string) {
	t.Helper()
	for range 5000 {
		h, err := c.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: arn, ReverseOrder: true, MaxResults: 1})
		if err != nil {
			t.Fatalf("GetExecutionHistory() = %v", err)
		}
		if h.Events[0].Type == types.HistoryEventTypeTaskSubmitted {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the function does not return")
}

// failRedriveStop has an execution fail, redrives it and stops it.
func failRedriveStop(t *testing.T, c *sfn.Client, machine *string, tokens <-chan string) *string {
	t.Helper()
	ctx := t.Context()
	two, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: machine, Name: aws.String("two")})
	if err != nil {
		t.Fatalf("StartExecution() = %v", err)
	}
	if _, err := c.SendTaskFailure(ctx, &sfn.SendTaskFailureInput{TaskToken: aws.String(<-tokens), Error: aws.String("E"), Cause: aws.String("c")}); err != nil {
		t.Errorf("SendTaskFailure() = %v", err)
	}
	d, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: two.ExecutionArn})
	if err != nil || d.Status != types.ExecutionStatusFailed || *d.Error != "E" || *d.Cause != "c" || d.RedriveStatus != types.ExecutionRedriveStatusRedrivable {
		t.Errorf("DescribeExecution() = %+v, %v", d, err)
	}
	if _, err := c.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: two.ExecutionArn}); err != nil {
		t.Errorf("RedriveExecution() = %v", err)
	}
	<-tokens
	if _, err := c.StopExecution(ctx, &sfn.StopExecutionInput{ExecutionArn: two.ExecutionArn, Error: aws.String("Operator")}); err != nil {
		t.Errorf("StopExecution() = %v", err)
	}
	list, err := c.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: machine, StatusFilter: types.ExecutionStatusAborted})
	if err != nil || len(list.Executions) != 1 || *list.Executions[0].ExecutionArn != *two.ExecutionArn || *list.Executions[0].RedriveCount != 1 {
		t.Errorf("ListExecutions() = %+v, %v; want the second", list, err)
	}
	return two.ExecutionArn
}

// checkHistory reads an execution's history forwards, backwards and in pages.
func checkHistory(t *testing.T, c *sfn.Client, arn *string) {
	t.Helper()
	h, err := c.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: arn})
	if err != nil {
		t.Fatalf("GetExecutionHistory() = %v", err)
	}
	var forwards []types.HistoryEventType
	for _, e := range h.Events {
		forwards = append(forwards, e.Type)
	}
	if got := h.Events[0]; got.ExecutionStartedEventDetails == nil || *got.ExecutionStartedEventDetails.Input != `{"a": 1}` || time.Since(*got.Timestamp) > time.Minute {
		t.Errorf("first event = %+v; want ExecutionStarted with the input as it was given, now", got)
	}
	var backwards []types.HistoryEventType
	pages := sfn.NewGetExecutionHistoryPaginator(c, &sfn.GetExecutionHistoryInput{ExecutionArn: arn, ReverseOrder: true, MaxResults: 3, IncludeExecutionData: aws.Bool(false)})
	for pages.HasMorePages() {
		p, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatalf("GetExecutionHistory() = %v", err)
		}
		for _, e := range p.Events {
			backwards = append([]types.HistoryEventType{e.Type}, backwards...)
			if e.ExecutionStartedEventDetails != nil && e.ExecutionStartedEventDetails.Input != nil {
				t.Error("the history holds data that nobody asked for")
			}
		}
	}
	if len(forwards) != 8 || len(backwards) != len(forwards) {
		t.Fatalf("forwards %v, backwards %v; want 8 each", forwards, backwards)
	}
	for i := range forwards {
		if forwards[i] != backwards[i] {
			t.Errorf("event %d is %s forwards and %s backwards", i+1, forwards[i], backwards[i])
		}
	}
}

// checkMachines changes and deletes a state machine; its executions keep the
// definition that they started with.
func checkMachines(t *testing.T, c *sfn.Client, machine, execution *string) {
	t.Helper()
	ctx := t.Context()
	const other = `{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}`
	if _, err := c.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: machine, Definition: aws.String(other)}); err != nil {
		t.Errorf("UpdateStateMachine() = %v", err)
	}
	now, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: machine})
	if err != nil || *now.Definition != other || now.Status != types.StateMachineStatusActive {
		t.Errorf("DescribeStateMachine() = %+v, %v", now, err)
	}
	then, err := c.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: execution})
	if err != nil || *then.Definition != holdForever {
		t.Errorf("DescribeStateMachineForExecution() = %+v, %v; want the first definition", then, err)
	}
	all, err := c.ListStateMachines(ctx, &sfn.ListStateMachinesInput{})
	if err != nil || len(all.StateMachines) != 1 {
		t.Errorf("ListStateMachines() = %+v, %v; want one", all, err)
	}
	if _, err := c.DeleteStateMachine(ctx, &sfn.DeleteStateMachineInput{StateMachineArn: machine}); err != nil {
		t.Errorf("DeleteStateMachine() = %v", err)
	}
	var gone *types.StateMachineDoesNotExist
	if _, err := c.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: machine}); !errors.As(err, &gone) {
		t.Errorf("DescribeStateMachine() = %v; want StateMachineDoesNotExist", err)
	}
}

func TestAPIRefuses(t *testing.T) {
	_, url := serve(t, local.Options{})
	for name, tt := range map[string]struct {
		change func(*http.Request)
		body   string
		status int
		says   string
	}{
		"nothing wrong":             {func(*http.Request) {}, `{}`, 200, "stateMachines"},
		"a Host that is not here":   {func(r *http.Request) { r.Host = "evil.example:80" }, `{}`, 403, "Host"},
		"a page of another site":    {func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, `{}`, 403, "Origin"},
		"a page without origin":     {func(r *http.Request) { r.Header.Set("Origin", "null") }, `{}`, 403, "Origin"},
		"a fetch across sites":      {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, `{}`, 403, "another site"},
		"GET":                       {func(r *http.Request) { r.Method = http.MethodGet }, ``, 404, "expected POST /"},
		"another path":              {func(r *http.Request) { r.URL.Path = "/x" }, `{}`, 404, "expected POST /"},
		"a form":                    {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, `{}`, 400, "Content-Type"},
		"an operation that is not":  {func(r *http.Request) { r.Header.Set("X-Amz-Target", "AWSStepFunctions.CreateActivity") }, `{}`, 400, "CreateActivity"},
		"no JSON":                   {func(*http.Request) {}, `{`, 400, "SerializationException"},
		"a parameter that is not":   {func(*http.Request) {}, `{"colour":1}`, 400, "colour"},
		"a parameter's other form":  {func(*http.Request) {}, `{"MaxResults":1}`, 400, `the parameter \"MaxResults\" is not supported`},
		"a parameter that is twice": {func(*http.Request) {}, `{"maxResults":1,"maxResults":2}`, 400, `the parameter \"maxResults\" is there twice`},
		"text after the request":    {func(*http.Request) {}, `{"maxResults":1} {}`, 400, "SerializationException"},
		"no object":                 {func(*http.Request) {}, `null`, 400, "an object is expected"},
		"no body":                   {func(*http.Request) {}, ``, 200, "stateMachines"},
		"space around the request":  {func(*http.Request) {}, " {}\n", 200, "stateMachines"},
		"a body without end":        {func(*http.Request) {}, `{"nextToken":"` + strings.Repeat("x", 9<<20) + `"}`, 413, "bytes"},
		"a page token of its own":   {func(*http.Request) {}, `{"nextToken":"abc"}`, 400, "InvalidToken"},
		"a page size out of bounds": {func(*http.Request) {}, `{"maxResults":1001}`, 400, "maxResults"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-amz-json-1.0")
			r.Header.Set("X-Amz-Target", "AWSStepFunctions.ListStateMachines")
			tt.change(r)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !bytes.Contains(body, []byte(tt.says)) {
				t.Errorf("answer %d %s, %v; want %d with %q", resp.StatusCode, body, err, tt.status, tt.says)
			}
		})
	}
}

func TestListenStaysOnLoopback(t *testing.T) {
	for address, ok := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, ":0": false, "0.0.0.0:0": false, "[::]:0": false, "192.0.2.1:0": false, "nonsense": false} {
		l, err := local.Listen(address)
		if err == nil {
			_ = l.Close()
		}
		if address == "[::1]:0" && err != nil && !strings.Contains(err.Error(), "is expected") {
			continue // a machine without IPv6
		}
		if (err == nil) != ok {
			t.Errorf("Listen(%q) = %v; want accepted %v", address, err, ok)
		}
	}
}
