package analysis

import (
	"maps"
	"slices"
	"time"
)

// A State is what one look hands to the next. Its zero value is the start of a
// rollout. It travels as JSON in the rollout's document, a few kilobytes, and
// follows from the intervals alone: replay them and it is the same.
type State struct {
	// Step counts from 0; [State.NextStep] raises it.
	Step int `json:"step"`
	// Baking is set while the canary has all traffic; see [State.Bake].
	Baking bool `json:"baking,omitempty"`
	// Since is where the rollout's first interval began, From where the step's
	// first interval with data did: before it, silence is not yet a gap.
	Since time.Time `json:"since,omitzero"`
	From  time.Time `json:"from,omitzero"`
	// Until is the end of the last interval counted. Older ones are ignored.
	Until time.Time `json:"until,omitzero"`

	// Seen is the step's time with data on the canary, Compared the time with
	// data on both versions, where both have traffic.
	Seen     time.Duration `json:"seen,omitempty"`
	Compared time.Duration `json:"compared,omitempty"`
	// Silent says that the last interval had no data.
	Silent bool `json:"silent,omitempty"`
	// Alone says that the canary had all traffic in the last interval.
	Alone bool `json:"alone,omitempty"`

	// Canary and Stable are the step's sums.
	Canary Counts `json:"canary,omitzero"`
	Stable Counts `json:"stable,omitzero"`

	// Starts counts the processes begun, Restart asks for another.
	Starts  int  `json:"starts,omitempty"`
	Restart bool `json:"restart,omitempty"`
	// Processes are the evidence on errors and then on each latency bound.
	Processes []Process `json:"processes,omitempty"`
	// Router is the evidence that the canary does not get its share.
	Router Share `json:"router,omitzero"`
	// Recent is the tail of the step that the limits' windows look back on.
	Recent []slot `json:"recent,omitempty"`
	// Checks are the limits' counts, in the policy's order.
	Checks []Check `json:"checks,omitempty"`
	// Failed is why the canary is Unhealthy. It stays once it is there.
	Failed *Failure `json:"failed,omitempty"`
}

// A Failure is the moment that a measure found the canary unhealthy.
type Failure struct {
	At      time.Time `json:"at"`
	Measure string    `json:"measure"`
	Reason  string    `json:"reason"`
}

// A Check is what a limit carries from one check to the next within a step.
type Check struct {
	At           time.Time `json:"at,omitzero"`
	Failures     int       `json:"failures,omitempty"`
	Inconclusive int       `json:"inconclusive,omitempty"` // in a row
	Last         Measure   `json:"last,omitzero"`
}

// NextStep is the state to go on with once the next weight is in force. The
// limits' counts begin anew, and the comparison starts a fresh process beside
// the old ones, so that a regression that begins late is not hidden by what
// was good before.
func (s State) NextStep() State {
	s.Processes = slices.Clone(s.Processes)
	for i := range s.Processes {
		s.Processes[i].Lone, s.Processes[i].Step = Total{}, Total{}
	}
	return State{
		Step: s.Step + 1, Baking: s.Baking, Since: s.Since, Until: s.Until,
		Starts: s.Starts, Restart: true, Processes: s.Processes, Failed: s.Failed,
	}
}

// Bake is the state to go on with once the canary has all traffic: a step of
// its own, with evidence of its own. The comparison's processes then take on
// mass with time (the Shiryaev-Roberts form), because a regression may begin
// at any moment of the bake.
func (s State) Bake() State {
	s = s.NextStep()
	s.Baking = true
	for i := range s.Processes {
		s.Processes[i].Bad, s.Processes[i].Hold = nil, nil
	}
	return s
}

func (s State) clone() State {
	s.Processes = slices.Clone(s.Processes)
	for i := range s.Processes {
		s.Processes[i] = s.Processes[i].clone()
	}
	s.Canary.Slow, s.Stable.Slow = slices.Clone(s.Canary.Slow), slices.Clone(s.Stable.Slow)
	s.Router = s.Router.clone()
	s.Checks = slices.Clone(s.Checks)
	s.Recent = slices.Clone(s.Recent)
	for i, r := range s.Recent {
		s.Recent[i].Counts.Slow, s.Recent[i].Values = slices.Clone(r.Counts.Slow), maps.Clone(r.Values)
	}
	return s
}

// elapsed is the step's observed time.
func (s State) elapsed() time.Duration {
	if s.From.IsZero() {
		return 0
	}
	return s.Until.Sub(s.From)
}
