package task

import (
	"encoding/json"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
)

// An incoming is a Task's event, or an EventBridge event "Step Functions Execution Status Change",
// as far as the way back needs it. They share no field, so that one reading serves both.
type incoming struct {
	step.Event
	DetailType string `json:"detail-type"`
	Detail     struct {
		Execution string `json:"executionArn"`
		Status    string `json:"status"`
		Input     string `json:"input"`
		Error     string `json:"error"`
		Cause     string `json:"cause"`
	} `json:"detail"`
}

// event reads a Task's event, or makes one of the event by which EventBridge tells that an
// execution ended: FAILED, TIMED_OUT or ABORTED, for what no Catch can see.
func event(input json.RawMessage) (step.Event, error) {
	var in incoming
	if err := json.Unmarshal(input, &in); err != nil {
		return step.Event{}, err
	}
	if in.DetailType == "" {
		if in.Event.Execution == "" {
			return in.Event, fmt.Errorf("execution is missing")
		}
		return in.Event, nil
	}
	d := in.Detail
	if d.Execution == "" {
		return step.Event{}, fmt.Errorf("detail.executionArn is missing")
	}
	ev := step.Event{Execution: d.Execution, State: "Rollback"}
	if d.Input != "" {
		ev.Input = json.RawMessage(d.Input)
	}
	ev.Document.Error = &step.Failure{Error: d.Error, Cause: d.Cause}
	if d.Error == "" {
		ev.Document.Error = &step.Failure{Error: string(fault.Aborted), Cause: "the execution ended " + d.Status}
	}
	return ev, nil
}
