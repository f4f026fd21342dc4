package spec

import (
	"fmt"

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
