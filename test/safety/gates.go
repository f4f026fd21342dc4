package safety

import (
	"maps"
	"strings"

	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A Gate is one of deploy.json, by its name.
type Gate struct {
	Name  string
	Phase hook.Phase
}

// fields are the scenario's part of deploy.json.
func (s Scenario) fields() map[string]any {
	out := maps.Clone(s.Fields)
	if out == nil {
		out = map[string]any{}
	}
	var webhooks []any
	for _, g := range s.Gates {
		webhooks = append(webhooks, map[string]any{
			"name": g.Name, "phase": g.Phase, "url": "https://gates.example/" + g.Name,
			"timeout": int(gateTimeout.Seconds()), "retries": 0, "limit": "1m",
		})
	}
	if webhooks != nil {
		out["webhooks"] = webhooks
	}
	if s.Team != "" {
		out["notifications"] = []any{map[string]any{
			"name": "team", "url": "https://team.example/", "on": []string{"start", "step", "hold", "verdict", "end"},
		}}
	}
	return out
}

// A question is one that a gate is asked, by what the gate is to open.
type question struct {
	gate   string
	weight rollout.Weight
}

// first is the weight of the first step.
const first = 50

// checkGates holds what gates are for: the canary gets no weight that they have not opened, and is not
// promoted past them.
func (r *run) checkGates(served map[string]rollout.Weight) {
	rec := r.world.Records.Peek(service)
	if !strings.HasSuffix(rec.Canary.Rollout, ":"+searched) || r.noPods["checkout-1"] { // users go where pods are
		return
	}
	weight := served[rec.Canary.Name]
	for _, g := range r.scenario.Gates {
		switch {
		case g.Phase == hook.PreRollout && weight > 0:
			r.passed(question{g.Name, first}, weight)
		case g.Phase == hook.PreStep && weight > first && r.web.promoted:
			r.mark("promote-now passed a gate between two steps")
		case g.Phase == hook.PreStep && weight > first:
			r.passed(question{g.Name, 100}, weight)
		case g.Phase == hook.PrePromotion && rec.Phase == record.Promoted:
			r.passed(question{g.Name, 100}, weight)
		}
	}
}

// passed tells of a gate that the rollout has passed and might not.
func (r *run) passed(q question, weight rollout.Weight) {
	switch {
	case r.web.opened(q):
	case r.web.waived[q] && !r.web.no[q]:
		r.mark("a person went on without a silent gate")
	default:
		r.breaks(shut, weight, q.gate)
	}
}
