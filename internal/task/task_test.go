package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
)

// TestMain keeps the log out of the output, and fails where a goroutine is left.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

const anEvent = `{"execution": "arn:x", "state": "Hold", "token": "key"}`

// failing is a function whose step ends with this error.
func failing(err error) task.Func { return task.Handler(ending(err)) }

// ending is a step that ends with this error.
func ending(err error) func(context.Context, step.Event) (step.Ready, error) {
	return func(context.Context, step.Event) (step.Ready, error) { return step.Ready{}, err }
}

func TestAnErrorHasTheNameThatTheMachineMatches(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"a refusal":                      {fmt.Errorf("start: %w: frozen", fault.Refused), fault.Refused},
		"a conflict below other words":   {fmt.Errorf("take: %w", fmt.Errorf("write: %w", fault.Conflict)), fault.Conflict},
		"a kind beside the error itself": {fmt.Errorf("read: %w: %w", fault.Transient, errors.New("EOF")), fault.Transient},
		"an abort":                       {fault.Aborted, fault.Aborted},
		"an error of nobody's kind":      {errors.New("what"), fault.Internal},
		"a context that ended":           {context.DeadlineExceeded, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := failing(tt.err)(t.Context(), json.RawMessage(anEvent))
			var named messages.InvokeResponse_Error
			if !errors.As(err, &named) {
				t.Fatalf("error %T; Lambda takes the name from messages.InvokeResponse_Error alone", err)
			}
			if named.Type != string(tt.want) || named.Message != tt.err.Error() {
				t.Errorf("name %q, message %q; want %q, %q", named.Type, named.Message, tt.want, tt.err)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	bridge := func(status, more string) string {
		return `{"source": "aws.states", "detail-type": "Step Functions Execution Status Change",
			"detail": {"executionArn": "arn:x", "status": "` + status + `", "input": "{\"microservice_name\": \"checkout\"}"` + more + `}}`
	}
	input := json.RawMessage(`{"microservice_name": "checkout"}`)
	for name, tt := range map[string]struct {
		in   string
		want step.Event
		err  string
	}{
		"of a Task": {in: anEvent, want: step.Event{Execution: "arn:x", State: "Hold", Token: "key"}},
		"with the measurements of a look, which no step reads": {
			in:   `{"execution": "arn:x", "document": {"shift": {"step": 1}, "watch": {"of": 1, "intervals": [{"f": 1, "t": 2, "c": [3, 0], "s": null, "w": 5}], "looks": 2}}}`,
			want: step.Event{Execution: "arn:x", Document: step.Document{Shift: &step.Shift{Step: 1}, Watch: &step.Watch{Of: 1, Looks: 2}}},
		},
		"without its execution": {in: `{"state": "Hold"}`, err: "execution is missing"},
		"no JSON":               {in: `nonsense`, err: "read event"},
		"a list":                {in: `[]`, err: "read event"},
		"of EventBridge, stopped": {in: bridge("ABORTED", ""), want: step.Event{
			Execution: "arn:x", State: step.Ended, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Aborted", Cause: "the execution ended ABORTED"}},
		}},
		"of EventBridge, failed": {in: bridge("FAILED", `, "error": "States.Runtime", "cause": "no such path"`), want: step.Event{
			Execution: "arn:x", State: step.Ended, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "States.Runtime", Cause: "no such path"}},
		}},
		"of EventBridge, refused": {in: bridge("FAILED", `, "error": "Canary.Invalid", "cause": "no such field"`), want: step.Event{
			Execution: "arn:x", State: step.Refused, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Invalid", Cause: "no such field"}},
		}},
		"of EventBridge, not now": {in: bridge("FAILED", `, "error": "Canary.Refused", "cause": "frozen"`), want: step.Event{
			Execution: "arn:x", State: step.Refused, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Refused", Cause: "frozen"}},
		}},
		"of EventBridge, stopped with the word of a refusal": {in: bridge("ABORTED", `, "error": "Canary.Refused", "cause": "odd"`), want: step.Event{
			Execution: "arn:x", State: step.Ended, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Refused", Cause: "odd"}},
		}},
		"of EventBridge, error null": {in: bridge("TIMED_OUT", `, "error": null, "cause": null`), want: step.Event{
			Execution: "arn:x", State: step.Ended, Input: input,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Aborted", Cause: "the execution ended TIMED_OUT"}},
		}},
		"of EventBridge, without input": {in: `{"detail-type": "x", "detail": {"executionArn": "arn:x", "status": "FAILED"}}`, want: step.Event{
			Execution: "arn:x", State: step.Ended,
			Document: step.Document{Error: &step.Failure{Error: "Canary.Aborted", Cause: "the execution ended FAILED"}},
		}},
		"of EventBridge, about nothing": {in: `{"detail-type": "x", "detail": {}}`, err: "detail.executionArn is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			var got step.Event
			_, err := task.Handler(func(_ context.Context, ev step.Event) (step.Ready, error) {
				got = ev
				return step.Ready{}, nil
			})(t.Context(), json.RawMessage(tt.in))
			if tt.err != "" {
				var named messages.InvokeResponse_Error
				if !errors.As(err, &named) || named.Type != string(fault.Invalid) || !strings.Contains(named.Message, tt.err) {
					t.Errorf("error %v, want %s with %q", err, fault.Invalid, tt.err)
				}
				return
			}
			if d := cmp.Diff(tt.want, got); err != nil || d != "" {
				t.Errorf("error %v, event -want +got\n%s", err, d)
			}
		})
	}
}

// answers takes answers, or refuses them.
type answers struct {
	token, output string
	err           error
}

func (a *answers) Answer(_ context.Context, token string, output json.RawMessage) error {
	a.token, a.output = token, string(output)
	return a.err
}

func TestAFunctionAnswersItsOwnToken(t *testing.T) {
	for name, tt := range map[string]struct {
		step     error
		in       string
		err      error
		want     fault.Kind // empty: no error
		answered bool
	}{
		"with what it would return":     {in: anEvent, answered: true},
		"that somebody answered before": {in: anEvent, err: task.ErrAnswered, answered: true},
		"that cannot be answered now":   {in: anEvent, err: fmt.Errorf("send: %w", fault.Transient), want: fault.Transient, answered: true},
		"not when its step failed":      {step: fault.Conflict, in: anEvent, want: fault.Conflict},
		"not without a token":           {in: `{"execution": "arn:x"}`, want: fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answers{err: tt.err}
			out, err := task.Answering(ending(tt.step), a)(t.Context(), json.RawMessage(tt.in))
			if tt.want == "" && (err != nil || string(out) != "{}") {
				t.Errorf("= %s, %v; want {}", out, err)
			}
			var named messages.InvokeResponse_Error
			if tt.want != "" && (!errors.As(err, &named) || named.Type != string(tt.want)) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "key") {
				t.Errorf("the token is in the error: %v", err)
			}
			if tt.answered != (a.token == "key") || tt.answered && !json.Valid([]byte(a.output)) {
				t.Errorf("answered %q with %s", a.token, a.output)
			}
		})
	}
}
