package spec

import (
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// Plan gives the steps and their patience. A Spec from Parse or Load has a valid
// one; the error is for those made otherwise.
func (s Spec) Plan() (rollout.Plan, error) {
	p := rollout.Plan{
		Steps:       s.steps(),
		Patience:    s.Patience,
		PauseLimit:  s.PauseLimit,
		OnUndecided: s.OnUndecided,
	}
	if s.Pace == ByEvidence {
		p.Evidence, p.Cap = true, s.LongestStep
	}
	if err := p.Validate(); err != nil {
		return rollout.Plan{}, fmt.Errorf("plan %s: %w: %w", s.Service, fault.Invalid, err)
	}
	return p, nil
}

func (s Spec) steps() []rollout.Step {
	switch {
	case s.Strategy == Replace:
		return []rollout.Step{{Weight: 100, Hold: s.Bake}}
	case len(s.Steps) > 0:
		return s.Steps
	case s.PercentageStep < 1:
		return nil
	}
	steps := rollout.Linear(s.PercentageStep, s.WaitTime)
	steps[len(steps)-1].Hold = s.Bake
	return steps
}

// What an execution of Step Functions may use, and what the state machine uses
// of it. The counts are those of statemachine/rollout.asl.json.
const (
	// maxEvents is the limit on an execution's history.
	maxEvents = 25_000
	// MaxInput is the limit on an execution's input, in bytes.
	MaxInput = 262_144
	// slice is the longest that one HealthCheck watches.
	slice = 600 * time.Second
	// eventsPerSlice is for one HealthCheck with its choice.
	eventsPerSlice = 12
	// eventsPerStep is for one shift of weights, until it is seen in force.
	eventsPerStep = 12
	// eventsPerApproval is for one wait for a person.
	eventsPerApproval = 12
	// eventsFixed is for the beginning, both ends, and retries on the way.
	eventsFixed = 300
)

// A Budget bounds what a rollout can use of Step Functions.
type Budget struct {
	// Shortest is the sum of the holds: no rollout is faster.
	Shortest time.Duration
	// Longest counts every patience, approval and deadline to the full, and one
	// pause of a person's.
	Longest time.Duration
	// Events is the length of the history in that case.
	Events int
}

// Budget counts the worst case of the plan.
func (s Spec) Budget() Budget {
	b := Budget{Events: eventsFixed}
	b.Longest = time.Duration(s.Deadlines.Ready+s.PauseLimit) + 2*time.Duration(s.Drain)
	for _, step := range s.steps() {
		hold := time.Duration(step.Hold)
		b.Shortest += hold
		if s.Pace == ByEvidence {
			hold = max(hold, time.Duration(s.LongestStep))
		}
		hold += time.Duration(s.Patience)
		b.Longest += hold + time.Duration(s.Deadlines.Observed)
		b.Events += eventsPerStep + eventsPerSlice*int(1+(hold+slice-1)/slice)
		if step.Approve || s.OnUndecided == rollout.UndecidedAsks {
			b.Longest += time.Duration(s.PauseLimit)
			b.Events += eventsPerApproval
		}
	}
	return b
}
