package asl

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// refused says whether a recorded definition uses what this package refuses by
// name; see the package's comment.
func refused(r *recorded) bool {
	return r.Language != "JSONPath" || slices.Contains(r.Features, "Assign")
}

// TestExecutionsRecordedOnAWS compares status, output, error, cause, states and
// events with what AWS did.
func TestExecutionsRecordedOnAWS(t *testing.T) {
	rows := readLines[recorded](t, "executions.jsonl")
	rows = append(rows, readLines[recorded](t, "executions-callback.jsonl")...)
	ran, strict, strictSame, loose, looseSame := 0, 0, 0, 0, 0
	for i := range rows {
		r := &rows[i]
		if !r.Usable || refused(r) {
			continue
		}
		t.Run(r.ID, func(t *testing.T) {
			ran++
			d, err := Parse(r.Definition, Options{Integrations: []string{"sqs:sendMessage"}})
			if err != nil {
				t.Fatalf("Parse() = %v", err)
			}
			x, history := replay(t, r, d)
			compareEnd(t, r, x, history)
			if r.Expect.Events == nil {
				return
			}
			same := sameEvents(r, wire(t, history))
			if r.Order == "strict" {
				strict++
				if same {
					strictSame++
				}
			} else {
				loose++
				if same {
					looseSame++
				}
			}
			if !same {
				t.Logf("events differ\ngot  %s\nwant %s", encode(unwrap(wire(t, history))), encode(unwrap(r.Expect.Events)))
			}
		})
	}
	t.Logf("%d executions; the whole history is the same in %d of %d with one order of events, and in %d of %d with several", ran, strictSame, strict, looseSame, loose)
	if ran == 0 || strictSame*100 < strict*95 {
		t.Errorf("histories are the same in %d of %d; want 95 %%", strictSame, strict)
	}
}

// compareEnd compares all but the single events.
func compareEnd(t *testing.T, r *recorded, x *Execution, history []HistoryEvent) {
	t.Helper()
	if x.Status != r.Expect.Status {
		t.Errorf("status %s, want %s (%s: %s)", x.Status, r.Expect.Status, deref(x.Error), deref(x.Cause))
	}
	if r.hasOutput && r.Expect.Status == Succeeded {
		if got, _ := decode(x.Output); !r.same(r.Expect.Output, got) {
			t.Errorf("output %s\nwant   %s", x.Output, encode(r.Expect.Output))
		}
	}
	if r.Expect.Error != nil && !r.same(asText(r.Expect.Error), deref(x.Error)) {
		t.Errorf("error %s, want %s", deref(x.Error), r.Expect.Error)
	}
	if r.Expect.Cause != nil && !r.same(asText(r.Expect.Cause), deref(x.Cause)) {
		t.Errorf("cause %s\nwant  %s", deref(x.Cause), asText(r.Expect.Cause))
	}
	if r.Expect.States != nil {
		got, want := stateNames(history), slices.Clone(r.Expect.States)
		if r.Order != "strict" {
			slices.Sort(got)
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("states %v\nwant   %v", got, want)
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return "<absent>"
	}
	return *s
}

// sameEvents compares whole histories, or, where AWS may order events as it
// likes, the events without their numbers.
func sameEvents(r *recorded, got []any) bool {
	want := slices.Clone(r.Expect.Events)
	if r.Order == "strict" {
		return r.same(want, got)
	}
	if r.Normalised {
		got = slices.DeleteFunc(slices.Clone(got), func(e any) bool { return e.(map[string]any)["type"] == "ParallelStateSucceeded" })
	}
	if len(got) != len(want) {
		return false
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(g any) bool { return r.same(withoutIDs(w), withoutIDs(g)) })
		if i < 0 {
			return false
		}
		got = append(slices.Clone(got[:i]), got[i+1:]...)
	}
	return true
}

func withoutIDs(e any) any {
	out := map[string]any{}
	for k, v := range e.(map[string]any) {
		if k != "id" && k != "previousEventId" {
			out[k] = v
		}
	}
	return out
}

// What is not supported is refused when the definition is loaded, by name.
func TestRecordedDefinitionsBeyondThisPackageAreRefusedByName(t *testing.T) {
	n := 0
	for _, r := range readLines[recorded](t, "executions.jsonl") {
		if !refused(&r) {
			continue
		}
		n++
		var bad *DefinitionError
		if _, err := Parse(r.Definition, Options{}); !errors.As(err, &bad) {
			t.Errorf("%s: Parse() = %v; want it refused", r.ID, err)
			continue
		}
		if !slices.ContainsFunc(bad.Problems, func(p Problem) bool { return p.Code == codeUnsupported || strings.Contains(p.Message, "not supported") }) {
			t.Errorf("%s: Parse() = %v; want a problem that names what is not supported", r.ID, bad)
		}
	}
	t.Logf("%d definitions refused", n)
}

