package task_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
)

// A desk answers tokens with an error of its own.
type desk struct {
	err     error
	answers []string
}

func (d *desk) Answer(_ context.Context, token string, output json.RawMessage) error {
	d.answers = append(d.answers, token+" "+string(output))
	return d.err
}

func ends(_ context.Context, ev step.Event) (step.End, error) {
	return step.End{Outcome: step.OutcomePromoted, Reason: ev.Execution}, nil
}

// A token that a person answered first is no error: the state machine has gone on.
func TestATokenIsAnsweredOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error
		input  string
		kind   fault.Kind
	}{
		"the first answer":          {nil, `{"execution":"e","token":"t"}`, ""},
		"somebody was first":        {fmt.Errorf("answer: %w", task.ErrAnswered), `{"execution":"e","token":"t"}`, ""},
		"the API is busy":           {fmt.Errorf("answer: %w", fault.Transient), `{"execution":"e","token":"t"}`, fault.Transient},
		"an event without a token":  {nil, `{"execution":"e"}`, fault.Invalid},
		"an event without its name": {nil, `{"token":"t"}`, fault.Invalid},
		"an event that is no JSON":  {nil, `]`, fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{err: tt.answer}
			_, err := task.Answering(task.Handler(ends), d)(t.Context(), json.RawMessage(tt.input))
			var named messages.InvokeResponse_Error
			if errors.As(err, &named); named.Type != string(tt.kind) {
				t.Errorf("error %v; want %q", err, tt.kind)
			}
			if want := tt.kind != fault.Invalid; (len(d.answers) == 1) != want {
				t.Errorf("answers %q; want one: %v", d.answers, want)
			}
		})
	}
}

// Every kind of error gets the name that the state machine's Catch matches, however deep it is.
func TestAnErrorIsNamedByItsKind(t *testing.T) {
	for _, kind := range []fault.Kind{fault.Invalid, fault.Refused, fault.Transient, fault.Fenced, fault.Internal} {
		fails := func(context.Context, step.Event) (step.End, error) {
			return step.End{}, fmt.Errorf("above: %w", fmt.Errorf("below: %w", kind))
		}
		_, err := task.Handler(fails)(t.Context(), json.RawMessage(`{"execution":"e"}`))
		var named messages.InvokeResponse_Error
		if !errors.As(err, &named) || named.Type != string(kind) {
			t.Errorf("error %#v; want the name %s", err, kind)
		}
	}
}

// The rule on ended executions speaks EventBridge's language.
func TestAnEndThatNoCatchSawIsAWayBack(t *testing.T) {
	var got step.Event
	f := task.Handler(func(_ context.Context, ev step.Event) (step.End, error) { got = ev; return step.End{}, nil })
	_, err := f(t.Context(), json.RawMessage(`{"source":"aws.states","detail-type":"Step Functions Execution Status Change",
		"detail":{"executionArn":"arn:x","status":"TIMED_OUT","input":"{\"cluster_name\":\"bed\"}"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Execution != "arn:x" || string(got.Input) != `{"cluster_name":"bed"}` || got.Document.Error == nil ||
		got.Document.Error.Cause != "the execution ended TIMED_OUT" {
		t.Errorf("event %+v", got)
	}
}

// What a deploy.json's author put into it, a password in the template too, and the key of a
// waiting task reach no log line.
func TestTheInputAndTheTokenAreNotLogged(t *testing.T) {
	var out bytes.Buffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(was)
	fails := func(context.Context, step.Event) (step.End, error) { return step.End{}, fault.Refused }
	input := json.RawMessage(`{"execution":"arn:x","state":"HealthCheck","token":"the-token","input":{"password":"hunter2"}}`)
	for _, f := range []task.Func{task.Handler(ends), task.Handler(fails), task.Answering(task.Handler(ends), &desk{})} {
		_, _ = f(t.Context(), input)
	}
	if s := out.String(); !strings.Contains(s, "arn:x") || strings.Contains(s, "hunter2") || strings.Contains(s, "the-token") {
		t.Errorf("log:\n%s\nwant the execution in it, and neither input nor token", s)
	}
}
