package asl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/witness"
)

// casesDir is the folder of executions recorded on AWS, which is not part of
// this project; it is given by the environment.
func casesDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ASL_CASES")
	if dir == "" {
		witness.Missing(t, "asl-cases", "ASL_CASES does not name the folder of executions recorded on AWS")
	}
	return dir
}

// readLines decodes a file of JSON lines.
func readLines[T any](t testing.TB, name string) []T {
	t.Helper()
	f, err := os.Open(filepath.Join(casesDir(t), name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var row T
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			t.Fatalf("%s line %d: %v", name, len(out)+1, err)
		}
		out = append(out, row)
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return out
}

// recorded is one execution as AWS ran it.
type recorded struct {
	ID         string
	Usable     bool
	Language   string `json:"query_language"`
	Workflow   string `json:"workflow_type"`
	Features   []string
	Definition json.RawMessage
	Input      json.RawMessage
	ClockStart time.Time `json:"clock_start"`
	Order      string
	Normalised bool `json:"events_normalised"`
	Mocks      []mock
	Literals   []string `json:"placeholder_literals"`
	Expect     struct {
		Status Status
		Output any
		Error  any
		Cause  any
		States []string `json:"states_entered"`
		Events []any
	}
	hasOutput bool
}

// mock is a task's answer.
type mock struct {
	State      string
	Input      any
	Parameters any
	Submitted  any `json:"submitted_output"`
	Outcome    struct {
		Type         string
		Output       any
		Error, Cause any
	}
	used bool
}

// UnmarshalJSON notes whether an output was recorded: null is one.
func (r *recorded) UnmarshalJSON(data []byte) error {
	type plain recorded
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode((*plain)(r)); err != nil {
		return err
	}
	var probe struct{ Expect map[string]json.RawMessage }
	if err := json.Unmarshal(data, &probe); err != nil {
		return err
	}
	_, r.hasOutput = probe.Expect["output"]
	return nil
}

// text is a payload as it stands in a history: the recording decoded objects.
func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return encode(v)
}

// payloadOf is a recorded payload as JSON: some strings lost their quotes.
func payloadOf(v any) string {
	if s := asText(v); json.Valid([]byte(s)) {
		return s
	}
	return encode(v)
}

// replay runs the recorded definition with the recorded answers.
func replay(t *testing.T, r *recorded, d *Definition) (*Execution, []HistoryEvent) {
	t.Helper()
	now := r.ClockStart
	tokens := 0
	env := func() Env {
		return Env{
			Now: now, Region: "us-east-1", Random: func() float64 { return 0.5 }, NewUUID: func() string { return "uuid" },
			NewToken: func() string { tokens++; return fmt.Sprintf("token-%d", tokens) },
		}
	}
	x := &Execution{
		ID: "arn:aws:states:us-east-1:111111111111:execution:machine:run", Name: "run", MachineName: "machine",
		MachineID: "arn:aws:states:us-east-1:111111111111:stateMachine:machine", RoleARN: "role", Input: string(r.Input), Started: now,
	}
	var history []HistoryEvent
	var calls []Call
	step := func(ev Event) {
		x = restarted(t, x)
		res, err := d.Step(x, ev, env())
		if err != nil {
			t.Fatalf("Step(%T) = %v", ev, err)
		}
		history = append(history, res.History...)
		calls = append(calls, res.Calls...)
	}
	step(Begun{})
	for range 10000 {
		if len(calls) > 0 {
			c := calls[0]
			calls = calls[1:]
			answer(t, r, x, c, step)
			continue
		}
		due, ok := x.Due()
		if !ok {
			return x, history
		}
		if due.After(now) {
			now = due
		}
		step(Woken{})
	}
	t.Fatal("the execution does not end")
	return nil, nil
}

