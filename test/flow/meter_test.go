package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// stillRuns tells that every execution still runs.
type stillRuns struct{}

func (stillRuns) Ended(context.Context, string) (bool, error) { return false, nil }

func (stillRuns) Input(context.Context, string) (json.RawMessage, error) { return nil, fault.NotFound }

// A metrics source that cannot be opened is found before anything is changed, not when users are on
// the canary.
func TestASourceThatCannotBeOpenedIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	before := s.seen()
	ports := s.Ports()
	ports.Executions = stillRuns{}
	ports.Meter = func(context.Context, json.RawMessage) (metric.Meter, error) {
		return nil, fmt.Errorf("metrics.address: %w: none is set", fault.Invalid)
	}
	prepare := func(extra fields) error {
		event := fmt.Sprintf(`{"execution": "arn:another", "state": "Prepare", "started": "2026-01-02T03:04:05Z", "input": %s}`, input(extra))
		_, err := engine.Functions(ports)["Prepare"](t.Context(), json.RawMessage(event))
		return err
	}
	err := prepare(nil)
	var named messages.InvokeResponse_Error
	if !errors.As(err, &named) || named.Type != string(fault.Invalid) {
		t.Errorf("Prepare = %v; want %v, which the state machine refuses", err, fault.Invalid)
	}
	if diff := cmp.Diff(before, s.seen()); diff != "" {
		t.Errorf("something was changed (-before +after):\n%s", diff)
	}
	if err := prepare(fields{"strategy": "replace"}); err != nil {
		t.Errorf("what readiness alone judges needs no source: %v", err)
	}
}
