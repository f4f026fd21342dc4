// Package task is the edge between a step and whoever calls it: AWS Lambda or the
// local engine. An event comes in, the step runs, its error gets the name that the
// state machine matches, and one log line says what happened.
package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
)

// A Func is a function as Lambda and the local engine call it.
type Func func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// Handler makes a function out of a step.
func Handler[O any](run func(context.Context, step.Event) (O, error)) Func {
	return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		_, out, err := handle(ctx, run, input)
		return out, err
	}
}

// handle runs a step, and gives the event that it got and what it returns.
func handle[O any](ctx context.Context, run func(context.Context, step.Event) (O, error), input json.RawMessage) (step.Event, json.RawMessage, error) {
	ev, err := event(input)
	if err != nil {
		return ev, nil, named(fmt.Errorf("read event: %w: %w", fault.Invalid, err))
	}
	began := time.Now()
	out, err := run(ctx, ev)
	log(ctx, ev, time.Since(began), out, err)
	measure(metrics(), time.Now(), counted(ev, out, err))
	if err != nil {
		return ev, nil, named(err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		return ev, nil, named(fmt.Errorf("write answer: %w", err))
	}
	return ev, b, nil
}

// named gives an error the name that ErrorEquals matches. Lambda names an error by
// its outermost type, so this is the last thing done to it, and done here only.
func named(err error) error {
	return messages.InvokeResponse_Error{Type: string(fault.Of(err)), Message: err.Error()}
}

// An Answerer answers task tokens.
type Answerer interface {
	Answer(ctx context.Context, token string, output json.RawMessage) error
}

// ErrAnswered is an Answerer's error for a token that is answered or timed out already.
var ErrAnswered = errors.New("token was answered already")

// Answering makes a function out of a step that answers its own token with what it would
// return. A token that somebody answered first is left alone: the state machine has gone on.
func Answering[O any](run func(context.Context, step.Event) (O, error), a Answerer) Func {
	return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		ev, out, err := handle(ctx, run, input)
		if err != nil {
			return nil, err
		}
		if ev.Token == "" {
			return nil, named(fmt.Errorf("read event: %w: token is missing", fault.Invalid))
		}
		err = a.Answer(ctx, ev.Token, out)
		if err != nil && !errors.Is(err, ErrAnswered) {
			return nil, named(fmt.Errorf("answer token: %w", err))
		}
		return json.RawMessage(`{}`), nil
	}
}

// names says which service the run was for: as the rollout says that the document has, or that
// Prepare just decided; before there is one, as the three fields of deploy.json say. A value that
// looks like no name is left out: it may be anything.
func names(ev step.Event, out any) []slog.Attr {
	of := func(cluster, namespace, service string) (attrs []slog.Attr) {
		for _, a := range []slog.Attr{slog.String("cluster", cluster), slog.String("namespace", namespace), slog.String("service", service)} {
			if name.MatchString(a.Value.String()) {
				attrs = append(attrs, a)
			}
		}
		return attrs
	}
	ro := ev.Document.Rollout
	if decided, ok := out.(step.Rollout); ok && ro == nil && decided.Service.Name != "" {
		ro = &decided
	}
	if ro != nil {
		return of(ro.Cluster, ro.Service.Namespace, ro.Service.Name)
	}
	var in struct {
		Cluster   json.RawMessage `json:"cluster_name"`
		Namespace json.RawMessage `json:"kubernetes_namespace"`
		Service   json.RawMessage `json:"microservice_name"`
	}
	_ = json.Unmarshal(ev.Input, &in) // what cannot be read is said in the step's error
	return of(text(in.Cluster), text(in.Namespace), text(in.Service))
}

// name is the form of what Kubernetes and EKS take for a name.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// text is a JSON string's value; empty for all else, so that one wrong field hides no other.
func text(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// log writes one line for each run. What a step returns holds no secret; the event may, by a
// template's fault, so it is not logged.
func log(ctx context.Context, ev step.Event, took time.Duration, out any, err error) {
	attrs := []slog.Attr{
		slog.String("execution", ev.Execution), slog.String("state", ev.State),
		slog.Duration("took", took.Round(time.Millisecond)),
	}
	attrs = append(attrs, names(ev, out)...)
	if err != nil {
		attrs = append(attrs, slog.String("kind", string(fault.Of(err))), slog.String("error", err.Error()))
		if errors.Is(err, fault.Queued) {
			slog.LogAttrs(ctx, slog.LevelInfo, "task waits", attrs...)
			return
		}
		slog.LogAttrs(ctx, slog.LevelError, "task failed", attrs...)
		return
	}
	if s, ok := out.(interface{ Summary() string }); ok {
		attrs = append(attrs, slog.String("summary", s.Summary()))
	}
	slog.LogAttrs(ctx, slog.LevelInfo, "task done", attrs...)
}
