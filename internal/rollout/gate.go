package rollout

import (
	"fmt"
	"strings"
	"time"
)

// A Word is what a gate says. The zero Word is no answer, which opens nothing.
type Word string

const (
	// NoWord is a gate that was not asked yet, or did not answer.
	NoWord Word = ""
	// NotYet is a gate that has not made up its mind.
	NotYet Word = "not yet"
	// Yes opens the gate.
	Yes Word = "yes"
	// No sends the rollout back.
	No Word = "no"
)

// A Gate is one that stands before the rollout's next move, as far as it is known.
type Gate struct {
	Name string
	Word Word
	// Reason is the gate's own; with NoWord it is what kept the gate from answering,
	// which says nothing about the canary.
	Reason string
	// Waited is the time since the gate was asked first at this place, Limit how long
	// the rollout waits for its yes or no.
	Waited, Limit time.Duration
}

// A Need is what a rollout that waits wants of a person; nothing is the zero Need.
type Need string

const (
	// NeedResume is a pause: somebody has to end it.
	NeedResume Need = "resume"
	// NeedApproval is a step that wants a person's word.
	NeedApproval Need = "approval"
	// NeedVerdict is a canary of which nothing could be told in time: WishPromote or an abort is the answer.
	NeedVerdict Need = "verdict"
	// NeedGate is a gate that neither opened nor refused in time.
	NeedGate Need = "gate"
)

// Start says what to do with a canary that is ready and has no weight yet: Advance into the
// first step where all gates before it are open. Of the look it reads the reason and the gates.
func (p Plan) Start(l Look) Decision {
	if d, shut := p.shut(0, l); shut {
		return d
	}
	return Decision{Action: Advance, Step: 0, Reason: l.Reason + l.passed()}
}

// passed says which gates the rollout has passed, and how.
func (l Look) passed() string {
	text := ""
	for _, g := range l.Gates {
		if g.Word == Yes {
			text += fmt.Sprintf("; gate %q says yes", g.Name)
		} else {
			text += fmt.Sprintf("; a person went on without gate %q", g.Name)
		}
	}
	return text
}

// shut tells what to do while not all gates are open. A refusal ranks before a gate that keeps
// silent, and a gate's silence is never a yes, however long it lasts.
func (p Plan) shut(i int, l Look) (Decision, bool) {
	var waits []Gate
	for _, g := range l.Gates {
		switch g.Word {
		case Yes:
		case No:
			return Decision{Action: RollBack, Step: i, Reason: g.refuses()}, true
		default:
			waits = append(waits, g)
		}
	}
	if len(waits) == 0 || l.Waived {
		return Decision{}, false
	}
	d := Decision{Action: Watch, Step: i, AskGates: true, After: waits[0].Limit - waits[0].Waited}
	var late []string
	over := time.Duration(0)
	reasons := make([]string, len(waits))
	for n, g := range waits {
		left := g.Limit - g.Waited
		d.After, reasons[n] = min(d.After, left), g.waits()
		if left <= 0 {
			late, over = append(late, g.late()), max(over, -left)
		}
	}
	d.Reason = strings.Join(reasons, "; ")
	if len(late) == 0 {
		return d, true
	}
	reason := "inconclusive: " + strings.Join(late, "; ")
	if p.OnUndecided != UndecidedAsks {
		return Decision{Action: RollBack, Step: i, Reason: reason}, true
	}
	d = p.ask(i, over, "a person decides: "+reason)
	d.Needs, d.AskGates = NeedGate, d.Action == Wait
	return d, true
}

func (g Gate) refuses() string {
	if g.Reason == "" {
		return fmt.Sprintf("gate %q says no", g.Name)
	}
	return fmt.Sprintf("gate %q says no: %s", g.Name, g.Reason)
}

// waits says what the rollout waits for, within the gate's limit.
func (g Gate) waits() string {
	switch {
	case g.Word == NotYet && g.Reason != "":
		return fmt.Sprintf("gate %q says not yet: %s", g.Name, g.Reason)
	case g.Word == NotYet:
		return fmt.Sprintf("gate %q says not yet", g.Name)
	case g.Reason != "":
		return fmt.Sprintf("gate %q does not answer, which is no verdict on the canary: %s", g.Name, g.Reason)
	}
	return fmt.Sprintf("gate %q is asked", g.Name)
}

// late says what the rollout waited for in vain.
func (g Gate) late() string {
	text := fmt.Sprintf("gate %q gave no answer within %v", g.Name, g.Limit)
	if g.Word == NotYet {
		text = fmt.Sprintf("gate %q said not yet for %v", g.Name, g.Limit)
	}
	if g.Reason != "" {
		text += ": " + g.Reason
	}
	return text
}
