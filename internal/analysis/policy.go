package analysis

import (
	"fmt"
	"slices"
	"time"
)

// A Policy says what a canary is held against. Its zero value judges by
// nothing and therefore never says Healthy. It must not change while a
// rollout runs: a [State] belongs to the policy that made it. It travels as JSON in the rollout's
// document, without what is zero.
type Policy struct {
	// Limits on the canary's own numbers.
	Limits []Limit `json:",omitzero"`
	// Comparison to stable.
	Comparison Comparison `json:",omitzero"`
	// Pace says when a step has lasted long enough.
	Pace Pace `json:",omitzero"`
	// SampleRatio checks the router: does the canary get the share it should?
	SampleRatio SampleRatio `json:",omitzero"`
	// Steps are the weights in percent that the rollout goes through, in
	// order. They set how the comparison's evidence is shared out over the
	// steps and which steps need proof. Empty means one step.
	Steps []int `json:",omitzero"`
	// BakeFor is how long the canary is watched at 100 %, 10 minutes if zero.
	// A false alarm of the comparison is rarer than one in RollbackAt such times.
	BakeFor time.Duration `json:",omitzero"`
	// MissingTolerated is the share (0 to 1) of a step's, or of a limit's
	// window's, time that may be without data before the answer is Inconclusive.
	// The time before a step's first data does not count.
	MissingTolerated float64 `json:",omitzero"`
}

// Unscoped is the policy for a source that does not tell the versions apart: limits alone judge, the
// service as a whole, because there is nothing to compare, and no share of requests to be seen. It is an
// error where nothing is left that decides.
func (p Policy) Unscoped() (Policy, error) {
	p.Comparison.Enabled, p.SampleRatio.Off = false, true
	if p.Pace.Evidence {
		return p, fmt.Errorf("the metrics stand for all versions together, and pace evidence needs a comparison of two")
	}
	if !slices.ContainsFunc(p.Limits, func(l Limit) bool { return !l.Advisory }) {
		return p, fmt.Errorf("the metrics stand for all versions together, which can be held against limits alone, and there is none")
	}
	return p, nil
}

// A Kind names the number that a [Limit] looks at.
type Kind string

const (
	// ErrorCount is the number of failed requests in the window. Bound is the
	// largest number allowed: the ancestor's failure_threshold_value.
	ErrorCount Kind = "error-count"
	// ErrorRate is failed requests by all requests, 0 to 1; Bound is the largest allowed.
	ErrorRate Kind = "error-rate"
	// SuccessRate is requests that did not fail by all requests, 0 to 1; Bound is the smallest allowed.
	SuccessRate Kind = "success-rate"
	// LatencyPercentile is the Percentile of response times in seconds, from
	// the histogram over LatencyBounds; Bound is the largest allowed.
	LatencyPercentile Kind = "latency-percentile"
	// SlowRatio is the share of requests slower than Above, 0 to 1; Bound is the largest allowed.
	SlowRatio Kind = "slow-ratio"
	// Value is any measurement of the limit's name in [Interval.Values]. The
	// newest in the window counts. Bound is the largest allowed, or the smallest with AtLeast.
	Value Kind = "value"
)

// A Limit holds one number of the canary against a bound.
//
// It is checked at the end of each closed interval, over the newest Window of
// the step. A check that passes the bound is a failure, one without enough
// data is inconclusive; both are counted within a step.
type Limit struct {
	Name string `json:",omitzero"`
	Kind Kind   `json:",omitzero"`
	// Bound in the kind's unit. The bound itself is still within the limit.
	Bound float64 `json:",omitzero"`
	// Percentile for LatencyPercentile, 0 to 100, such as 99.
	Percentile float64 `json:",omitzero"`
	// Above is the latency for SlowRatio; it must be one of LatencyBounds.
	Above time.Duration `json:",omitzero"`
	// AtLeast makes Bound the smallest allowed for Value.
	AtLeast bool `json:",omitzero"`
	// Window to look back on within the step. Zero is the whole step, and for
	// Value the last interval alone.
	Window time.Duration `json:",omitzero"`
	// Every is the least time between two checks; zero checks each interval.
	Every time.Duration `json:",omitzero"`
	// MinRequests below which a check does not pass; it fails where the missing ones could not mend it.
	MinRequests int64 `json:",omitzero"`
	// FailuresAllowed before the limit is Unhealthy; with 0 the first failure is.
	FailuresAllowed int `json:",omitzero"`
	// InconclusiveAllowed is how many inconclusive checks in a row are borne
	// before the judgement is Exhausted. With 0 the limit sets none of its own
	// and the rollout's patience alone counts.
	InconclusiveAllowed int `json:",omitzero"`
	// Advisory limits are reported and decide nothing.
	Advisory bool `json:",omitzero"`
	// Source says where the number comes from: a metric's name, or that of the team's own query.
	Source string `json:",omitzero"`
}