// TestDefinitionsThatAWSChecked compares what is accepted and what is refused.
func TestDefinitionsThatAWSChecked(t *testing.T) {
	type row struct {
		ID     string
		Text   string `json:"definition_text"`
		Type   string
		Valid  bool
		Error  json.RawMessage
		Usable bool
	}
	for _, r := range readLines[row](t, "validation.jsonl") {
		t.Run(r.ID, func(t *testing.T) {
			_, err := Parse([]byte(r.Text), Options{})
			var bad *DefinitionError
			switch {
			case r.Valid && err == nil:
			case !r.Valid && errors.As(err, &bad):
			case r.Valid && errors.As(err, &bad) && slices.ContainsFunc(bad.Problems, func(p Problem) bool { return p.Code == codeUnsupported }):
			default:
				t.Errorf("Parse(%s) = %v; AWS: valid %v %s", r.Text, err, r.Valid, r.Error)
			}
		})
	}
}

// stateCase is one state as AWS's TestState ran it.
type stateCase struct {
	ID         string
	Definition map[string]any
	Input      any
	StateName  string
	Context    any
	Mock       *struct{ Result string }
	APIError   bool `json:"is_api_error"`
	Expect     struct {
		Status     Status
		Error      any // an object for what the API refused
		Cause      string
		Output     any
		NextState  string
		Inspection struct {
			AfterParameters any
		} `json:"inspectionData"`
	}
}

// feasible leaves out what TestState alone can do, such as a made-up result of
// a Map, and what this package refuses.
func (c *stateCase) feasible(text string) bool {
	mocked := c.Mock != nil && c.Definition["Type"] != "Task"
	return !c.APIError && !mocked && c.Context == nil && !strings.Contains(text, "JSONata") && !strings.Contains(text, "DISTRIBUTED")
}

// TestStatesRecordedOnAWS runs single states between the ones they go to.
func TestStatesRecordedOnAWS(t *testing.T) {
	n := 0
	for _, c := range readLines[stateCase](t, "state-cases.jsonl") {
		text := encode(c.Definition)
		if !c.feasible(text) {
			continue
		}
		n++
		t.Run(c.ID, func(t *testing.T) {
			definition := c.Definition
			if definition["States"] == nil {
				states := map[string]any{"State": definition}
				for _, name := range nextStates(definition) {
					states[name] = map[string]any{"Type": "Succeed"}
				}
				definition = map[string]any{"StartAt": "State", "States": states}
			}
			d, err := Parse([]byte(encode(definition)), Options{Integrations: []string{"events:putEvents", "sqs:sendMessage", "dynamodb:putItem"}})
			if err != nil {
				t.Fatalf("Parse() = %v", err)
			}
			p := &player{t: t, d: d, now: noon, x: &Execution{Input: encode(c.Input), Started: noon}}
			p.step(Begun{})
			if c.Mock != nil {
				p.play(reply{out: c.Mock.Result})
			} else if len(p.calls) > 0 { // the recorded function gave what the task gave
				p.play(reply{out: encode(c.Expect.Output)})
			}
			r := &recorded{}
			out, _ := decode(p.x.Output)
			if p.x.Status != c.Expect.Status || c.Expect.Status == Succeeded && !r.same(c.Expect.Output, out) {
				t.Errorf("%s; want %s %s", p.outcome(), c.Expect.Status, encode(c.Expect.Output))
			}
			if c.Expect.Error != nil && (deref(p.x.Error) != c.Expect.Error || deref(p.x.Cause) != c.Expect.Cause) {
				t.Errorf("%s; want %s: %s", p.outcome(), c.Expect.Error, c.Expect.Cause)
			}
			names := stateNames(p.history)
			if c.Expect.NextState != "" && names[len(names)-1] != c.Expect.NextState {
				t.Errorf("went to %v; want %s", names, c.Expect.NextState)
			}
			if want := c.Expect.Inspection.AfterParameters; want != nil && c.Definition["Type"] == "Task" && !r.same(want, p.history[2].Details.Parameters) {
				t.Errorf("parameters %s; want %s", p.history[2].Details.Parameters, encode(want))
			}
		})
	}
	t.Logf("%d states", n)
}

// nextStates are all states that a state may go to.
func nextStates(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if s, ok := x.(string); ok && (k == "Next" || k == "Default") {
				out = append(out, s)
			}
			out = append(out, nextStates(x)...)
		}
	case []any:
		for _, x := range v {
			out = append(out, nextStates(x)...)
		}
	}
	return out
}
