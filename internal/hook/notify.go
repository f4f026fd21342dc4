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
	// On says which messages it gets, all if empty: end, verdict.
	On []Occasion `json:"on,omitempty"`
}

// An Occasion is a kind of message.
type Occasion string

const (
	// OnEnd is the end of a rollout.
	OnEnd Occasion = "end"
	// OnVerdict is a verdict that differs from the last one.
	OnVerdict Occasion = "verdict"
)

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
	// Reason is one sentence with its numbers.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Told is what was told already. It travels with the rollout, so that a task
// that runs twice does not tell twice. Its zero value is the beginning.
type Told struct {
	Verdict string `json:"verdict,omitempty"`
	End     string `json:"end,omitempty"`
}

// Due tells whether a message is news, and what was told after it: an end once,
// and a verdict when it differs from the last one. A rollout begins with
// nothing known, so inconclusive is no news at first, and nothing is after the end.
func (t Told) Due(m Message) (Told, bool) {
	switch {
	case t.End != "":
		return t, false
	case m.On == OnEnd && m.End != "":
		t.End = m.End
		return t, true
	case m.On != OnVerdict || m.Verdict == "" || m.Verdict == t.Verdict:
		return t, false
	case t.Verdict == "" && m.Verdict == "inconclusive":
		return t, false
	}
	t.Verdict = m.Verdict
	return t, true
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
		if on != OnEnd && on != OnVerdict {
			return fmt.Errorf("hook %q: on %q: %w: end or verdict is expected", r.Name, on, fault.Invalid)
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
	if m.On == OnVerdict {
		what = m.Verdict
	}
	head := fmt.Sprintf("%s/%s %s: %s at %d %%", m.Namespace, m.Name, m.Canary, what, m.Weight)
	if m.Cluster != "" {
		head = m.Cluster + " " + head
	}
	return map[string]any{
		"text": escape(head),
		"attachments": []attachment{{
			Colour: colours[what], Text: escape(line(m.Reason)), Fallback: escape(line(m.Reason)),
			Footer: escape(m.Execution), At: m.At.Unix(),
		}},
	}
}

// escape keeps words from becoming links, mentions and the like.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
