package rollout

import (
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// An Action is what the state machine does next. The values are what its Choice
// states compare.
type Action string

const (
	// Watch is another look at the same weight. It is what an undecided moment gets.
	Watch Action = "watch"
	// Wait is Watch with a long time until the next look: nothing runs meanwhile.
	Wait Action = "wait"
	// Advance writes the weight of the decision's step.
	Advance Action = "advance"
	// Promote ends the rollout on the canary.
	Promote Action = "promote"
	// RollBack ends the rollout on stable.
	RollBack Action = "rollback"
)

// A Wish is what a person asked for in the middle of a hold.
type Wish string

const (
	// NoWish leaves the rollout to its plan.
	NoWish Wish = ""
	// WishPause holds the step until resumed, or until the pause limit.
	WishPause Wish = "pause"
	// WishResume ends a pause and gives a step its approval.
	WishResume Wish = "resume"
	// WishPromote goes to 100 % now. The bake is still judged.
	WishPromote Wish = "promote"
)

// A Look is what is known at one moment of a step.
type Look struct {
	// Verdict, Hold, Enough and Exhausted are the judge's; Reason is its sentence.
	Verdict analysis.Verdict
	// Hold tells that the evidence forbids to advance, without yet calling for the way back.
	Hold bool
	// Enough tells that the step has the proof that its pace and weight ask for.
	Enough bool
	// Exhausted tells that a limit bore as many inconclusive checks as it may.
	Exhausted bool
	Reason    string
	// Broken is why the canary cannot serve, in Kubernetes' words; empty while it can.
	Broken string
	// Elapsed is the time since the step's weight was seen in force.
	Elapsed time.Duration
	// Paused is the time since a person paused the step; zero while it is not.
	Paused time.Duration
	// Approved tells that a person said yes to leaving this step.
	Approved bool
	// Promote tells that a person wants 100 % now.
	Promote bool
	// Decided tells that a person who was asked, because nothing could be told in this step, wants 100 %.
	Decided bool
	// First tells that there is no stable version: nothing to compare with, and
	// nothing to go back to but what was there before, which is nothing.
	First bool
	// Gates are those that stand before the next move, asked or not.
	Gates []Gate
	// Waived tells that a person let the rollout go on without the gates that keep silent.
	Waived bool
}

// A Decision is what to do next and why, in one sentence.
type Decision struct {
	Action Action `json:"action"`
	// Step is the step to be in, counted from 0.
	Step   int    `json:"step"`
	Reason string `json:"reason"`
	// After is when to look again, for Watch and Wait: the step's own next moment.
	After time.Duration `json:"-"`
	// AskGates tells that nothing but gates stands before the next move.
	AskGates bool `json:"-"`
	// Needs is what is wanted of a person, for Wait.
	Needs Need `json:"-"`
}

// Next says what to do with a canary in step i. The order of the rules is their
// rank: harm first, then people, then evidence, then the clock. Gates are asked last, so that
// their answer is of the moment in which the step is left.
func (p Plan) Next(i int, l Look) Decision {
	step := p.Steps[i]
	stay := func(after time.Duration, reason string) Decision {
		return Decision{Action: Watch, Step: i, Reason: reason, After: after}
	}
	back := func(reason string) Decision { return Decision{Action: RollBack, Step: i, Reason: reason} }

	if l.Broken != "" {
		return back(l.Broken)
	}
	if l.Verdict == analysis.Unhealthy {
		return back(l.Reason)
	}
	if l.Paused > 0 {
		left := time.Duration(p.PauseLimit) - l.Paused
		if left <= 0 {
			return back(fmt.Sprintf("paused for %v, which is the limit", p.PauseLimit))
		}
		return Decision{Action: Wait, Step: i, Reason: "paused", After: left, Needs: NeedResume}
	}
	if l.Promote && i < len(p.Steps)-1 {
		return Decision{Action: Advance, Step: len(p.Steps) - 1, Reason: "a person asked for 100 % now"}
	}
	if left := p.atLeast(i) - l.Elapsed; left > 0 {
		return stay(left, l.Reason)
	}
	if reason := p.undecided(l); reason != "" {
		if !l.Decided {
			return p.bear(i, l, reason)
		}
		l.Reason = "a person decided: " + reason
	}
	if step.Approve && !l.Approved {
		d := p.ask(i, l.Elapsed-p.atLeast(i), "waiting for a person's word")
		d.Needs = NeedApproval
		return d
	}
	if d, shut := p.shut(i, l); shut {
		return d
	}
	reason := l.Reason + l.passed()
	if i == len(p.Steps)-1 {
		return Decision{Action: Promote, Step: i, Reason: reason}
	}
	return Decision{Action: Advance, Step: i + 1, Reason: reason}
}

// atLeast is the least time in step i.
func (p Plan) atLeast(i int) time.Duration { return time.Duration(p.Steps[i].Hold) }

// undecided gives the reason why the evidence does not let the step be left, or
// nothing. A first deployment needs no evidence but Kubernetes': there is no
// stable version whose users it could harm, and often nobody uses it yet.
func (p Plan) undecided(l Look) string {
	switch {
	case l.First:
		return ""
	case l.Verdict == analysis.Inconclusive, l.Hold:
		return l.Reason
	case !l.Enough:
		return l.Reason
	}
	return ""
}

// bear holds an undecided step for as long as there is patience.
func (p Plan) bear(i int, l Look, reason string) Decision {
	patience := time.Duration(p.Patience)
	if p.Evidence && l.Verdict != analysis.Inconclusive && !l.Hold {
		patience += max(0, time.Duration(p.Cap)-p.atLeast(i))
	}
	over := l.Elapsed - p.atLeast(i)
	if over < patience && !l.Exhausted {
		return Decision{Action: Watch, Step: i, Reason: reason, After: patience - over}
	}
	if p.OnUndecided == UndecidedAsks {
		d := p.ask(i, over-patience, "nothing could be told, a person decides by promote or abort: "+reason)
		if d.Needs = NeedVerdict; d.Action == RollBack && l.Approved {
			d.Reason += "; that the step may go on was said, and is no verdict"
		}
		return d
	}
	return Decision{Action: RollBack, Step: i, Reason: fmt.Sprintf("held for %v and still not known: %s",
		over.Round(time.Second), reason)}
}

// ask waits for a person, who has been asked for the given time already.
func (p Plan) ask(i int, asked time.Duration, reason string) Decision {
	left := time.Duration(p.PauseLimit) - asked
	if left <= 0 {
		return Decision{Action: RollBack, Step: i, Reason: fmt.Sprintf("nobody answered within %v: %s", p.PauseLimit, reason)}
	}
	return Decision{Action: Wait, Step: i, Reason: reason, After: left}
}
