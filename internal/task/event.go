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
	Document   document `json:"document"`
	DetailType string   `json:"detail-type"`
	Detail     struct {
		Execution string `json:"executionArn"`
		Status    string `json:"status"`
		Input     string `json:"input"`
		Error     string `json:"error"`
		Cause     string `json:"cause"`
	} `json:"detail"`
}

// A document is step.Document without the measurements of the last look: they are for the report,
// no step goes on with them, and they can be most of it.
type document struct {
	step.Document
	Watch *struct {
		step.Watch
		Intervals unread `json:"intervals"`
	} `json:"watch"`
}

// An unread is any value, left alone.
type unread struct{}

func (unread) UnmarshalJSON([]byte) error { return nil }

// event reads a Task's event, or makes one of the event by which EventBridge tells that an
// execution ended: FAILED, TIMED_OUT or ABORTED, for what no Catch can see.
func event(input json.RawMessage) (step.Event, error) {
	var in incoming
	if err := json.Unmarshal(input, &in); err != nil {
		return step.Event{}, err
	}
	if in.DetailType == "" {
		ev := in.Event
		ev.Document = in.Document.Document
		if w := in.Document.Watch; w != nil {
			ev.Document.Watch = &w.Watch
		}
		if ev.Execution == "" {
			return ev, fmt.Errorf("execution is missing")
		}
		return ev, nil
	}
	d := in.Detail
	if d.Execution == "" {
		return step.Event{}, fmt.Errorf("detail.executionArn is missing")
	}
	ev := step.Event{Execution: d.Execution, State: step.Ended}
	if d.Input != "" {
		ev.Input = json.RawMessage(d.Input)
	}
	if kind := fault.Kind(d.Error); d.Status == "FAILED" && (kind == fault.Invalid || kind == fault.Refused) {
		ev.State = step.Refused
	}
	ev.Document.Error = &step.Failure{Error: d.Error, Cause: d.Cause}
	if d.Error == "" {
		ev.Document.Error = &step.Failure{Error: string(fault.Aborted), Cause: "the execution ended " + d.Status}
	}
	return ev, nil
}
