package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	var in struct {
		HookStatus    Status   `json:"hookStatus"`
		CallBackDelay *float64 `json:"callBackDelay"`
		Reason        string   `json:"reason"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return Answer{}, fmt.Errorf("%w: its answer is not JSON with a hookStatus", fault.Transient)
	}
	a := Answer{Status: in.HookStatus, Reason: l.line(in.Reason)}
	switch a.Status {
	case Succeeded, Failed:
		return a, nil
	case InProgress:
		a.After = AskAgain
		if in.CallBackDelay != nil {
			seconds := min(max(*in.CallBackDelay, shortestDelay.Seconds()), longestDelay.Seconds())
			a.After = time.Duration(seconds * float64(time.Second))
		}
		return a, nil
	}
	return Answer{}, fmt.Errorf("%w: its hookStatus is %q; SUCCEEDED, FAILED or IN_PROGRESS is expected", fault.Transient, l.line(string(in.HookStatus)))
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
