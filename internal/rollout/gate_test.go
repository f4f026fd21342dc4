package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

const minute = time.Minute

// A plan of two steps of a minute that waits ten minutes for what is not known.
func plan(on rollout.OnUndecided) rollout.Plan {
	return rollout.Plan{
		Steps:    []rollout.Step{{Weight: 50, Hold: rollout.Duration(minute)}, {Weight: 100, Hold: rollout.Duration(minute)}},
		Patience: rollout.Duration(10 * minute), PauseLimit: rollout.Duration(60 * minute), OnUndecided: on,
	}
}

// good is a look at a step of which all is known and well.
func good(gates ...rollout.Gate) rollout.Look {
	return rollout.Look{Verdict: analysis.Healthy, Enough: true, Reason: "fine", Elapsed: minute, Gates: gates}
}

func with(l rollout.Look, change func(*rollout.Look)) rollout.Look {
	change(&l)
	return l
}

func TestGates(t *testing.T) {
	silent := rollout.Gate{Name: "smoke", Limit: 5 * minute}
	says := func(w rollout.Word, reason string, waited time.Duration) rollout.Gate {
		return rollout.Gate{Name: "smoke", Word: w, Reason: reason, Waited: waited, Limit: 5 * minute}
	}
	yes := rollout.Gate{Name: "other", Word: rollout.Yes, Limit: minute}
	for name, tt := range map[string]struct {
		step int
		look rollout.Look
		asks bool // a person is asked, where nothing is known
		want rollout.Decision
	}{
		"no gates":              {0, good(), false, rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "fine"}},
		"an open gate":          {0, good(yes), false, rollout.Decision{Action: rollout.Advance, Step: 1, Reason: `fine; gate "other" says yes`}},
		"open gates at the end": {1, good(yes, yes), false, rollout.Decision{Action: rollout.Promote, Step: 1, Reason: `fine; gate "other" says yes; gate "other" says yes`}},
		"a gate that nobody asked yet is shut": {0, good(silent), false,
			rollout.Decision{Action: rollout.Watch, AskGates: true, After: 5 * minute, Reason: `gate "smoke" is asked`}},
		"one open gate does not open another": {0, good(yes, silent, yes), false,
			rollout.Decision{Action: rollout.Watch, AskGates: true, After: 5 * minute, Reason: `gate "smoke" is asked`}},
		"a word that is none opens nothing": {0, good(says("SUCCEEDED", "", 0)), false,
			rollout.Decision{Action: rollout.Watch, AskGates: true, After: 5 * minute, Reason: `gate "smoke" is asked`}},
		"not yet": {0, good(says(rollout.NotYet, "2 of 3 tests", minute)), false,
			rollout.Decision{Action: rollout.Watch, AskGates: true, After: 4 * minute, Reason: `gate "smoke" says not yet: 2 of 3 tests`}},
		"a refusal goes back": {0, good(yes, silent, says(rollout.No, "p99 is 3 s", minute)), false,
			rollout.Decision{Action: rollout.RollBack, Reason: `gate "smoke" says no: p99 is 3 s`}},
		"a refusal without words": {1, good(says(rollout.No, "", minute)), false,
			rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: `gate "smoke" says no`}},
		"trouble is no verdict": {0, good(says(rollout.NoWord, "smoke.example answered 503", minute)), false,
			rollout.Decision{Action: rollout.Watch, AskGates: true, After: 4 * minute,
				Reason: `gate "smoke" does not answer, which is no verdict on the canary: smoke.example answered 503`}},
		"silence beyond the limit goes back, inconclusive": {0, good(says(rollout.NoWord, "smoke.example answered 503", 5*minute)), false,
			rollout.Decision{Action: rollout.RollBack, Reason: `inconclusive: gate "smoke" gave no answer within 5m0s: smoke.example answered 503`}},
		"not yet beyond the limit goes back, inconclusive": {1, good(says(rollout.NotYet, "", 6*minute)), false,
			rollout.Decision{Action: rollout.RollBack, Step: 1, Reason: `inconclusive: gate "smoke" said not yet for 5m0s`}},
		"the first limit counts": {0, good(silent, rollout.Gate{Name: "quick", Limit: minute, Waited: minute}), false,
			rollout.Decision{Action: rollout.RollBack, Reason: `inconclusive: gate "quick" gave no answer within 1m0s`}},
		"beyond the limit a person is asked, and the gate too": {0, good(says(rollout.NotYet, "", 6*minute)), true,
			rollout.Decision{Action: rollout.Wait, AskGates: true, Needs: rollout.NeedGate, After: 59 * minute,
				Reason: `a person decides: inconclusive: gate "smoke" said not yet for 5m0s`}},
		"nobody answers": {0, good(says(rollout.NotYet, "", 65*minute)), true,
			rollout.Decision{Action: rollout.RollBack, Needs: rollout.NeedGate,
				Reason: `nobody answered within 1h0m0s: a person decides: inconclusive: gate "smoke" said not yet for 5m0s`}},
		"a person goes on without the silent gate": {0, with(good(says(rollout.NotYet, "", 6*minute)), func(l *rollout.Look) { l.Waived = true }), true,
			rollout.Decision{Action: rollout.Advance, Step: 1, Reason: `fine; a person went on without gate "smoke"`}},
		"but not past a refusal": {0, with(good(says(rollout.No, "", 6*minute)), func(l *rollout.Look) { l.Waived = true }), true,
			rollout.Decision{Action: rollout.RollBack, Reason: `gate "smoke" says no`}},
		"gates are asked when the step is over": {0, with(good(silent), func(l *rollout.Look) { l.Elapsed = minute / 2 }), false,
			rollout.Decision{Action: rollout.Watch, After: minute / 2, Reason: "fine"}},
		"and when the canary is known to be good": {0, with(good(silent), func(l *rollout.Look) { l.Verdict, l.Reason = analysis.Inconclusive, "no data" }), false,
			rollout.Decision{Action: rollout.Watch, After: 10 * minute, Reason: "no data"}},
		"an open gate does not help a bad canary": {0, with(good(yes), func(l *rollout.Look) { l.Verdict, l.Reason = analysis.Unhealthy, "errors" }), false,
			rollout.Decision{Action: rollout.RollBack, Reason: "errors"}},
		"a first deployment asks too": {1, with(good(silent), func(l *rollout.Look) { l.First, l.Verdict = true, analysis.Inconclusive }), false,
			rollout.Decision{Action: rollout.Watch, Step: 1, AskGates: true, After: 5 * minute, Reason: `gate "smoke" is asked`}},
		"a person who wants 100 % now does not wait for the gates between": {0, with(good(silent), func(l *rollout.Look) { l.Promote = true }), false,
			rollout.Decision{Action: rollout.Advance, Step: 1, Reason: "a person asked for 100 % now"}},
		"but for those at the end": {1, with(good(silent), func(l *rollout.Look) { l.Promote = true }), false,
			rollout.Decision{Action: rollout.Watch, Step: 1, AskGates: true, After: 5 * minute, Reason: `gate "smoke" is asked`}},
	} {
		t.Run(name, func(t *testing.T) {
			on := rollout.UndecidedRollsBack
			if tt.asks {
				on = rollout.UndecidedAsks
			}
			if diff := cmp.Diff(tt.want, plan(on).Next(tt.step, tt.look)); diff != "" {
				t.Errorf("Next(%d, %+v) (-want +got):\n%s", tt.step, tt.look, diff)
			}
		})
	}
}

// A gate before the first weight is asked by the same rule.
func TestGatesBeforeTheFirstWeight(t *testing.T) {
	for name, tt := range map[string]struct {
		gate   rollout.Gate
		action rollout.Action
		reason string
	}{
		"open":   {rollout.Gate{Name: "smoke", Word: rollout.Yes}, rollout.Advance, `2 of 2 pods ready; gate "smoke" says yes`},
		"shut":   {rollout.Gate{Name: "smoke", Limit: minute}, rollout.Watch, "is asked"},
		"no":     {rollout.Gate{Name: "smoke", Word: rollout.No, Reason: "red"}, rollout.RollBack, "says no: red"},
		"silent": {rollout.Gate{Name: "smoke", Limit: minute, Waited: minute}, rollout.RollBack, "inconclusive"},
	} {
		d := plan(rollout.UndecidedRollsBack).Start(rollout.Look{Reason: "2 of 2 pods ready", Gates: []rollout.Gate{tt.gate}})
		if d.Action != tt.action || d.Step != 0 || !strings.Contains(d.Reason, tt.reason) {
			t.Errorf("%s: Start() = %+v; want %s, step 0, %q", name, d, tt.action, tt.reason)
		}
	}
}
