package safety

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Fault is one thing that goes wrong at one point of a run.
type Fault struct {
	Kind Kind
	// At is the number of the point, counted from 1: a point is the moment before a call of a
	// driver, before a function's return, or in the middle of a Hold. For the kinds of an
	// invocation it is the invocation's number, for those of a commit the commit's.
	At int
}

// String is how a fault is written in a report and read back: kill-after@17.
func (f Fault) String() string { return fmt.Sprintf("%s@%d", f.Kind, f.At) }

// ParseFaults reads what Faults were written as, with commas between.
func ParseFaults(s string) ([]Fault, error) {
	var out []Fault
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		kind, at, ok := strings.Cut(part, "@")
		n, err := strconv.Atoi(at)
		if !ok || err != nil || !known(Kind(kind)) {
			return nil, fmt.Errorf("fault %q: KIND@NUMBER is expected, such as kill-after@17", part)
		}
		out = append(out, Fault{Kind(kind), n})
	}
	return out, nil
}

// A Kind is a way in which something goes wrong.
type Kind string

// Faults of a call: what the function that makes it gets to see.
const (
	// Throttled is a 429 or a 5xx: nothing happened, and trying again may help.
	Throttled Kind = "throttled"
	// Conflicted is a 409: somebody else wrote first.
	Conflicted Kind = "conflicted"
	// Refused is a 403 or 422: nothing happened, and nothing will.
	Refused Kind = "refused"
	// Lost is an answer that does not arrive: the call took effect, and the caller sees
	// a time-out.
	Lost Kind = "lost"
	// KillBefore and KillAfter end the function at once, before the call and after it took effect.
	KillBefore Kind = "kill-before"
	KillAfter  Kind = "kill-after"
	// Stuck keeps the call for half an hour of virtual time and makes it then: the task has timed
	// out long ago, and its write comes late.
	Stuck Kind = "stuck"
)

// Faults of an invocation.
const (
	// Garbage is an answer that the state machine cannot use, which ends in States.Runtime:
	// no Catch sees it.
	Garbage Kind = "garbage"
	// Twice runs the function two times in a row and takes the second answer.
	Twice Kind = "twice"
	// Late runs the function once more, ten minutes later.
	Late Kind = "late"
	// VeryLate runs it once more when the rollout has ended.
	VeryLate Kind = "very-late"
)

// Faults of the local engine, whose store outlives it.
const (
	// Crash ends the engine's process at a point, with the functions that run in it, as kill -9
	// does; another engine starts on the same store at once, and calls them again.
	Crash Kind = "crash"
	// Restart does the same where the functions run elsewhere: they live on, beside those that
	// the new engine calls.
	Restart Kind = "restart"
	// Uncommitted and Committed end the process when the engine stores an execution's
	// progress: right before that is stored, and right after.
	Uncommitted Kind = "uncommitted"
	Committed   Kind = "committed"
)

// What the world does between two calls.
const (
	// Stop is StopExecution.
	Stop Kind = "stop"
	// Orphan is StopExecution, and the rule on ended executions is never told: nobody goes back before the next rollout.
	Orphan Kind = "orphan"
	// Expire ends the execution by its time limit.
	Expire Kind = "expire"
	// Abort, Pause, Resume, PauseResume and PromoteNow are a person's.
	Abort       Kind = "abort"
	Pause       Kind = "pause"
	Resume      Kind = "resume"
	PauseResume Kind = "pause-resume"
	PromoteNow  Kind = "promote-now"
	// Second starts another rollout of the service.
	Second Kind = "second"
	// Redrive redrives the execution an hour later.
	Redrive Kind = "redrive"
	// Edit has a person give all of the route to the version that was stable.
	Edit Kind = "edit"
	// CanaryDies and StableDies take all pods of a version away, for good.
	CanaryDies Kind = "canary-dies"
	StableDies Kind = "stable-dies"
	// StableBlinks takes stable's pods away for a minute.
	StableBlinks Kind = "stable-blinks"
	// Silence ends all data of the metrics source, for good; SilenceEnds for a minute. SourceDown has the source
	// answer nothing any more.
	Silence     Kind = "silence"
	SilenceEnds Kind = "silence-ends"
	SourceDown  Kind = "source-down"
	// RouteGone deletes the route; 30 s later whoever keeps it in Git puts it back, with all of it for the version
	// that is recorded as stable then. A route that nobody puts back leaves nobody to be served at all, so there would
	// be nothing to check.
	RouteGone Kind = "route-gone"
	// LeaseGone deletes the service's Lease, HolderEmptied empties its holder.
	LeaseGone     Kind = "lease-gone"
	HolderEmptied Kind = "holder-emptied"
	// Deaf keeps the route's controller from taking up changes for ten minutes.
	Deaf Kind = "deaf"
)

