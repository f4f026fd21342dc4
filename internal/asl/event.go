package asl

import (
	"encoding/json"
	"strings"
	"time"
)

// A HistoryEvent is one line of an execution's history. As JSON it has the
// shape of GetExecutionHistory, with payloads as strings of JSON.
type HistoryEvent struct {
	ID       int64
	Previous int64 // the event before it in the same branch; 0 for the first two
	Type     string
	Time     time.Time
	Details  Details
}

// Details are what an event says besides its type. Which fields are used, and
// how they are called as a group, depends on the type. Nil pointers are absent.
type Details struct {
	Name         string   `json:"name,omitempty"`
	Index        *int     `json:"index,omitempty"`
	Length       *int     `json:"length,omitempty"`
	ResourceType string   `json:"resourceType,omitempty"`
	Resource     string   `json:"resource,omitempty"`
	Region       string   `json:"region,omitempty"`
	Parameters   string   `json:"parameters,omitempty"`
	Timeout      *int64   `json:"timeoutInSeconds,omitempty"`
	Heartbeat    *int64   `json:"heartbeatInSeconds,omitempty"`
	Input        *string  `json:"input,omitempty"`
	InputInfo    *payload `json:"inputDetails,omitempty"`
	Output       *string  `json:"output,omitempty"`
	OutputInfo   *payload `json:"outputDetails,omitempty"`
	RoleARN      string   `json:"roleArn,omitempty"`
	RedriveCount *int     `json:"redriveCount,omitempty"`
	Error        *string  `json:"error,omitempty"`
	Cause        *string  `json:"cause,omitempty"`
}

// size is roughly how many bytes an event with these details takes.
func (d *Details) size() int {
	n := 200 + len(d.Parameters)
	for _, s := range []*string{d.Input, d.Output, d.Cause} {
		if s != nil {
			n += len(*s)
		}
	}
	return n
}

// payload says that a payload is whole, which it always is here.
type payload struct {
	Truncated bool `json:"truncated"`
}

// withoutDetails are the event types that never have any.
var withoutDetails = map[string]bool{
	"LambdaFunctionStarted":  true,
	"ParallelStateStarted":   true,
	"ParallelStateSucceeded": true,
	"ParallelStateFailed":    true,
	"ParallelStateAborted":   true,
	"MapStateSucceeded":      true,
	"MapStateFailed":         true,
	"MapStateAborted":        true,
	"TaskStateAborted":       true,
	"WaitStateAborted":       true,
}

// key is the name of the details' group in the API.
func (e *HistoryEvent) key() string {
	switch {
	case withoutDetails[e.Type]:
		return ""
	case strings.HasSuffix(e.Type, "StateEntered"):
		return "stateEnteredEventDetails"
	case strings.HasSuffix(e.Type, "StateExited"):
		return "stateExitedEventDetails"
	}
	return strings.ToLower(e.Type[:1]) + e.Type[1:] + "EventDetails"
}

// wireEvent is the part that all events share.
type wireEvent struct {
	Timestamp float64 `json:"timestamp"`
	Type      string  `json:"type"`
	ID        int64   `json:"id"`
	Previous  int64   `json:"previousEventId"`
}

// MarshalJSON writes the API's shape. Times are seconds since 1970.
func (e HistoryEvent) MarshalJSON() ([]byte, error) {
	head := marshal(wireEvent{Timestamp: Seconds(e.Time), Type: e.Type, ID: e.ID, Previous: e.Previous})
	key := e.key()
	if key == "" {
		return head, nil
	}
	out := append(head[:len(head)-1], `,"`+key+`":`...)
	out = append(out, marshal(e.Details)...)
	return append(out, '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *HistoryEvent) UnmarshalJSON(data []byte) error {
	var w wireEvent
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	*e = HistoryEvent{ID: w.ID, Previous: w.Previous, Type: w.Type, Time: fromSeconds(w.Timestamp)}
	key := e.key()
	if e.Type == "" || key == "" {
		return nil
	}
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(data, &groups); err != nil {
		return err
	}
	if groups[key] == nil {
		return nil
	}
	return json.Unmarshal(groups[key], &e.Details)
}

// WithoutData is the event without inputs and outputs, as the API gives it when
// the caller does not want execution data.
func (e HistoryEvent) WithoutData() HistoryEvent {
	d := &e.Details
	d.Input, d.InputInfo, d.Output, d.OutputInfo, d.Parameters = nil, nil, nil, nil, ""
	return e
}

// Seconds is t as the API writes times: seconds since 1970, to the millisecond.
func Seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func fromSeconds(s float64) time.Time { return time.UnixMilli(int64(s*1000 + 0.5)).UTC() }

// marshal writes a struct of this file as encode writes values.
func marshal(v any) []byte { return []byte(encode(v)) }
