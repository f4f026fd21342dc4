package spec

import (
	"time"

	"github.com/stepcanary/stepcanary/internal/rollout"
)

// What Step Functions allows an execution.
const (
	// MaxInput is the limit on its input, in bytes.
	MaxInput = 262_144
	// maxEvents is the limit on its history.
	maxEvents = 25_000
)

// What the state machine uses of it. Events are those of
// statemachine/rollout.asl.json, times those of the HealthCheck step: it watches
// a minute at a time, and where more than half an hour is left, or a person is
// asked, it waits between two looks, for a four-hundredth of the whole stretch and
// a minute at least. test/flow holds real histories against this.
const (
	watchSlice    = time.Minute
	watchedToEnd  = 30 * time.Minute
	looksPerHold  = 400
	shortestWait  = time.Minute
	eventsPerTask = 5 // entered, scheduled, started, succeeded, exited
	// eventsPerWatch is HealthCheck or AwaitReady (a task with a token has one event
	// more) and its choice.
	eventsPerWatch = eventsPerTask + 1 + 2
	// eventsPerWait is such a watch and the Hold after it.
	eventsPerWait = eventsPerWatch + eventsPerTask + 1
	// eventsPerShift is ShiftWeight with its choice, once more than in a good rollout.
	eventsPerShift = 2 * (eventsPerTask + 2)
	// eventsFixed is Prepare, DeployCanary, Promote and Rollback with the ends, and
	// room for 60 retries.
	eventsFixed = 4*eventsPerTask + 10 + 60*4
)

// A Budget bounds what a rollout can use of Step Functions.
type Budget struct {
	// Shortest is the sum of the holds: no rollout is faster.
	Shortest time.Duration
	// Longest counts every patience, approval and deadline to the full, and one
	// pause of a person's.
	Longest time.Duration
	// Events is the length of the history in that case, without the pause.
	Events int
}

// Budget counts the worst case of the plan.
func (s Spec) Budget() Budget {
	ready := time.Duration(s.Deadlines.Ready)
	b := Budget{
		Longest: ready + time.Duration(s.PauseLimit) + 2*time.Duration(s.Drain),
		Events:  eventsFixed + eventsPerWatch*int(1+ready/watchSlice),
	}
	for _, step := range s.steps() {
		hold, patience := time.Duration(step.Hold), time.Duration(s.Patience)
		b.Shortest += hold
		if s.Pace == ByEvidence {
			patience += max(0, time.Duration(s.LongestStep)-hold)
		}
		b.Longest += hold + patience + time.Duration(s.Deadlines.Observed)
		b.Events += eventsPerShift + eventsIn(hold) + eventsIn(patience)
		if step.Approve || s.OnUndecided == rollout.UndecidedAsks {
			b.Longest += time.Duration(s.PauseLimit)
			b.Events += eventsOfAsking(time.Duration(s.PauseLimit))
		}
	}
	return b
}

// eventsIn is the number of events of a stretch of one step.
func eventsIn(d time.Duration) int {
	n := eventsPerWatch * int(1+min(d, watchedToEnd)/watchSlice)
	if d > watchedToEnd {
		n += eventsPerWait * int(1+(d-watchedToEnd)/max(shortestWait, d/looksPerHold))
	}
	return n
}

// eventsOfAsking is the number of events while a person is waited for.
func eventsOfAsking(d time.Duration) int {
	return eventsPerWait * int(1+d/max(shortestWait, d/looksPerHold))
}
