package local

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// operations are all that the API offers, by name.
var operations = map[string]func(*Engine, []byte) (any, error){
	"CreateStateMachine":               op(createStateMachine),
	"UpdateStateMachine":               op(updateStateMachine),
	"DescribeStateMachine":             op(describeStateMachine),
	"DescribeStateMachineForExecution": op(describeStateMachineForExecution),
	"ListStateMachines":                op(listStateMachines),
	"DeleteStateMachine":               op(deleteStateMachine),
	"ValidateStateMachineDefinition":   op(validateStateMachineDefinition),
	"StartExecution":                   op(startExecution),
	"StopExecution":                    op(stopExecution),
	"RedriveExecution":                 op(redriveExecution),
	"DescribeExecution":                op(describeExecution),
	"ListExecutions":                   op(listExecutions),
	"GetExecutionHistory":              op(getExecutionHistory),
	"SendTaskSuccess":                  op(sendTaskSuccess),
	"SendTaskFailure":                  op(sendTaskFailure),
	"SendTaskHeartbeat":                op(sendTaskHeartbeat),
}

// op decodes the request. A member that an operation does not know is an
// error: ignoring it would pretend to do what was asked.
func op[I any](f func(*Engine, I) (any, error)) func(*Engine, []byte) (any, error) {
	known := map[string]bool{}
	for field := range reflect.TypeFor[I]().Fields() {
		known[field.Tag.Get("json")] = true
	}
	return func(e *Engine, body []byte) (any, error) {
		var in I
		if len(bytes.TrimSpace(body)) == 0 {
			return f(e, in)
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, unreadable(err)
		}
		if err := exact(body, known); err != nil {
			return nil, err
		}
		return f(e, in)
	}
}

func unreadable(why any) error {
	return fault("SerializationException", "the request cannot be read: %v", why)
}

// exact refuses what encoding/json lets pass: a member that comes twice, or in other letters, of which the last one would
// count. The body is JSON.
func exact(body []byte, known map[string]bool) error {
	d := json.NewDecoder(bytes.NewReader(body))
	if begin, _ := d.Token(); begin != json.Delim('{') {
		return unreadable("an object is expected")
	}
	seen := map[string]bool{}
	for d.More() {
		t, _ := d.Token()
		name, _ := t.(string)
		switch {
		case !known[name]:
			return fault(ValidationException, "the parameter %q is not supported", name)
		case seen[name]:
			return unreadable(fmt.Sprintf("the parameter %q is there twice", name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return unreadable(err)
		}
	}
	return nil
}

// date is a time as the API writes it; none if zero.
func date(t time.Time) *float64 {
	if t.IsZero() {
		return nil
	}
	s := asl.Seconds(t)
	return &s
}

func required(name, value string) error {
	if value == "" {
		return fault(ValidationException, "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must not be null", name)
	}
	return nil
}

// pageSize reads maxResults: 0 is the default.
func pageSize(n int) (int, error) {
	switch {
	case n == 0:
		return 100, nil
	case n < 0 || n > 1000:
		return 0, fault(ValidationException, "1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must be between 0 and 1000", n)
	}
	return n, nil
}

// A page token says where the next page begins, and of which list.
type pageToken struct {
	List string
	At   int
}

func (p pageToken) encode() *string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // a string and a number are always JSON
	}
	s := base64.RawURLEncoding.EncodeToString(data)
	return &s
}

// pageAt reads where a page begins; the beginning for no token.
func pageAt(token, list string) (int, error) {
	if token == "" {
		return 0, nil
	}
	var p pageToken
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil || p.List != list || p.At < 0 {
		return 0, fault(InvalidToken, "Invalid Token: 'the nextToken is not one of this list'")
	}
	return p.At, nil
}
