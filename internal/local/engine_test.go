package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// A bench is an engine on a virtual clock.
type bench struct {
	*local.Engine
	t     *testing.T
	clock *clock.Virtual
}

func newBench(t *testing.T, o local.Options) *bench {
	t.Helper()
	v := clock.NewVirtual(start)
	o.Clock = v
	e, err := local.New(o)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return &bench{Engine: e, t: t, clock: v}
}

// machine creates a state machine from its states, the first named A.
func (b *bench) machine(name, states string) string {
	b.t.Helper()
	m, err := b.CreateMachine(local.MachineInput{Name: name, Definition: fmt.Sprintf(`{"StartAt":"A","States":{%s}}`, states)})
	if err != nil {
		b.t.Fatalf("CreateMachine() = %v", err)
	}
	return m.ARN
}

// begin starts an execution.
func (b *bench) begin(machine, input string) string {
	b.t.Helper()
	arn, _, err := b.Start(local.StartInput{MachineARN: machine, Input: input})
	if err != nil {
		b.t.Fatalf("Start() = %v", err)
	}
	return arn
}

// finish lets the clock run out and describes the execution.
func (b *bench) finish(arn string) local.Description {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	if err := b.Run(ctx); err != nil {
		b.t.Fatalf("Run() = %v", err)
	}
	d, err := b.Describe(arn)
	if err != nil {
		b.t.Fatalf("Describe() = %v", err)
	}
	return d
}

// types are the types of an execution's events.
func (b *bench) types(arn string) []string {
	b.t.Helper()
	events, err := b.History(arn, 0, 1000, false, true)
	if err != nil {
		b.t.Fatalf("History() = %v", err)
	}
	var out []string
	for _, e := range events {
		out = append(out, e.Type)
	}
	return out
}

func reply(answer string) local.Handler {
	return func(context.Context, json.RawMessage) (json.RawMessage, error) { return json.RawMessage(answer), nil }
}

const invoke = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"}`

const hold = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","TimeoutSecondsPath":"$.hold",
	"Parameters":{"FunctionName":"f","Payload":{"token.$":"$$.Task.Token"}}`

func TestThreeDaysOfWaitingTakeNoTime(t *testing.T) {
	b := newBench(t, local.Options{})
	began := time.Now()
	arn := b.begin(b.machine("wait", `"A":{"Type":"Wait","Seconds":259200,"End":true}`), `{"a":1}`)
	d := b.finish(arn)
	if d.Status != asl.Succeeded || d.Stopped.Sub(d.Started) != 72*time.Hour || d.Output != `{"a":1}` {
		t.Errorf("ended %s after %v with %s; want SUCCEEDED after 72h with the input", d.Status, d.Stopped.Sub(d.Started), d.Output)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v of real time", took)
	}
}

func TestTaskGetsItsPayloadAndInvocation(t *testing.T) {
	var got string
	var inv local.Invocation
	b := newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
		got = string(in)
		inv, _ = local.FromContext(ctx)
		return json.RawMessage(`{"weight":10}`), nil
	}}})
	arn := b.begin(b.machine("m", `"A":{`+invoke+`,"ResultSelector":{"w.$":"$.Payload.weight","code.$":"$.StatusCode"},"ResultPath":"$.shift","TimeoutSeconds":60,"End":true}`), `{"a":1}`)
	d := b.finish(arn)
	if got != `{"a":1}` {
		t.Errorf("the function got %s; want the payload", got)
	}
	if now := b.clock.Now(); !now.Equal(start) {
		t.Errorf("the clock went on to %v; want the timeout of a task that is over forgotten", now.Sub(start))
	}
	if want := `{"a":1,"shift":{"code":200,"w":10}}`; d.Output != want {
		t.Errorf("Output = %s; want %s", d.Output, want)
	}
	want := local.Invocation{ExecutionARN: arn, State: "A", Function: "f", Number: 1, Deadline: start.Add(time.Minute)}
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("Invocation (-want +got):\n%s", diff)
	}
}

type named struct{ error }

func (named) ErrorType() string { return "Canary.Transient" }

// lambdaError looks as aws-lambda-go's messages.InvokeResponse_Error does.
type lambdaError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func (e lambdaError) Error() string { return e.Message }

func TestErrorsOfFunctionsAreNamed(t *testing.T) {
	plain := errors.New("boom")
	for name, tt := range map[string]struct {
		handler      local.Handler
		kind, report string
	}{
		"by ErrorType":               {fails(named{plain}), "Canary.Transient", `{"errorMessage":"boom","errorType":"Canary.Transient"}`},
		"by ErrorType of a cause":    {fails(fmt.Errorf("shift: %w", named{plain})), "Canary.Transient", `{"errorMessage":"shift: boom","errorType":"Canary.Transient"}`},
		"by its JSON":                {fails(lambdaError{"bad", "Canary.Unhealthy"}), "Canary.Unhealthy", `{"errorMessage":"bad","errorType":"Canary.Unhealthy"}`},
		"by its Go type":             {fails(plain), "errorString", `{"errorMessage":"boom","errorType":"errorString"}`},
		"by its outermost type":      {fails(fmt.Errorf("shift: %w", plain)), "wrapError", `{"errorMessage":"shift: boom","errorType":"wrapError"}`},
		"a panic":                    {func(context.Context, json.RawMessage) (json.RawMessage, error) { panic("boom") }, "string", `{"errorMessage":"boom","errorType":"string"}`},
		"an answer that is not JSON": {reply("{"), "Lambda.Unknown", "the function's answer is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, local.Options{Handlers: map[string]local.Handler{"f": tt.handler}})
			d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"End":true}`), `{}`))
			if d.Status != asl.Failed || text(d.Error) != tt.kind || text(d.Cause) != tt.report {
				t.Errorf("ended %s with %s, %s; want FAILED with %s, %s", d.Status, text(d.Error), text(d.Cause), tt.kind, tt.report)
			}
		})
	}
}

