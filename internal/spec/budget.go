package spec

import (
	"time"

	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// What Step Functions allows an execution.
const (
	// MaxInput is the most bytes of its input. Step Functions takes 262,144, and no more of what a state
	// gets: DeployCanary gets the input together with what was decided, so room is left for that.
	MaxInput = 196_608
	// maxFields is the most bytes of the input without the template. What is decided repeats
	// some of them, beside a list of up to a hundred steps.
	maxFields = 32_768
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
	// eventsPerShift is ShiftWeight with its choice, which awaits the weight for shiftSlice.
	eventsPerShift = eventsPerTask + 2
	shiftSlice     = 20 * time.Second
	// eventsPerTurn is a look for one's turn: a task scheduled, started and failed; queueEvery is the longest
	// time between two.
	eventsPerTurn = 3
	queueEvery    = 30 * time.Second
	// States are entered once: Prepare, DeployCanary, AwaitReady and its choice before the first weight,
	// Promote and Promoted in the end; for each weight ShiftWeight, for each look HealthCheck, both with
	// their choices; for a wait such a look and Hold.
	statesBefore   = 4
	statesAfter    = 2
	statesPerShift = 2
	statesPerLook  = 2
	statesPerWait  = statesPerLook + 1
	// eventsFixed is Prepare, DeployCanary, Promote and Rollback with the ends, and
	// room for 60 retries.
	eventsFixed = 4*eventsPerTask + 10 + 60*4
)

// A Budget bounds what a rollout can use of Step Functions.
type Budget struct {
	// Shortest is the sum of the holds: no rollout is faster. Takes knows what the metrics source adds.
	Shortest time.Duration
	// Longest counts every patience, approval and deadline to the full, and one
	// pause of a person's.
	Longest time.Duration
	// Events is the length of the history in that case, without the pause.
	Events int
}

// Budget counts the worst case of the plan.
func (s Spec) Budget() Budget {
	ready, observed := time.Duration(s.Deadlines.Ready), time.Duration(s.Deadlines.Observed)
	b := Budget{ // the new back end is awaited as a weight is
		Longest: ready + observed + time.Duration(s.PauseLimit) + 2*time.Duration(s.Drain),
		Events:  eventsFixed + eventsPerWatch*int(1+(ready+observed)/watchSlice),
	}
	if queue := time.Duration(s.Queue); queue > 0 {
		b.Longest += queue + queueEvery
		b.Events += eventsPerTurn * int(6+queue/queueEvery)
	}
	s.gates(&b, BeforeRollout, func(d time.Duration) int { return eventsPerWatch * int(1+d/watchSlice) })
	steps := s.steps()
	for i, step := range steps {
		hold, patience := time.Duration(step.Hold), time.Duration(s.Patience)
		b.Shortest += hold
		if s.Pace == ByEvidence {
			patience += max(0, time.Duration(s.LongestStep)-hold)
		}
		b.Longest += hold + patience + observed
		b.Events += eventsPerShift*int(2+observed/shiftSlice) + eventsIn(hold) + eventsIn(patience)
		if step.Approve || s.OnUndecided == rollout.UndecidedAsks {
			b.Longest += time.Duration(s.PauseLimit)
			b.Events += eventsOfAsking(time.Duration(s.PauseLimit))
		}
		phase := BeforeStep
		if i == len(steps)-1 {
			phase = BeforePromotion
		}
		s.gates(&b, phase, eventsIn)
	}
	return b
}

// Takes is the least time of each step: its hold, and no less than its metrics source needs to tell of an
// interval, or by evidence of wait_time. The zero pace is a source that tells everything at once.
func (s Spec) Takes(source metric.Pace) []time.Duration {
	interval, told := s.Told(source)
	if s.Pace == ByEvidence && interval > 0 {
		told += interval * max(0, (time.Duration(s.WaitTime)-1)/interval)
	}
	var out []time.Duration
	for _, step := range s.steps() {
		out = append(out, max(time.Duration(step.Hold), told))
	}
	return out
}

// Told is the length of the intervals that a source of this pace is read in, and when it has told of a
// step's first one at best. Both are zero where no source is read.
func (s Spec) Told(source metric.Pace) (interval, first time.Duration) {
	if source.Every <= 0 || s.Strategy == Replace {
		return 0, 0
	}
	mark := time.Time{} // of every grid
	w, next, _ := source.Window(mark, mark, time.Duration(s.Analysis.Interval), 1)
	return w.Every, next.Sub(mark)
}

// A Use is what AWS counts of a rollout.
type Use struct {
	Transitions int
	// Functions is how long they run: watching does, waiting does not.
	Functions time.Duration
}

// Use counts what a good rollout takes with a source of this pace, where pods are ready at once and people
// and gates say yes at once.
func (s Spec) Use(source metric.Pace) Use {
	u := Use{Transitions: statesBefore + statesAfter, Functions: time.Duration(s.Drain)}
	takes := s.Takes(source)
	for i, step := range s.steps() {
		hold := time.Duration(step.Hold)
		looks, waits := course(hold)
		more, _ := course(takes[i] - hold) // patience, of which no source needs half an hour
		u.Transitions += statesPerShift + statesPerLook*max(1, looks+more) + statesPerWait*waits
		u.Functions += takes[i] - time.Duration(waits)*waitOf(hold)
		if step.Approve {
			u.Transitions += statesPerWait
		}
	}
	return u
}

// course is how a stretch of one step goes if nothing happens: waits with a look before each, and looks from
// then to its end.
func course(d time.Duration) (looks, waits int) {
	if d <= 0 {
		return 0, 0
	}
	cycle := watchSlice + waitOf(d)
	if over := d - watchSlice - watchedToEnd; over > 0 {
		waits = int((over + cycle - 1) / cycle)
	}
	return int((d - time.Duration(waits)*cycle + watchSlice - 1) / watchSlice), waits
}

// waitOf is the time between two looks of a long stretch.
func waitOf(d time.Duration) time.Duration { return max(shortestWait, d/looksPerHold) }

// gates counts what the gates of a phase can take at one place: the longest of their limits, and
// the time for a person who is asked then.
func (s Spec) gates(b *Budget, phase string, events func(time.Duration) int) {
	longest := time.Duration(0)
	for _, w := range s.Webhooks {
		if w.Phase == phase {
			longest = max(longest, time.Duration(w.Limit))
		}
	}
	if longest == 0 {
		return
	}
	b.Longest += longest
	b.Events += events(longest)
	if s.OnUndecided == rollout.UndecidedAsks {
		b.Longest += time.Duration(s.PauseLimit)
		b.Events += max(events(time.Duration(s.PauseLimit)), eventsOfAsking(time.Duration(s.PauseLimit)))
	}
}

// eventsIn is the number of events of a stretch of one step.
func eventsIn(d time.Duration) int {
	n := eventsPerWatch * int(1+min(d, watchedToEnd)/watchSlice)
	if d > watchedToEnd {
		n += eventsPerWait * int(1+(d-watchedToEnd)/waitOf(d))
	}
	return n
}

// eventsOfAsking is the number of events while a person is waited for.
func eventsOfAsking(d time.Duration) int {
	return eventsPerWait * int(1+d/waitOf(d))
}
