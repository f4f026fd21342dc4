// Package fault names the kinds of error that the state machine may catch.
//
// A kind is wrapped into an error with %w next to its cause, anywhere below; the
// one adapter at the edge (internal/task) gives it to the state machine
// as the error's name, because Lambda reports an error by its outermost type.
package fault

import "errors"

// A Kind is the name that ErrorEquals in statemachine/rollout.asl.json matches.
type Kind string

const (
	// Invalid is input that no retry can mend. Nothing was changed.
	Invalid Kind = "Canary.Invalid"
	// Refused is a rollout that may not start now: another one holds the lock, the
	// service is frozen, or nothing could judge it. Nothing was changed.
	Refused Kind = "Canary.Refused"
	// Queued is a rollout that waits for its turn. Nothing was changed but the queue in the
	// record, and asking again later is how it waits.
	Queued Kind = "Canary.Queued"
	// Transient is a failure of something outside that may be gone in a moment:
	// throttling, a 5xx answer, a time-out. Repeating is safe, because every step is
	// goal-seeking.
	Transient Kind = "Canary.Transient"
	// Conflict is a write that lost against another writer. Reading again and
	// deciding anew is the cure.
	Conflict Kind = "Canary.Conflict"
	// Fenced is a write by a rollout, or by a part of one, whose time is over.
	// Nothing was changed, and repeating will not help.
	Fenced Kind = "Canary.Fenced"
	// NotReady is a version that did not become ready within its deadline, or for
	// which Kubernetes says why it never will.
	NotReady Kind = "Canary.NotReady"
	// NotObserved is a weight that was written and did not come into force.
	NotObserved Kind = "Canary.NotObserved"
	// NotFound is an object that the task needs and that does not exist.
	NotFound Kind = "Canary.NotFound"
	// Aborted is a person's, or an alarm's, order to go back.
	Aborted Kind = "Canary.Aborted"
	// Asked is a person's request in the middle of a hold: promote, pause, resume.
	// The request itself is the cause.
	Asked Kind = "Canary.Asked"
	// Internal is every other error: a defect of ours, or something not foreseen.
	Internal Kind = "Canary.Internal"
)

// Error gives the kind's name, so that a Kind can be wrapped.
func (k Kind) Error() string { return string(k) }

// Of gives the kind of err: the outermost one that was wrapped into it, or
// Internal where none was.
func Of(err error) Kind {
	kind := Internal
	errors.As(err, &kind)
	return kind
}
