package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Receiver is told what happened.
type Receiver struct {
	Endpoint
	// Format is slack, which Mattermost and others understand too, or json: the
	// Message as it is. It is json if empty.
	Format string `json:"format,omitempty"`
	// On says which messages it gets, all if empty.
	On []Occasion `json:"on,omitempty"`
}

// An Occasion is a kind of message.
type Occasion string

const (
	// OnStart is a rollout that has the lock of its service.
	OnStart Occasion = "start"
	// OnStep is a weight that came into force.
	OnStep Occasion = "step"
	// OnHold is a rollout that waits for a person.
	OnHold Occasion = "hold"
	// OnVerdict is a verdict that differs from the last one.
	OnVerdict Occasion = "verdict"
	// OnEnd is the end of a rollout.
	OnEnd Occasion = "end"
)

// occasions are all there are, in the order of a rollout.
var occasions = []Occasion{OnStart, OnStep, OnHold, OnVerdict, OnEnd}

// A Message is one thing that happened.
type Message struct {
	On        Occasion `json:"on"`
	Cluster   string   `json:"cluster,omitempty"`
	Namespace string   `json:"namespace"`
	// Name is the service's.
	Name      string `json:"name"`
	Canary    string `json:"canary,omitempty"`
	Stable    string `json:"stable,omitempty"`
	Image     string `json:"image,omitempty"`
	Weight    int    `json:"weight"`
	Execution string `json:"execution"`
	// Verdict is healthy, unhealthy or inconclusive.
	Verdict string `json:"verdict,omitempty"`
	// End is Promoted, RolledBack, NeedsOperator or Refused; empty before the end.
	End string `json:"end,omitempty"`
	// Needs is what is wanted of a person, with OnHold: resume, approval, verdict or gate.
	Needs string `json:"needs,omitempty"`
	// Reason is one sentence with its numbers.
	Reason string `json:"reason,omitempty"`
	// At is when it happened, not when it is told: what is told twice is the same twice.
	At time.Time `json:"at"`
}

// Told is what was told already. It travels with the rollout, so that a task
// that runs twice does not tell twice. Its zero value is the beginning.
type Told struct {
	Started bool   `json:"started,omitempty"`
	Weight  int    `json:"weight,omitempty"`
	Needs   string `json:"needs,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	End     string `json:"end,omitempty"`
}

// Due tells whether a message is news, and what was told after it: start and end
// once, and a weight, a need or a verdict when it differs from the last one. A
// rollout begins with nothing known, so inconclusive is no news at first; a hold
// without a need is the end of the last one; and nothing is news after the end.
func (t Told) Due(m Message) (Told, bool) {
	if t.End != "" {
		return t, false
	}
	was := t
	switch m.On {
	case OnStart:
		t.Started = true
	case OnStep:
		t.Weight = m.Weight
	case OnHold:
		t.Needs = m.Needs
		return t, t != was && m.Needs != ""
	case OnVerdict:
		if t.Verdict != "" || m.Verdict != "inconclusive" {
			t.Verdict = m.Verdict
		}
		if m.Verdict == "" {
			return was, false
		}
	case OnEnd:
		t.End = m.End
	}
	return t, t != was
}

// Wants tells whether a receiver gets messages of a kind.
func (r Receiver) Wants(on Occasion) bool { return len(r.On) == 0 || slices.Contains(r.On, on) }

// CheckReceiver finds what is wrong with a receiver before a rollout starts.
// Errors are of kind fault.Invalid.
func (c *Client) CheckReceiver(r Receiver) error {
	if r.Format != "" && r.Format != "json" && r.Format != "slack" {
		return fmt.Errorf("hook %q: format %q: %w: json or slack is expected", r.Name, r.Format, fault.Invalid)
	}
	for _, on := range r.On {
		if !slices.Contains(occasions, on) {
			return fmt.Errorf("hook %q: on %q: %w: one of %v is expected", r.Name, on, fault.Invalid, occasions)
		}
	}
	return c.Check(r.Endpoint)
}

// Notify tells a receiver, if it wants such messages. An error must not change
// the course of a rollout: it is for the log.
func (c *Client) Notify(ctx context.Context, r Receiver, m Message) error {
	if !r.Wants(m.On) {
		return nil
	}
	var body []byte
	err := c.CheckReceiver(r)
	if err == nil {
		body, err = r.write(m)
	}
	if err != nil {
		return fmt.Errorf("notify %q: %w", r.Name, err)
	}
	l, err := c.letter(ctx, r.Endpoint, delivery(r.Name, body), body)
	if err == nil {
		_, err = c.send(ctx, l)
	}
	if err != nil {
		return fmt.Errorf("notify %q: %w", r.Name, err)
	}
	return nil
}

func (r Receiver) write(m Message) ([]byte, error) {
	m.At = m.At.UTC()
	if r.Format == "slack" {
		return json.Marshal(slack(m))
	}
	return json.Marshal(m)
}

// colours are those of Slack's attachments, by what a message says.
var colours = map[string]string{
	"Promoted": "good", "healthy": "good",
	"RolledBack": "warning", "inconclusive": "warning", "Refused": "warning",
	"unhealthy": "danger", "NeedsOperator": "danger",
}

func colour(m Message) string {
	switch m.On {
	case OnVerdict:
		return colours[m.Verdict]
	case OnHold:
		return "warning"
	}
	return colours[m.End]
}

type attachment struct {
	Colour   string `json:"color,omitempty"`
	Text     string `json:"text"`
	Fallback string `json:"fallback"`
	Footer   string `json:"footer"`
	At       int64  `json:"ts"`
}

// slack writes an incoming webhook's message, see
// https://api.slack.com/messaging/webhooks and its secondary attachments.
func slack(m Message) any {
	what := m.End
	switch m.On {
	case OnStart:
		what = "started"
	case OnStep:
		what = "goes on"
	case OnHold:
		what = "waits for a person (" + m.Needs + ")"
	case OnVerdict:
		what = m.Verdict
	}
	head := fmt.Sprintf("%s/%s %s: %s at %d %%", m.Namespace, m.Name, m.Canary, what, m.Weight)
	if m.Cluster != "" {
		head = m.Cluster + " " + head
	}
	return map[string]any{
		"text": escape(head),
		"attachments": []attachment{{
			Colour: colour(m), Text: escape(line(m.Reason)), Fallback: escape(line(m.Reason)),
			Footer: escape(m.Execution), At: m.At.Unix(),
		}},
	}
}

// escape keeps words from becoming links, mentions and the like.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
