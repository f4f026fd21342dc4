// Package step is the work behind each Task state of statemachine/rollout.asl.json,
// one file a state. A step reads what is there, does what brings it nearer to its
// goal, and says in plain fields what it saw, so that a second, a late or a doubled
// run of it does no harm.
package step

import (
	"encoding/json"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// An Event is what the state machine gives to a Task's function.
type Event struct {
	// Execution is the rollout's ARN: its name, and its right to the lock.
	Execution string `json:"execution"`
	// State is the Task state that calls; Ended or Refused where the rule on ended executions does.
	State string `json:"state"`
	// Started is when the execution began; only Prepare gets it.
	Started time.Time `json:"started,omitzero"`
	// Input is deploy.json; only Prepare and DeployCanary get it, so that the template does
	// not travel through the states.
	Input json.RawMessage `json:"input,omitempty"`
	// Token answers the task early, where the state waits for one.
	Token string `json:"token,omitempty"`
	// Document is the state's input.
	Document Document `json:"document,omitzero"`
}

// Ended stands in the place of the state where none calls: the rule on ended executions does, and what its execution
// had come to by then it does not say.
const Ended = "ended"

// Refused stands in the place of the state where the rule on ended executions calls for one that failed by
// fault.Invalid or fault.Refused: only Prepare leads to that end, so at most the lock was taken.
const Refused = "refused"

// A Document travels through the states: one key for each step's last word.
type Document struct {
	Rollout  *Rollout  `json:"rollout,omitempty"`
	Deployed *Deployed `json:"deployed,omitempty"`
	Ready    *Ready    `json:"ready,omitempty"`
	Shift    *Shift    `json:"shift,omitempty"`
	Watch    *Watch    `json:"watch,omitempty"`
	// Asked is a person's request, as it came out of a token.
	Asked *Asked `json:"asked,omitempty"`
	// Error is what a Catch caught before Rollback.
	Error *Failure `json:"error,omitempty"`
}

// A Rollout is what Prepare decided. It does not change.
type Rollout struct {
	Execution string           `json:"execution"`
	Started   time.Time        `json:"started"`
	Cluster   string           `json:"cluster"`
	Service   workload.Service `json:"service"`
	// Epoch is the lock's count of acquisitions: this rollout's rank among the writers.
	Epoch int64 `json:"epoch"`
	// Stable is the version that serves now; zero on a first deployment.
	Stable workload.Version `json:"stable,omitzero"`
	Canary workload.Version `json:"canary"`
	Router string           `json:"router"`
	Route  traffic.Target   `json:"route"`
	Plan   rollout.Plan     `json:"plan"`
	Policy analysis.Policy  `json:"policy"`
	// Metrics says where to ask, as deploy.json does; it names secrets and holds none.
	// Empty where Kubernetes alone judges.
	Metrics json.RawMessage `json:"metrics,omitempty"`
	// Interval is the length of a look; zero leaves it to the source.
	Interval  rollout.Duration `json:"interval,omitempty"`
	Deadlines Deadlines        `json:"deadlines"`
	// Match are requests that go to the canary whatever its weight, once it is ready.
	Match []traffic.Match `json:"match,omitempty"`
	// KubernetesOnly tells that nothing but Kubernetes can judge: a first deployment of a
	// service without metrics, or strategy replace.
	KubernetesOnly bool `json:"kubernetes_only,omitempty"`
	// Replaces is a back end that the route names and that leads nowhere.
	Replaces string `json:"replaces,omitempty"`
	// Gates are asked and Receivers are told; they name secrets and hold none.
	Gates     []Gate          `json:"gates,omitempty"`
	Receivers []hook.Receiver `json:"receivers,omitempty"`
	// Drain is how long the loser keeps serving its last requests before it is removed.
	Drain rollout.Duration `json:"drain"`
}

// UnmarshalJSON reads a rollout, and says whose route it is.
func (r *Rollout) UnmarshalJSON(b []byte) error {
	type plain Rollout
	if err := json.Unmarshal(b, (*plain)(r)); err != nil {
		return err
	}
	r.Route.Service = r.Service.Name
	return nil
}

// First tells whether there is no stable version yet.
func (r Rollout) First() bool { return r.Stable.Name == "" }

// has tells whether the rollout has a step of that number.
func (r Rollout) has(step int) bool { return step >= 0 && step < len(r.Plan.Steps) }

// Split is the split with the canary at w.
func (r Rollout) Split(w rollout.Weight) traffic.Split {
	return traffic.Split{Stable: r.Stable.Name, Canary: r.Canary.Name, Weight: w}
}

// Fence is the fence of the rollout's n-th write to the route.
func (r Rollout) Fence(n int64) rollout.Fence { return rollout.Fence{Epoch: r.Epoch, Seq: n} }

// Deadlines bound what the outside may take.
type Deadlines struct {
	// Ready is for the new version to become ready, Observed for a written weight to
	// come into force, Whole for the rollout.
	Ready    rollout.Duration `json:"ready"`
	Observed rollout.Duration `json:"observed"`
	Whole    rollout.Duration `json:"whole"`
}

// A Deployed is what DeployCanary wrote.
type Deployed struct {
	Name     string    `json:"name"`
	Replicas int       `json:"replicas"`
	At       time.Time `json:"at"`
	// Entrance is the template's route on a first deployment, which leads users in: it is written when the
	// version is ready. Empty on every later one, whose route is there.
	Entrance []workload.Object `json:"entrance"`
}

// A Ready is what AwaitReady saw.
type Ready struct {
	// Action is ready, wait or fail.
	Action string `json:"action"`
	Reason string `json:"reason"`
	// Since is when the time to become ready began: the start, or the last moment in which
	// all pods were ready.
	Since  time.Time       `json:"since"`
	Status workload.Status `json:"status"`
	// Awaited is since when the route is awaited to take up the new back end: the time for that
	// goes on over all looks.
	Awaited time.Time `json:"awaited,omitzero"`

	// What the next look goes on with, where a gate is waited for.
	Gates  []Said       `json:"gates,omitempty"`
	Needs  rollout.Need `json:"needs,omitempty"`
	Waived bool         `json:"waived,omitempty"`
	// Seen is the last request that there was, Heard the last one that was for this step.
	Seen  string    `json:"seen,omitempty"`
	Heard string    `json:"heard,omitempty"`
	Told  hook.Told `json:"told,omitzero"`
}

// A Shift is what ShiftWeight wrote and saw.
type Shift struct {
	Step   int            `json:"step"`
	Weight rollout.Weight `json:"weight"`
	// Observed tells that the weight is in force, Since when that was seen.
	Observed bool      `json:"observed"`
	Since    time.Time `json:"since"`
	// Deadline is when an unobserved weight is given up.
	Deadline time.Time `json:"deadline"`
	Reason   string    `json:"reason"`
}

// A Watch is what HealthCheck saw and decided.
type Watch struct {
	Action rollout.Action `json:"action"`
	// Step is the step to be in next.
	Step   int    `json:"step"`
	Reason string `json:"reason"`
	// At is when it was decided, WaitSeconds how long Hold may wait.
	At          time.Time          `json:"at"`
	WaitSeconds int                `json:"wait_seconds"`
	Judgement   analysis.Judgement `json:"judgement"`
	Status      workload.Status    `json:"status"`
	// Intervals are the measurements of this look, for the report.
	Intervals []analysis.Interval `json:"intervals,omitempty"`
	// Trouble is what the metrics source said instead of an answer.
	Trouble string `json:"trouble,omitempty"`

	// What the next look goes on with.
	Of       int            `json:"of"`
	State    analysis.State `json:"state"`
	Paused   time.Time      `json:"paused,omitzero"`
	Approved bool           `json:"approved,omitempty"`
	Promote  bool           `json:"promote,omitempty"`
	// Decided tells that Promote was said in answer to NeedVerdict, in this step.
	Decided bool   `json:"decided,omitempty"`
	Heard   string `json:"heard,omitempty"`
	// Looks counts the answers at this step that ended in a wait for the same thing.
	Looks int `json:"looks,omitempty"`
	// Needs is what is wanted of a person, where the rollout waits for one.
	Needs rollout.Need `json:"needs,omitempty"`
	// Gates is what the gates of this step said, and Waived that a person goes on without
	// those that keep silent.
	Gates  []Said `json:"gates,omitempty"`
	Waived bool   `json:"waived,omitempty"`
	// Told is what receivers were told.
	Told hook.Told `json:"told,omitzero"`
}

// An Asked is an answer to a token that is not the watcher's own.
type Asked struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
	ID    string `json:"id,omitempty"`
}

// A Request is what a person asks for: the cause of an Asked.
type Request struct {
	// ID tells two requests apart, so that one is not heard twice.
	ID     string       `json:"id,omitempty"`
	Wish   rollout.Wish `json:"request"`
	Reason string       `json:"reason,omitempty"`
}

// A Failure is an error as a Catch writes it.
type Failure struct {
	Error string `json:"Error"`
	Cause string `json:"Cause"`
}

// Outcomes of a rollout: the names of the state machine's ends.
const (
	OutcomePromoted      = "Promoted"
	OutcomeRolledBack    = "RolledBack"
	OutcomeNeedsOperator = "NeedsOperator"
	OutcomeRefused       = "Refused"
)

// An End is how a rollout ended.
type End struct {
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// Back is when the way back to stable was seen in force, if this run of the step saw it.
	Back time.Time `json:"back,omitzero"`
	// Away tells that the way back left all users where somebody had sent them: on neither version.
	Away bool `json:"away,omitempty"`
	// Known tells that the rollout had ended before: this run of the step found it in the record.
	Known bool `json:"-"`
}
