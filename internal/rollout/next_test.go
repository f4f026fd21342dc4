package rollout_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// Each rule is tried where it holds by the least, and where it does not.
func TestNext(t *testing.T) {
	approve := func(p *rollout.Plan) { p.Steps[0].Approve, p.Steps[1].Approve = true, true }
	asks := func(p *rollout.Plan) { p.OnUndecided = rollout.UndecidedAsks }
	paced := func(p *rollout.Plan) { p.Evidence, p.Cap = true, rollout.Duration(5*minute) }
	silent := func(elapsed time.Duration) func(*rollout.Look) {
		return func(l *rollout.Look) {
			l.Verdict, l.Enough, l.Reason, l.Elapsed = analysis.Inconclusive, false, "no data", elapsed
		}
	}
	short := func(elapsed time.Duration) func(*rollout.Look) {
		return func(l *rollout.Look) { l.Enough, l.Reason, l.Elapsed = false, "60 of 200 requests", elapsed }
	}
	for name, tt := range map[string]struct {
		step int
		plan func(*rollout.Plan)
		look func(*rollout.Look)
		want rollout.Decision
	}{
		"a good step leads to the next": {want: rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "fine"}},
		"the last one to promotion":     {step: 1, want: rollout.Decision{Action: rollout.Promote, Step: 1, Reason: "fine"}},
		"a moment before its time is over it is held": {
			look: func(l *rollout.Look) { l.Elapsed = minute - 1 },
			want: rollout.Decision{Action: rollout.Watch, After: 1, Reason: "fine"},
		},
		"harm ends it at once": {
			look: func(l *rollout.Look) { l.Verdict, l.Reason, l.Elapsed = analysis.Unhealthy, "5 % errors", 0 },
			want: rollout.Decision{Action: rollout.RollBack, Reason: "5 % errors"},
		},
		"what cannot serve ranks before what is measured": {
			step: 1,
			look: func(l *rollout.Look) { l.Broken, l.Verdict, l.Reason = "crash loop", analysis.Unhealthy, "5 % errors" },
			want: rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: "crash loop"},
		},

		"a pause holds a good step": {
			look: func(l *rollout.Look) { l.Paused = time.Second },
			want: rollout.Decision{Action: rollout.Wait, Reason: "paused", After: 60*minute - time.Second, Needs: rollout.NeedResume},
		},
		"a moment before its limit, too": {
			look: func(l *rollout.Look) { l.Paused = 60*minute - 1 },
			want: rollout.Decision{Action: rollout.Wait, Reason: "paused", After: 1, Needs: rollout.NeedResume},
		},
		"at its limit the rollout goes back": {
			look: func(l *rollout.Look) { l.Paused = 60 * minute },
			want: rollout.Decision{Action: rollout.RollBack, Reason: "paused for 1h0m0s, which is the limit"},
		},
		"a pause does not hide harm": {
			look: func(l *rollout.Look) { l.Paused, l.Verdict, l.Reason = minute, analysis.Unhealthy, "5 % errors" },
			want: rollout.Decision{Action: rollout.RollBack, Reason: "5 % errors"},
		},
		"a pause ranks before a wish for 100 %": {
			look: func(l *rollout.Look) { l.Paused, l.Promote = minute, true },
			want: rollout.Decision{Action: rollout.Wait, Reason: "paused", After: 59 * minute, Needs: rollout.NeedResume},
		},

		"whoever wants 100 % now waits for no time and no evidence": {
			look: func(l *rollout.Look) { silent(0)(l); l.Promote = true },
			want: rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "a person asked for 100 % now"},
		},
		"but for the bake": {
			step: 1, look: func(l *rollout.Look) { l.Promote, l.Elapsed = true, minute-1 },
			want: rollout.Decision{Action: rollout.Watch, Step: 1, After: 1, Reason: "fine"},
		},
		"and for what the bake finds": {
			step: 1, look: func(l *rollout.Look) { silent(minute)(l); l.Promote = true },
			want: rollout.Decision{Action: rollout.Watch, Step: 1, After: 10 * minute, Reason: "no data"},
		},

		"what is not known is held a moment before patience is over": {
			look: silent(11*minute - 1), want: rollout.Decision{Action: rollout.Watch, After: 1, Reason: "no data"},
		},
		"then it goes back": {
			look: silent(11 * minute), want: rollout.Decision{Action: rollout.RollBack, Reason: "held for 10m0s and still not known: no data"},
		},
		"also at 100 %": {
			step: 1, look: silent(12 * minute), want: rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: "held for 11m0s and still not known: no data"},
		},
		"or a person is asked": {
			plan: asks, look: silent(12 * minute),
			want: rollout.Decision{Action: rollout.Wait, After: 59 * minute, Needs: rollout.NeedVerdict, Reason: "nothing could be told, a person decides by promote or abort: no data"},
		},
		"who has so long": {
			plan: asks, look: silent(71*minute - 1),
			want: rollout.Decision{Action: rollout.Wait, After: 1, Needs: rollout.NeedVerdict, Reason: "nothing could be told, a person decides by promote or abort: no data"},
		},
		"and no longer": {
			plan: asks, look: silent(71 * minute),
			want: rollout.Decision{Action: rollout.RollBack, Needs: rollout.NeedVerdict, Reason: "nobody answered within 1h0m0s: nothing could be told, a person decides by promote or abort: no data"},
		},
		"that the step may go on is no answer": {
			plan: asks, look: func(l *rollout.Look) { silent(12 * minute)(l); l.Approved = true },
			want: rollout.Decision{Action: rollout.Wait, After: 59 * minute, Needs: rollout.NeedVerdict, Reason: "nothing could be told, a person decides by promote or abort: no data"},
		},
		"as the end says": {
			plan: asks, look: func(l *rollout.Look) { silent(71 * minute)(l); l.Approved = true },
			want: rollout.Decision{Action: rollout.RollBack, Needs: rollout.NeedVerdict, Reason: "nobody answered within 1h0m0s: nothing could be told, a person decides by promote or abort: no data; that the step may go on was said, and is no verdict"},
		},
		"that 100 % are wanted is one": {
			plan: asks, look: func(l *rollout.Look) { silent(12 * minute)(l); l.Promote, l.Decided = true, true },
			want: rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "a person asked for 100 % now"},
		},
		"at 100 %, too": {
			step: 1, plan: asks, look: func(l *rollout.Look) { silent(12 * minute)(l); l.Promote, l.Decided = true, true },
			want: rollout.Decision{Action: rollout.Promote, Step: 1, Reason: "a person decided: no data"},
		},
		"not what was said before anybody was asked": {
			step: 1, plan: asks, look: func(l *rollout.Look) { silent(12 * minute)(l); l.Promote = true },
			want: rollout.Decision{Action: rollout.Wait, Step: 1, After: 59 * minute, Needs: rollout.NeedVerdict, Reason: "nothing could be told, a person decides by promote or abort: no data"},
		},
		"nor against harm": {
			step: 1, plan: asks, look: func(l *rollout.Look) { l.Decided, l.Verdict, l.Reason = true, analysis.Unhealthy, "5 % errors" },
			want: rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: "5 % errors"},
		},
		"nor against what cannot serve": {
			step: 1, plan: asks, look: func(l *rollout.Look) { silent(12 * minute)(l); l.Decided, l.Broken = true, "crash loop" },
			want: rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: "crash loop"},
		},
		"nor against a gate": {
			step: 1, plan: asks, look: func(l *rollout.Look) {
				silent(12 * minute)(l)
				l.Decided, l.Gates = true, []rollout.Gate{{Name: "smoke", Word: rollout.No}}
			},
			want: rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: `gate "smoke" says no`},
		},
		"of what can be told by then the reason is that": {
			step: 1, plan: asks, look: func(l *rollout.Look) { l.Decided, l.Elapsed = true, 12*minute },
			want: rollout.Decision{Action: rollout.Promote, Step: 1, Reason: "fine"},
		},
		"too little proof is not known either": {
			look: short(minute), want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "60 of 200 requests"},
		},

		"by evidence a step that wants proof alone has time until its cap, and patience": {
			plan: paced, look: short(15*minute - 1), want: rollout.Decision{Action: rollout.Watch, After: 1, Reason: "60 of 200 requests"},
		},
		"no longer": {
			plan: paced, look: short(15 * minute), want: rollout.Decision{Action: rollout.RollBack, Reason: "held for 14m0s and still not known: 60 of 200 requests"},
		},
		"a cap below the hold takes nothing from patience": {
			plan: func(p *rollout.Plan) { p.Evidence, p.Cap = true, rollout.Duration(time.Second) },
			look: short(minute), want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "60 of 200 requests"},
		},
		"without data the cap gives no time": {
			plan: paced, look: silent(minute), want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "no data"},
		},
		"nor where the evidence forbids to go on": {
			plan: paced, look: func(l *rollout.Look) { l.Hold, l.Reason = true, "looks worse" },
			want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "looks worse"},
		},
		"nor without pace by evidence": {
			plan: func(p *rollout.Plan) { p.Cap = rollout.Duration(5 * minute) }, look: short(minute),
			want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "60 of 200 requests"},
		},

		"a step that wants a person's word waits for it": {
			plan: approve, look: func(l *rollout.Look) { l.Elapsed = 3 * minute },
			want: rollout.Decision{Action: rollout.Wait, After: 58 * minute, Needs: rollout.NeedApproval, Reason: "waiting for a person's word"},
		},
		"so long": {
			plan: approve, look: func(l *rollout.Look) { l.Elapsed = 61 * minute },
			want: rollout.Decision{Action: rollout.RollBack, Needs: rollout.NeedApproval, Reason: "nobody answered within 1h0m0s: waiting for a person's word"},
		},
		"with it, it is left": {
			plan: approve, look: func(l *rollout.Look) { l.Approved = true },
			want: rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "fine"},
		},
		"a person's word is no evidence": {
			plan: approve, look: func(l *rollout.Look) { silent(minute)(l); l.Approved = true },
			want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "no data"},
		},
		"nor is it asked for before there is any": {
			plan: approve, look: silent(minute), want: rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "no data"},
		},
		"a step without approval asks nobody": {
			step: 1, plan: func(p *rollout.Plan) { p.Steps[0].Approve = true },
			want: rollout.Decision{Action: rollout.Promote, Step: 1, Reason: "fine"},
		},

		"a first deployment needs no evidence": {
			look: func(l *rollout.Look) { silent(minute)(l); l.First = true },
			want: rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "no data"},
		},
		"but its time": {
			look: func(l *rollout.Look) { silent(minute - 1)(l); l.First = true },
			want: rollout.Decision{Action: rollout.Watch, After: 1, Reason: "no data"},
		},
		"and it must serve": {
			look: func(l *rollout.Look) { l.First, l.Broken = true, "crash loop" },
			want: rollout.Decision{Action: rollout.RollBack, Reason: "crash loop"},
		},
		"and do no harm": {
			look: func(l *rollout.Look) { l.First, l.Verdict, l.Reason = true, analysis.Unhealthy, "5 % errors" },
			want: rollout.Decision{Action: rollout.RollBack, Reason: "5 % errors"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := plan(rollout.UndecidedRollsBack), good()
			if tt.plan != nil {
				tt.plan(&p)
			}
			if tt.look != nil {
				tt.look(&l)
			}
			if diff := cmp.Diff(tt.want, p.Next(tt.step, l)); diff != "" {
				t.Errorf("Next(%d, %+v) (-want +got):\n%s", tt.step, l, diff)
			}
		})
	}
}
