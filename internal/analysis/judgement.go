package analysis

import "time"

// A Judgement is a verdict with everything that led to it.
type Judgement struct {
	Verdict Verdict `json:"verdict"`
	// Hold says that the hold line is crossed: do not advance, do not roll back yet.
	Hold bool `json:"hold,omitempty"`
	// Enough says that the step has lasted long enough and has the proof that
	// its pace asks for. Healthy and Enough together let a rollout go on.
	Enough bool `json:"enough,omitempty"`
	// Overdue says that the pace's cap has passed without proof.
	Overdue bool `json:"overdue,omitempty"`
	// Exhausted says that a limit had more inconclusive checks in a row than it allows.
	Exhausted bool `json:"exhausted,omitempty"`
	// Reason is one plain sentence with the numbers.
	Reason string `json:"reason"`
	// Measures are the parts, required and advisory, worst first.
	Measures []Measure `json:"measures,omitempty"`
	// Canary and Stable are the step's totals.
	Canary Total `json:"canary"`
	Stable Total `json:"stable"`
	// From and To span the step's intervals.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Missing is the share of that time without data, 0 to 1.
	Missing    float64    `json:"missing,omitempty"`
	Detectable Detectable `json:"detectable,omitzero"`
}

// Window is the time judged.
func (j Judgement) Window() time.Duration { return j.To.Sub(j.From) }

// A Total is the sum of known counts.
type Total struct {
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
}

// Rate is errors by requests, 0 without requests.
func (t Total) Rate() float64 {
	if t.Requests <= 0 {
		return 0
	}
	return float64(t.Errors) / float64(t.Requests)
}

// A Measure is one line of a judgement. Its counts are those of its own
// window; for latency, Errors are the requests slower than the bound.
type Measure struct {
	Name    string        `json:"name"`
	Verdict Verdict       `json:"verdict"`
	Window  time.Duration `json:"window,omitempty"`
	Canary  Total         `json:"canary"`
	Stable  Total         `json:"stable,omitzero"`
	// Value and Bound of a limit, in its kind's unit.
	Value float64 `json:"value,omitempty"`
	Bound float64 `json:"bound,omitempty"`
	// Bad and Good are the comparison's e-values: the evidence that the canary
	// is worse than tolerated, and that it is not as bad as the step's ratio.
	Bad  float64 `json:"bad,omitempty"`
	Good float64 `json:"good,omitempty"`
	// P is the chance, at most, that a canary no worse than tolerated would ever look this bad.
	P float64 `json:"p,omitempty"`
	// Low and High enclose the ratios of error rates that the data do not rule
	// out; 0 where there is no such bound yet.
	Low  float64 `json:"low,omitempty"`
	High float64 `json:"high,omitempty"`
	// Advisory measures decide nothing.
	Advisory bool   `json:"advisory,omitempty"`
	Note     string `json:"note,omitempty"`
}

// Detectable says how far the evidence reaches.
type Detectable struct {
	// Rate is the smallest error rate of the canary that would have been seen
	// by now with a chance of 80 %, 0 if none would.
	Rate float64 `json:"rate,omitempty"`
	// More is about how many more canary requests the step's proof needs.
	More int64 `json:"more,omitempty"`
	// Wait is about how long these take at the rate seen so far.
	Wait time.Duration `json:"wait,omitempty"`
}