func fails(err error) local.Handler {
	return func(context.Context, json.RawMessage) (json.RawMessage, error) { return nil, err }
}

func text(s *string) string {
	if s == nil {
		return "<absent>"
	}
	return *s
}

func TestUnknownFunctionIsNotFound(t *testing.T) {
	b := newBench(t, local.Options{})
	d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"End":true}`), `{}`))
	if text(d.Error) != "Lambda.ResourceNotFoundException" || !strings.HasPrefix(text(d.Cause), "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f") {
		t.Errorf("Error = %s, Cause = %s", text(d.Error), text(d.Cause))
	}
}

func TestRetryThenCatch(t *testing.T) {
	var at []time.Duration
	var b *bench
	b = newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
		at = append(at, b.clock.Now().Sub(start))
		return nil, named{errors.New("boom")}
	}}})
	arn := b.begin(b.machine("m", `"A":{`+invoke+`,
		"Retry":[{"ErrorEquals":["Canary.Transient"],"IntervalSeconds":2,"BackoffRate":3,"MaxAttempts":3,"MaxDelaySeconds":10}],
		"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.error","Next":"B"}],"End":true},
		"B":{"Type":"Pass","End":true}`), `{"a":1}`)
	d := b.finish(arn)
	if want := []time.Duration{0, 2 * time.Second, 8 * time.Second, 18 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("called at %v; want %v", at, want)
	}
	if d.Status != asl.Succeeded || !strings.Contains(d.Output, `"error":{"Cause":"{\"errorMessage\":\"boom\"`) || !strings.Contains(d.Output, `"a":1`) {
		t.Errorf("ended %s with %s; want SUCCEEDED with the input and the error", d.Status, d.Output)
	}
}

