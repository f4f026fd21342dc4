package rollout_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A limit that bore as many inconclusive checks as it may ends the step's patience.
func TestAnExhaustedLimitEndsPatience(t *testing.T) {
	p := rollout.Plan{Steps: []rollout.Step{{Weight: 50}, {Weight: 100}}, Patience: rollout.Duration(minute)}
	l := rollout.Look{Verdict: analysis.Inconclusive, Reason: "no data", Elapsed: minute / 2}
	if d := p.Next(0, l); d.Action != rollout.Watch {
		t.Errorf("within patience: %+v; want another look", d)
	}
	if l.Exhausted = true; p.Next(0, l).Action != rollout.RollBack {
		t.Errorf("exhausted: %+v; want the way back", p.Next(0, l))
	}
}

// Evidence that forbids to go on holds a step of which everything else is good.
func TestEvidenceThatForbidsHoldsTheStep(t *testing.T) {
	p := rollout.Plan{Steps: []rollout.Step{{Weight: 50}, {Weight: 100}}, Patience: rollout.Duration(minute)}
	for i := range p.Steps {
		if d := p.Next(i, rollout.Look{Verdict: analysis.Healthy, Enough: true, Hold: true, Reason: "looks worse"}); d.Action != rollout.Watch || d.Reason != "looks worse" {
			t.Errorf("in step %d: %+v; want it held", i, d)
		}
	}
}
