// Package story reads the history of an execution and tells what happened in it: which
// versions, which weights, every verdict with its numbers, every decision with its reason.
//
// The history is the one source. The screen that follows a rollout, its status, its report
// and its judgement after the fact are all made from a Story, so they cannot disagree.
package story

import (
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
)

// A Story is one rollout, as far as its history goes.
type Story struct {
	Execution string `json:"execution"`
	Name      string `json:"name"`
	// Rollout is what was decided at the start; nil before that. The addresses of gates and
	// receivers, and what gates are told, may be secrets, so they are not in it.
	Rollout *step.Rollout `json:"rollout,omitempty"`
	Began   time.Time     `json:"began,omitzero"`
	// Ended is zero while it runs.
	Ended time.Time `json:"ended,omitzero"`
	// Outcome is one of the state machine's ends, or Failed, TimedOut, Aborted for an
	// execution that ended outside of them; empty while it runs.
	Outcome string `json:"outcome,omitempty"`
	// Reason is the sentence that goes with the outcome.
	Reason string `json:"reason,omitempty"`
	// Fault is the kind of the error that the execution failed with, where it did.
	Fault fault.Kind `json:"-"`
	// State is the state that the execution is in, Since when.
	State string    `json:"state,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Weight is the last one seen in force; Step counts from 0.
	Weight rollout.Weight `json:"weight"`
	Step   int            `json:"step"`
	// Away tells that it went back and left all users where somebody had sent them: on neither version.
	Away bool `json:"away,omitempty"`
	// Moments are what happened, in order.
	Moments []Moment `json:"moments"`
	// Watch is the last look; nil before the first.
	Watch *step.Watch `json:"-"`
	// Shift is the last shift; nil before the first.
	Shift *step.Shift `json:"-"`
	// Events is the length of the history.
	Events int `json:"events"`
	// Transitions are the state transitions that AWS would charge for.
	Transitions int `json:"transitions"`
	// Token answers the state that waits now. It is a key, so it is never written out.
	Token string `json:"-"`
}

// A Kind says what a moment is.
type Kind string

// Kinds of moments.
const (
	Started  Kind = "started"
	Prepared Kind = "prepared"
	Deployed Kind = "deployed"
	Ready    Kind = "ready"
	Shifted  Kind = "shifted"
	Looked   Kind = "looked"
	Asked    Kind = "asked"
	Holding  Kind = "holding"
	Troubled Kind = "troubled"
	Over     Kind = "over"
)

// A Moment is one thing that happened.
type Moment struct {
	At   time.Time `json:"at"`
	Kind Kind      `json:"kind"`
	// Event is the number of the history's event that tells it.
	Event int64 `json:"event"`
	// Weight is the canary's share in force at that moment.
	Weight rollout.Weight `json:"weight"`
	// Text is one plain sentence.
	Text string `json:"text"`
	// Action is what was decided, for Looked.
	Action rollout.Action `json:"action,omitempty"`
	// Judgement and Intervals are the verdict with its numbers, for Looked.
	Judgement *analysis.Judgement `json:"judgement,omitempty"`
	Intervals []analysis.Interval `json:"intervals,omitempty"`
	// Of is the step that was looked at.
	Of int `json:"of,omitempty"`
	// Trouble is what the metrics source said instead of an answer, for Looked.
	Trouble string `json:"trouble,omitempty"`
}

// Running tells whether the execution goes on.
func (s *Story) Running() bool { return s.Ended.IsZero() }

// Elapsed is how long the rollout has taken by now.
func (s *Story) Elapsed(now time.Time) time.Duration {
	if !s.Ended.IsZero() {
		now = s.Ended
	}
	if s.Began.IsZero() {
		return 0
	}
	return now.Sub(s.Began)
}
