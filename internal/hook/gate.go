package hook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Phase is the moment of a rollout at which a gate is asked.
type Phase string

const (
	// PreRollout is when the canary is ready and has no traffic yet.
	PreRollout Phase = "pre-rollout"
	// PreStep is before each later change of weight.
	PreStep Phase = "step"
	// PrePromotion is when all steps are over and stable would go next.
	PrePromotion Phase = "pre-promotion"
)

// A Gate is asked before a rollout goes on.
type Gate struct {
	Endpoint
	Phase Phase `json:"phase"`
	// Metadata is told to the gate as it stands.
	Metadata map[string]string `json:"metadata,omitempty"`
}

// A Question is what a gate is told.
type Question struct {
	Namespace string `json:"namespace"`
	// Name is the service's.
	Name  string `json:"name"`
	Phase Phase  `json:"phase"`
	// Weight is the one that the canary gets next; 100 for PrePromotion.
	Weight    int    `json:"weight"`
	Execution string `json:"execution"`
	// Canary and Stable are the versions; there is no stable at first.
	Canary   string            `json:"canary,omitempty"`
	Stable   string            `json:"stable,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// A Status is a gate's answer. Its zero value opens nothing.
type Status string

const (
	Succeeded  Status = "SUCCEEDED"
	Failed     Status = "FAILED"
	InProgress Status = "IN_PROGRESS"
)

// An Answer is what a gate said.
type Answer struct {
	Status Status
	// After is when to ask again, with InProgress.
	After time.Duration
	// Reason is the gate's own words, one line of at most 300 characters.
	Reason string
}

// AskAgain is when to ask again where the gate does not say.
const AskAgain = 30 * time.Second

const (
	shortestDelay = time.Second
	longestDelay  = time.Hour
)

// CheckGate finds what is wrong with a gate before a rollout starts. Errors are
// of kind fault.Invalid.
func (c *Client) CheckGate(g Gate) error {
	switch g.Phase {
	case PreRollout, PreStep, PrePromotion:
		return c.Check(g.Endpoint)
	}
	return fmt.Errorf("hook %q: phase %q: %w: pre-rollout, step or pre-promotion is expected", g.Name, g.Phase, fault.Invalid)
}

// Ask asks a gate once, with retries of what may pass. An error is no answer and
// says nothing about the canary: of kind fault.Transient where asking later may
// help, and fault.Invalid where the gate is wrong or may not be reached.
func (c *Client) Ask(ctx context.Context, g Gate, q Question) (Answer, error) {
	a, err := c.ask(ctx, g, q)
	if err != nil {
		return Answer{}, fmt.Errorf("ask gate %q: %w", g.Name, err)
	}
	return a, nil
}

func (c *Client) ask(ctx context.Context, g Gate, q Question) (Answer, error) {
	q.Phase, q.Metadata = g.Phase, maps.Clone(g.Metadata)
	body, err := json.Marshal(q)
	if err != nil {
		return Answer{}, err
	}
	l, err := c.letter(ctx, g.Endpoint, delivery(g.Name, body), body)
	if err != nil {
		return Answer{}, err
	}
	text, err := c.send(ctx, l)
	if err != nil {
		return Answer{}, err
	}
	return l.read(text)
}

// delivery names a question: the same question to the same gate has the same name.
func delivery(name string, body []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\x00"), body...))
	return hex.EncodeToString(sum[:16])
}

// read understands an answer, or says that it is none.
func (l letter) read(text []byte) (Answer, error) {
	fields, err := object(text)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: its answer is not one object of JSON with a hookStatus: %s", fault.Transient, l.line(err.Error()))
	}
	var status, reason string
	var delay *float64
	for name, into := range map[string]any{"hookStatus": &status, "reason": &reason, "callBackDelay": &delay} {
		for found, value := range fields {
			switch {
			case !strings.EqualFold(found, name):
			case found != name:
				return Answer{}, fmt.Errorf("%w: its answer has the field %q; %s is expected", fault.Transient, found, name)
			case json.Unmarshal(value, into) != nil:
				return Answer{}, fmt.Errorf("%w: its %s is of the wrong type", fault.Transient, name)
			}
		}
	}
	a := Answer{Status: Status(status), Reason: l.line(reason)}
	switch a.Status {
	case Succeeded, Failed:
		return a, nil
	case InProgress:
		a.After = AskAgain
		if delay != nil {
			seconds := min(max(*delay, shortestDelay.Seconds()), longestDelay.Seconds())
			a.After = time.Duration(seconds * float64(time.Second))
		}
		return a, nil
	}
	return Answer{}, fmt.Errorf("%w: its hookStatus is %q; SUCCEEDED, FAILED or IN_PROGRESS is expected", fault.Transient, l.line(status))
}

// object reads one object whose names come once. The standard library takes the last of two,
// and does not mind their capitals: an answer that says no and yes would be a yes.
func object(text []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("an object is expected")
	}
	fields := map[string]json.RawMessage{}
	for d.More() {
		var value json.RawMessage
		name, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, err
		}
		if _, twice := fields[name.(string)]; twice {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		fields[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the end is expected after it")
	}
	return fields, nil
}

// line is a text from outside, on one line and not too long.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > 300 {
		return string(r[:300]) + "..."
	}
	return s
}
