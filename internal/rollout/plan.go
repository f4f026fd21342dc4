// Package rollout decides how traffic moves from a stable version to a canary.
//
// It holds rules only. Time, verdicts and requests come in as values, and the
// decision goes out as a value, so every rule is tested without a cluster.
package rollout

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Weight is the canary's share of requests in percent, 0 to 100. Stable gets
// the rest.
type Weight int

// A Duration is a time.Duration that travels through the state machine as a
// number of seconds, which is what its Wait and timeout fields read.
type Duration time.Duration

// MarshalJSON writes seconds, with a fraction only where there is one.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(d).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads seconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	s, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("duration %s: %w", b, err)
	}
	*d = Duration(s * float64(time.Second))
	return nil
}

// String writes the duration as Go does, such as 1m30s.
func (d Duration) String() string { return time.Duration(d).String() }

// A Step is one weight and what must have happened before the next.
type Step struct {
	Weight Weight `json:"weight"`
	// Hold is the least time at this weight, counted from the moment it was seen
	// in force. At 100 it is the bake.
	Hold Duration `json:"hold"`
	// Approve asks for a person's word before the step is left.
	Approve bool `json:"approve,omitempty"`
}

// OnUndecided says what happens when a step's patience is over and nothing could
// be told about the canary.
type OnUndecided string

const (
	// UndecidedRollsBack is the default: never promoted on silence.
	UndecidedRollsBack OnUndecided = "rollback"
	// UndecidedAsks holds the step until a person decides.
	UndecidedAsks OnUndecided = "ask"
)

// A Plan is a rollout, decided before it starts. The last step's weight is 100.
type Plan struct {
	Steps []Step `json:"steps"`
	// Patience is how long an inconclusive step is held beyond its Hold, in all.
	Patience Duration `json:"patience"`
	// PauseLimit is how long a pause, or a wait for a person's word, may last
	// before the rollout goes back.
	PauseLimit Duration `json:"pause_limit"`
	// OnUndecided says what then.
	OnUndecided OnUndecided `json:"on_undecided,omitempty"`
	// Evidence paces the steps by evidence: a step is left as soon as enough is
	// known, Hold being the least and Cap the longest time.
	Evidence bool     `json:"evidence,omitempty"`
	Cap      Duration `json:"cap,omitempty"`
}

// Linear gives the steps of a constant increment: every multiple of it below
// 100, and 100. An increment that does not divide 100 makes a short last step.
func Linear(increment Weight, hold Duration) []Step {
	var steps []Step
	for w := increment; w < 100; w += increment {
		steps = append(steps, Step{Weight: w, Hold: hold})
	}
	return append(steps, Step{Weight: 100, Hold: hold})
}

// Validate tells whether the steps rise from at least 1 to exactly 100.
func (p Plan) Validate() error {
	if len(p.Steps) == 0 {
		return fmt.Errorf("steps: none; at least one, ending at 100, is expected")
	}
	last := Weight(0)
	for i, s := range p.Steps {
		if s.Weight <= last {
			return fmt.Errorf("steps[%d]: %d is not above %d", i, s.Weight, last)
		}
		if s.Weight > 100 {
			return fmt.Errorf("steps[%d]: %d is above 100", i, s.Weight)
		}
		if s.Hold < 0 {
			return fmt.Errorf("steps[%d]: hold %v is negative", i, s.Hold)
		}
		last = s.Weight
	}
	if last != 100 {
		return fmt.Errorf("steps[%d]: the last step is %d, and 100 is expected", len(p.Steps)-1, last)
	}
	return nil
}

// A Fence orders the writers of a route. It is written on the route with every
// change of weights, and a writer with an older fence is turned away.
type Fence struct {
	// Epoch counts the acquisitions of the service's lock: a later rollout has a
	// higher one.
	Epoch int64 `json:"epoch"`
	// Seq orders the writes within one rollout. The way back has Last.
	Seq int64 `json:"seq"`
}

// Last is the sequence number of a rollout's way back: nothing of the same
// rollout may write after it.
const Last = int64(1) << 30

// Before tells whether f is older than g.
func (f Fence) Before(g Fence) bool {
	return f.Epoch < g.Epoch || f.Epoch == g.Epoch && f.Seq < g.Seq
}

// String writes the fence as it stands in a route's annotation: "7.3".
func (f Fence) String() string { return fmt.Sprintf("%d.%d", f.Epoch, f.Seq) }

// ParseFence reads what String wrote. The empty string is the zero fence, which
// is older than every other.
func ParseFence(s string) (Fence, error) {
	if s == "" {
		return Fence{}, nil
	}
	epoch, seq, ok := strings.Cut(s, ".")
	var f Fence
	var err1, err2 error
	f.Epoch, err1 = strconv.ParseInt(epoch, 10, 64)
	f.Seq, err2 = strconv.ParseInt(seq, 10, 64)
	if !ok || err1 != nil || err2 != nil || f.Epoch < 0 || f.Seq < 0 {
		return Fence{}, fmt.Errorf("fence %q: EPOCH.SEQ is expected, such as 7.3", s)
	}
	return f, nil
}