func TestTokenIsAnsweredFromOutsideInTheMiddleOfAHold(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(*local.Engine, string) error
		output string
		after  time.Duration
	}{
		"time runs out": {nil, `"went on"`, time.Hour},
		"success":       {func(e *local.Engine, tok string) error { return e.SendTaskSuccess(tok, `"approved"`) }, `"approved"`, 10 * time.Minute},
		"failure": {func(e *local.Engine, tok string) error {
			kind := "Canary.Aborted"
			return e.SendTaskFailure(tok, asl.Failure{Error: &kind})
		}, `{"Cause":null,"Error":"Canary.Aborted"}`, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			var token string
			b := newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
				var p struct{ Token string }
				err := json.Unmarshal(in, &p)
				token = p.Token
				return nil, err
			}}})
			arn := b.machine("m", `"A":{`+hold+`,"Catch":[{"ErrorEquals":["States.Timeout"],"Next":"B"},{"ErrorEquals":["Canary.Aborted"],"Next":"C"}],"End":true},
				"B":{"Type":"Pass","Result":"went on","End":true},"C":{"Type":"Pass","End":true}`)
			b.clock.Begin()
			x := b.begin(arn, `{"hold":3600}`)
			if tt.answer != nil {
				b.clock.AfterFunc(10*time.Minute, func() {
					if err := tt.answer(b.Engine, token); err != nil {
						t.Errorf("answer = %v", err)
					}
				})
			}
			b.clock.End()
			d := b.finish(x)
			if d.Output != tt.output || d.Stopped.Sub(d.Started) != tt.after {
				t.Errorf("ended with %s after %v; want %s after %v", d.Output, d.Stopped.Sub(d.Started), tt.output, tt.after)
			}
			err := b.SendTaskSuccess(token, `1`)
			var f *local.Fault
			if !errors.As(err, &f) || f.Kind != local.TaskTimedOut {
				t.Errorf("SendTaskSuccess() after the end = %v; want TaskTimedOut", err)
			}
		})
	}
}

func TestHandlerAnswersItsOwnTokenWhileItRuns(t *testing.T) {
	var b *bench
	b = newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		inv, _ := local.FromContext(ctx)
		if err := b.SendTaskSuccess(inv.Token, `"early"`); err != nil {
			return nil, err
		}
		if err := b.clock.Sleep(ctx, time.Minute); err != nil {
			return nil, err
		}
		return json.RawMessage(`"late"`), errors.New("nobody waits for this")
	}}})
	x := b.begin(b.machine("m", `"A":{`+hold+`,"End":true}`), `{"hold":3600}`)
	d := b.finish(x)
	if d.Output != `"early"` || d.Stopped != d.Started {
		t.Errorf("ended with %s after %v; want the answer, at once", d.Output, d.Stopped.Sub(d.Started))
	}
	want := []string{"ExecutionStarted", "TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited", "ExecutionSucceeded"}
	if diff := cmp.Diff(want, b.types(x)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestTimeoutEndsTheHandlersContext(t *testing.T) {
	var ended error
	var at time.Duration
	var b *bench
	b = newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		ended = b.clock.Sleep(ctx, time.Hour)
		at = b.clock.Now().Sub(start)
		return nil, ended
	}}})
	d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"TimeoutSeconds":30,"End":true}`), `{}`))
	if !errors.Is(ended, context.Canceled) || at != 30*time.Second {
		t.Errorf("the handler's sleep ended with %v at %v; want context canceled at 30s", ended, at)
	}
	if d.Status != asl.Failed || text(d.Error) != "States.Timeout" || d.Cause != nil {
		t.Errorf("ended %s with %s, %s; want FAILED with States.Timeout, no cause", d.Status, text(d.Error), text(d.Cause))
	}
}

func TestStopEndsAnExecutionAndItsCall(t *testing.T) {
	var ended error
	var b *bench
	b = newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		ended = b.clock.Sleep(ctx, time.Hour)
		return nil, ended
	}}})
	b.clock.Begin()
	x := b.begin(b.machine("m", `"A":{`+invoke+`,"End":true}`), `{}`)
	b.clock.AfterFunc(time.Minute, func() {
		kind, cause := "Operator", "enough"
		if _, err := b.Stop(x, asl.Failure{Error: &kind, Cause: &cause}); err != nil {
			t.Errorf("Stop() = %v", err)
		}
	})
	b.clock.End()
	d := b.finish(x)
	if d.Status != asl.Aborted || text(d.Error) != "Operator" || text(d.Cause) != "enough" || d.Stopped.Sub(d.Started) != time.Minute {
		t.Errorf("ended %s with %s, %s after %v", d.Status, text(d.Error), text(d.Cause), d.Stopped.Sub(d.Started))
	}
	if !errors.Is(ended, context.Canceled) {
		t.Errorf("the handler's sleep ended with %v; want context canceled", ended)
	}
}
