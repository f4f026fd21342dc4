package safety

import (
	"fmt"
	"strconv"
	"strings"
)

// A Fault is one thing that goes wrong at one point of a run.
type Fault struct {
	Kind Kind
	// At is the number of the call, counted from 1 over all calls of all drivers; for the
	// kinds of a function's own, the number of the invocation.
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

// What the world does between two calls.
const (
	// Stop is StopExecution.
	Stop Kind = "stop"
	// Abort, Pause, PauseResume and PromoteNow are a person's.
	Abort       Kind = "abort"
	Pause       Kind = "pause"
	PauseResume Kind = "pause-resume"
	PromoteNow  Kind = "promote-now"
	// Second starts another rollout of the service.
	Second Kind = "second"
	// Redrive redrives the execution an hour after it ended.
	Redrive Kind = "redrive"
	// Edit has a person give all of the route to the version that was stable.
	Edit Kind = "edit"
	// CanaryDies and StableDies take all pods of a version away, for good.
	CanaryDies Kind = "canary-dies"
	StableDies Kind = "stable-dies"
	// Silence ends all data of the metrics source, for good.
	Silence Kind = "silence"
	// Deaf keeps the route's controller from taking up changes for ten minutes.
	Deaf Kind = "deaf"
	// Expire ends the execution by its time limit.
	Expire Kind = "expire"
)

var (
	callKinds   = []Kind{Throttled, Conflicted, Refused, Lost, KillBefore, KillAfter, Stuck}
	invokeKinds = []Kind{Garbage, Twice, Late, VeryLate}
	worldKinds  = []Kind{Stop, Abort, Pause, PauseResume, PromoteNow, Second, Redrive, Edit, CanaryDies, StableDies, Silence, Deaf, Expire}
)

func known(k Kind) bool { return among(k, callKinds) || among(k, invokeKinds) || among(k, worldKinds) }

func among(k Kind, kinds []Kind) bool {
	for _, x := range kinds {
		if x == k {
			return true
		}
	}
	return false
}

// Singles are all faults of a run that makes so many calls and invocations.
func Singles(calls, invocations int) []Fault {
	var out []Fault
	for at := 1; at <= calls; at++ {
		for _, k := range callKinds {
			out = append(out, Fault{k, at})
		}
		for _, k := range worldKinds {
			out = append(out, Fault{k, at})
		}
	}
	for at := 1; at <= invocations; at++ {
		for _, k := range invokeKinds {
			out = append(out, Fault{k, at})
		}
	}
	return out
}