// What a gate says to its next question, and to all that follow.
const (
	// GateNo is a no, GateNonsense a page to log in.
	GateNo       Kind = "gate-no"
	GateNonsense Kind = "gate-nonsense"
	// GateSilent is no answer within the time of one.
	GateSilent Kind = "gate-silent"
)

// The kinds, by what they strike at.
var (
	worldKinds = []Kind{Stop, Orphan, Expire, Abort, Pause, Resume, PauseResume, PromoteNow, Second, Redrive, Edit,
		CanaryDies, StableDies, StableBlinks, Silence, SilenceEnds, SourceDown, Deaf, RouteGone, LeaseGone, HolderEmptied}
	gateKinds   = []Kind{GateNo, GateNonsense, GateSilent}
	engineKinds = []Kind{Crash, Restart}
	callKinds   = []Kind{Throttled, Conflicted, Refused, Lost, KillBefore, KillAfter, Stuck}
	invokeKinds = []Kind{Garbage, Twice, Late, VeryLate}
	commitKinds = []Kind{Uncommitted, Committed}
)

// calm are the kinds that do not stand against what a person asks for.
var calm = append([]Kind{Abort, Pause, Resume, PauseResume, PromoteNow, Silence, SilenceEnds, SourceDown}, gateKinds...)

// delays are what a fault may add to an execution's time.
var delays = map[Kind]time.Duration{
	Stuck: 30 * time.Minute, Deaf: deafFor, RouteGone: putBackAfter, StableBlinks: time.Minute, SilenceEnds: time.Minute,
}

// deafFor is how long a controller is deaf, putBackAfter how long a route is away.
const (
	deafFor      = 10 * time.Minute
	putBackAfter = 30 * time.Second
)

func known(k Kind) bool {
	return slices.Contains(slices.Concat(worldKinds, gateKinds, engineKinds, callKinds, invokeKinds, commitKinds), k)
}

// ends tells whether a kind decides what becomes of the call that it strikes at: two such kinds
// at one call are not two faults.
func (k Kind) ends() bool { return slices.Contains(callKinds, k) || k == Crash }

// A Place is how far a run has come: what it has counted.
type Place struct{ Points, Invocations, Commits int }

// Singles are all faults of a run that made these calls, so many invocations and so many commits,
// beyond the place where to begin.
func Singles(from, to Place, ops []string) []Fault {
	var out []Fault
	add := func(at int, kinds ...Kind) {
		for _, k := range kinds {
			out = append(out, Fault{k, at})
		}
	}
	for at := from.Points + 1; at <= to.Points; at++ {
		add(at, worldKinds...)
		if ops[at-1] == asking {
			add(at, gateKinds...)
		}
		if !aside(ops[at-1]) {
			add(at, engineKinds...)
			add(at, callKinds...)
		}
	}
	for at := from.Invocations + 1; at <= to.Invocations; at++ {
		add(at, invokeKinds...)
	}
	for at := from.Commits + 1; at <= to.Commits; at++ {
		add(at, commitKinds...)
	}
	return out
}

// Points that are no calls: the world alone acts there.
const (
	returning = "return"
	waiting   = "wait"
)

func aside(op string) bool { return op == returning || op == waiting }