// answer gives a call the answer that was recorded for it.
func answer(t *testing.T, r *recorded, x *Execution, c Call, step func(Event)) {
	t.Helper()
	m := r.findMock(x, c)
	if m == nil {
		t.Fatalf("no answer was recorded for state %s with %s", c.State, c.Payload)
	}
	m.used = true
	var why *Failure
	if strings.HasSuffix(m.Outcome.Type, "Failed") {
		why = &Failure{}
		if m.Outcome.Error != nil {
			why.Error = ptr(asText(m.Outcome.Error))
		}
		if m.Outcome.Cause != nil {
			why.Cause = ptr(asText(m.Outcome.Cause))
		}
	}
	if c.Token != "" && m.Submitted != nil {
		step(Returned{Frame: c.Frame, Number: c.Number, Output: payloadOf(m.Submitted)})
	}
	switch {
	case strings.HasSuffix(m.Outcome.Type, "TimedOut"), m.Outcome.Type == "none":
	case c.Token != "" && m.Submitted != nil:
		step(Answered{Token: c.Token, Output: payloadOf(m.Outcome.Output), Failure: why})
	default:
		step(Returned{Frame: c.Frame, Number: c.Number, Output: payloadOf(m.Outcome.Output), Failure: why})
	}
}

func (r *recorded) findMock(x *Execution, c Call) *mock {
	f := x.frame(c.Frame)
	var first *mock
	for i := range r.Mocks {
		m := &r.Mocks[i]
		if m.used || m.State != c.State {
			continue
		}
		if first == nil {
			first = m
		}
		want := m.Input
		if c.Action != "" {
			want = m.Parameters
		}
		got, _ := decode(f.Call.Payload)
		if c.Action == "" && r.same(want, got) {
			return m
		}
	}
	return first
}

// A string that holds an object is compared as that object: recordings hold
// some of them decoded.
func unwrap(v any) any {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "{") {
			if x, err := decode(v); err == nil {
				return unwrap(x)
			}
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = unwrap(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			switch k {
			case "roleArn", "region", "SdkHttpMetadata", "SdkResponseMetadata", "timestamp":
			default:
				out[k] = unwrap(x)
			}
		}
		return out
	}
	return v
}

var placeholder = regexp.MustCompile(`<[^<>]+>`)

// same compares what was recorded with what came, with the recording's
// placeholders standing for anything.
func (r *recorded) same(want, got any) bool { return r.match(unwrap(want), unwrap(got)) }

func (r *recorded) match(want, got any) bool {
	switch want := want.(type) {
	case string:
		if placeholder.MatchString(want) || slices.Contains([]string{"timestamp", "date", "uuid", "RandomNumberGenerated"}, want) || slices.Contains(r.Literals, want) {
			return true
		}
		for _, w := range r.Literals {
			if w != "" && strings.Contains(want, w) {
				return true
			}
		}
		g, ok := got.(string)
		return ok && (g == want || strings.Contains(want, "== timestamp") || sameJSON(want, g))
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for i := range want {
			if !r.match(want[i], g[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(want) {
			return false
		}
		for k, x := range want {
			y, ok := g[k]
			if !ok || !r.match(x, y) {
				return false
			}
		}
		return true
	}
	return equal(want, got)
}

// sameJSON compares payloads that stayed text, such as arrays: AWS keeps the
// white space of some.
func sameJSON(a, b string) bool {
	x, err := decode(a)
	y, err2 := decode(b)
	return err == nil && err2 == nil && equal(x, y)
}

func stateNames(history []HistoryEvent) []string {
	names := []string{}
	for _, e := range history {
		if strings.HasSuffix(e.Type, "StateEntered") {
			names = append(names, e.Details.Name)
		}
	}
	return names
}

// wire is the history as the API gives it, decoded.
func wire(t *testing.T, history []HistoryEvent) []any {
	t.Helper()
	data, err := json.Marshal(history)
	if err != nil {
		t.Fatal(err)
	}
	v, err := decode(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return v.([]any)
}
