package analysis

import "time"

// A State is what one look hands to the next. Its zero value is the start of a
// rollout. It travels as JSON in the rollout's document, a few kilobytes at
// most, and holds sums only: never the clock, never an opinion that could not
// be computed again from the same intervals.
type State struct {
	// Step counts from 0; [State.NextStep] raises it.
	Step int `json:"step"`
	// Baking is set while the canary has all traffic; see [State.Bake].
	Baking bool `json:"baking,omitempty"`
	// Since is where the rollout's first interval began, From where the step's did.
	Since time.Time `json:"since,omitzero"`
	From  time.Time `json:"from,omitzero"`
	// Until is the end of the last interval counted. Older ones are ignored.
	Until time.Time `json:"until,omitzero"`
}

// NextStep is the state to go on with once the next weight is in force. The
// limits' counts begin anew, and the comparison starts a fresh process beside
// the old ones, so that a regression that begins late is not hidden by what
// was good before.
func (s State) NextStep() State {
	s.Step++
	s.From = time.Time{}
	return s
}

// Bake is the state to go on with once the canary has all traffic.
func (s State) Bake() State {
	s = s.NextStep()
	s.Baking = true
	return s
}
