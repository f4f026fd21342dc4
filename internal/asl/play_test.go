package asl

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// restarted is the execution as a driver finds it after a restart. The tests
// restart before every step, so all of them show that nothing is lost.
func restarted(t testing.TB, x *Execution) *Execution {
	t.Helper()
	data, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	out := &Execution{}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// A reply is what a function answers: JSON, an error, or nothing ever.
type reply struct {
	out   string
	kind  string
	cause string
	after time.Duration
}

func failing(kind string) reply { return reply{kind: kind, cause: "because"} }

var silent = reply{out: "silent"}

// A player drives executions of one definition through time.
type player struct {
	t       *testing.T
	d       *Definition
	x       *Execution
	now     time.Time
	history []HistoryEvent
	calls   []Call // not answered
	gone    []Call // abandoned
	called  []string
	random  float64
}

func newPlayer(t *testing.T, definition, input string) *player {
	t.Helper()
	if !strings.HasPrefix(definition, "{") {
		definition = `{"StartAt":"A","States":{` + definition + `}}`
	}
	d, err := Parse([]byte(definition), Options{})
	if err != nil {
		t.Fatalf("Parse(%s) = %v", definition, err)
	}
	p := &player{t: t, d: d, now: noon, random: 0.5, x: &Execution{ID: "arn:x", Name: "x", MachineID: "arn:m", MachineName: "m", RoleARN: "role", Input: input, Started: noon}}
	p.step(Begun{})
	return p
}

func (p *player) step(ev Event) {
	p.t.Helper()
	if err := p.try(ev); err != nil {
		p.t.Fatalf("Step(%T) = %v", ev, err)
	}
}

func (p *player) try(ev Event) error {
	tokens := 0
	p.x = restarted(p.t, p.x)
	res, err := p.d.Step(p.x, ev, Env{
		Now: p.now, Region: "eu-west-1", Random: func() float64 { return p.random }, NewUUID: func() string { return "a-uuid" },
		NewToken: func() string { tokens++; return fmt.Sprintf("token-%d-%d", p.x.LastEvent, tokens) },
	})
	p.history = append(p.history, res.History...)
	p.calls = append(p.calls, res.Calls...)
	p.gone = append(p.gone, res.Abandoned...)
	for _, c := range res.Calls {
		p.called = append(p.called, fmt.Sprintf("%v %s %s", p.now.Sub(noon), c.Function, c.Payload))
	}
	return err
}

// answer gives the oldest call its end.
func (p *player) answer(r reply) {
	p.t.Helper()
	c := p.calls[0]
	p.calls = p.calls[1:]
	p.now = p.now.Add(r.after)
	ev := Returned{Frame: c.Frame, Number: c.Number, Output: r.out}
	if r.kind != "" {
		ev.Failure = &Failure{Error: &r.kind, Cause: &r.cause}
	}
	p.step(ev)
}

// play runs to the end, answering calls in their order with the replies and
// the last of them for all that follow.
func (p *player) play(replies ...reply) *player {
	p.t.Helper()
	for range 100000 {
		if len(p.calls) > 0 && len(replies) > 0 {
			r := replies[0]
			if len(replies) > 1 {
				replies = replies[1:]
			}
			if r != silent {
				p.answer(r)
				continue
			}
			p.calls = p.calls[1:]
			continue
		}
		due, ok := p.x.Due()
		if !ok {
			return p
		}
		if due.After(p.now) {
			p.now = due
		}
		p.step(Woken{})
	}
	p.t.Fatal("the execution does not end")
	return p
}

// outcome is one line about the end: status, then output or error and cause.
func (p *player) outcome() string {
	if p.x.Status == Succeeded {
		return "SUCCEEDED " + p.x.Output
	}
	return fmt.Sprintf("%s %s: %s", p.x.Status, deref(p.x.Error), deref(p.x.Cause))
}

// trail is the history in short: ID, previous ID, type.
func (p *player) trail() []string {
	var out []string
	for _, e := range p.history {
		out = append(out, fmt.Sprintf("%d<%d %s", e.ID, e.Previous, e.Type))
	}
	return out
}

const taskF = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload.$":"$"}`

const arnF = `"Type":"Task","Resource":"arn:aws:lambda:eu-west-1:123456789012:function:f"`

const tokenF = `"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"f","Payload":{"t.$":"$$.Task.Token"}}`
