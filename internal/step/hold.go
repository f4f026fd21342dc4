package step

import (
	"context"
	"fmt"
	"time"
)

// Hold tells people that the rollout waits, and for what. The waiting itself is
// the state machine's: nothing runs meanwhile.
type Hold struct {
	Open Opener
}

// Held is what Hold returns; the state machine does not read it.
type Held struct {
	Reason string `json:"reason"`
}

// Run does it. An event is written once for each reason to wait, not at every look.
func (s Hold) Run(ctx context.Context, ev Event) (Held, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Held{}, err
	}
	ro, w := *ev.Document.Rollout, ev.Document.Watch
	if w == nil || !ro.has(w.Of) {
		return Held{}, nil
	}
	if w.Looks <= 1 {
		tell(ctx, access, ro, "Holding", fmt.Sprintf("Holding %s at %d %%: %s (next look within %v)",
			ro.Service.Name, ro.Plan.Steps[w.Of].Weight, w.Reason, time.Duration(w.WaitSeconds)*time.Second))
	}
	return Held{Reason: w.Reason}, nil
}