// A Comparison weighs the canary against stable over the same intervals.
// Zero thresholds and ratios take the defaults named with them.
type Comparison struct {
	Enabled bool `json:",omitzero"`
	// Tolerated is the ratio of the canary's to stable's error rate up to
	// which nobody minds (1.25). It absorbs noise between pods.
	Tolerated float64 `json:",omitzero"`
	// RollbackAt is the evidence (e-value) against Tolerated that rolls back
	// (100: a false alarm in at most one rollout of 100).
	RollbackAt float64 `json:",omitzero"`
	// HoldRatio and HoldAt are the line that stops advancing (1 and 20).
	HoldRatio, HoldAt float64 `json:",omitzero"`
	// GoodRatio is the ratio that has to be ruled out before the canary counts
	// as proven good (2), with evidence GoodAt (20).
	GoodRatio, GoodAt float64 `json:",omitzero"`
	// GoodBelow is the error rate (0 to 1) that is good whatever stable does,
	// the service's objective. It proves clean services good, and is what a
	// canary without any stable beside it is judged by. Zero for none.
	GoodBelow float64 `json:",omitzero"`
	// IgnoreBelow is the error rate (0 to 1) below which a canary does no harm
	// worth a rollback, however it compares. Zero for none.
	IgnoreBelow float64 `json:",omitzero"`
	// ProveBy is the weight in percent beyond which, and beyond the last step,
	// a canary must be proven good when the pace is the clock's. Zero asks for no proof.
	ProveBy int `json:",omitzero"`
	// MinRequests of the canary in a step below which the comparison is inconclusive (1).
	MinRequests int64 `json:",omitzero"`
	// LatencyBounds are the bounds that [Counts.Slow] counts against, rising.
	// Choose them from stable's history before the rollout, near its p50, p90
	// and p99 and at the objective. Empty leaves latency out.
	LatencyBounds []time.Duration `json:",omitzero"`
	// Warmup is left out of the comparison at the start of the rollout. It
	// delays every detection, so it is off (0) unless asked for.
	Warmup time.Duration `json:",omitzero"`
}

// A Pace says when a step has lasted long enough.
type Pace struct {
	// Evidence ends a step when its ratio is ruled out. Otherwise the clock does.
	Evidence bool `json:",omitzero"`
	// Ratios to rule out one after the other (20, 10, 5, 3, 2), spread over the steps.
	Ratios []float64 `json:",omitzero"`
	// MinDwell is the least time of a step, from its first data.
	MinDwell time.Duration `json:",omitzero"`
	// Cap is the time in a step after which missing proof is Inconclusive (an hour).
	Cap time.Duration `json:",omitzero"`
}

// SampleRatio checks that the canary gets the share of requests that its
// weight says. A crossing speaks against the router, not against the canary.
type SampleRatio struct {
	Off bool `json:",omitzero"`
	// Tolerance is relative to the weight (0.2 is +-20 %).
	Tolerance float64 `json:",omitzero"`
	// At is the evidence (e-value) that counts (100).
	At float64 `json:",omitzero"`
}

// DefaultComparison is the comparison that a service gets where stable serves too.
func DefaultComparison() Comparison {
	return Comparison{
		Enabled: true, Tolerated: 1.25, RollbackAt: 100, HoldRatio: 1, HoldAt: 20,
		GoodRatio: 2, GoodAt: 20, GoodBelow: 0.01, IgnoreBelow: 0.0005, ProveBy: 50, MinRequests: 1,
	}
}

// DefaultPace paces by evidence: at least a minute a step, an hour at most.
func DefaultPace() Pace {
	return Pace{Evidence: true, Ratios: []float64{20, 10, 5, 3, 2}, MinDwell: time.Minute, Cap: time.Hour}
}

// DefaultSampleRatio allows +-20 % of the weight.
func DefaultSampleRatio() SampleRatio { return SampleRatio{Tolerance: 0.2, At: 100} }

// FailureThreshold is the ancestor's only check: more than value failed
// requests within the newest window of the step roll back.
func FailureThreshold(value float64, window time.Duration) Limit {
	return Limit{Name: "failure_threshold", Kind: ErrorCount, Bound: value, Window: window}
}
