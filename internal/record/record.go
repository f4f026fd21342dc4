// Package record is the lock, the fence and the journal of a service's rollouts:
// one Lease of coordination.k8s.io/v1 beside the service, which kubectl shows.
//
// The rules of the lock are here, as values in and values out. The stores below
// it (kube, memory) read and write with optimistic concurrency and pass the suite
// in recordtest.
package record

import (
	"context"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Record is what the Lease says. The zero Record is a service that was never
// rolled out.
type Record struct {
	// Holder is the execution that holds the lock; empty when it is free.
	Holder string `json:"holder,omitempty"`
	// Epoch counts the acquisitions (the Lease's leaseTransitions).
	Epoch int64 `json:"epoch"`
	// Acquired is when the holder took the lock.
	Acquired time.Time `json:"acquired,omitzero"`
	// Number is the highest version number ever given out. It only rises, so that a
	// failed version's objects and metrics are never taken for its successor's.
	Number int `json:"number"`
	// Stable is the version that serves, as last recorded; zero before the first.
	Stable workload.Version `json:"stable,omitzero"`
	// Canary is the version that the holder brings up; zero when the lock is free.
	Canary workload.Version `json:"canary,omitzero"`
	// Phase is where the rollout is, in one word, for people and for the way back.
	Phase Phase `json:"phase,omitempty"`
	// Route is the kind of router and the route that the holder moves, for the way back
	// when nothing but the record is left.
	Router string `json:"router,omitempty"`
	Route  string `json:"route,omitempty"`
	// Last is how the last rollout ended.
	Last End `json:"last,omitzero"`
	// Freeze, while it lasts, refuses every start.
	Freeze Freeze `json:"freeze,omitzero"`
	// Queue are the executions that wait for the lock, in the order in which they came. Some may
	// have ended meanwhile.
	Queue []string `json:"queue,omitempty"`
	// Revision is the store's own mark for optimistic concurrency; empty for a record
	// that does not exist yet.
	Revision string `json:"-"`
}

// A Phase is where the holder's rollout is.
type Phase string

const (
	// Rolling is every moment before the canary is recorded as stable.
	Rolling Phase = "Rolling"
	// Promoted is after that: from here the way back leads to the new version.
	Promoted Phase = "Promoted"
	// RolledBack is after the weight 0 was seen in force.
	RolledBack Phase = "RolledBack"
	// Staying is after stable was found dead on the way back: from here it leads to the canary.
	Staying Phase = "Staying"
)

// An End is how a rollout ended.
type End struct {
	Execution string    `json:"execution"`
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// A Freeze stops rollouts of a service, or of all services in a namespace, from starting.
type Freeze struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
	// By is who asked for it; empty where nobody said.
	By string `json:"by,omitempty"`
}

// Lasts tells whether it stops a start at the moment.
func (f Freeze) Lasts(now time.Time) bool { return f.Until.After(now) }

// String says it to whoever is refused: "until 2026-11-21T11:00:00Z by ann: stocktaking".
func (f Freeze) String() string {
	text := "until " + f.Until.Format(time.RFC3339)
	if f.By != "" {
		text += " by " + f.By
	}
	return text + ": " + f.Reason
}

// OfNamespace names the record that is a whole namespace's: it carries a freeze, and no lock. No
// service has an empty name.
func OfNamespace(namespace string) workload.Service { return workload.Service{Namespace: namespace} }

// Ahead gives the executions that wait before this one; all of them where it does not wait itself.
func (r Record) Ahead(execution string) []string {
	if i := slices.Index(r.Queue, execution); i >= 0 {
		return r.Queue[:i]
	}
	return r.Queue
}

// Waits tells whether the execution is in the queue.
func (r Record) Waits(execution string) bool { return slices.Contains(r.Queue, execution) }

// Join gives the record with the execution at the end of the queue.
func (r Record) Join(execution string) Record {
	r.Queue = append(slices.Clone(r.Queue), execution)
	return r
}

// Turn gives the record with those alone in the queue that come after the execution: its turn has
// come, so that all before it have ended.
func (r Record) Turn(execution string) Record {
	served := len(r.Ahead(execution))
	if r.Waits(execution) {
		served++
	}
	r.Queue = slices.Clone(r.Queue[served:])
	return r
}

// A Store keeps records. Errors carry a fault.Kind: Conflict for a write that
// lost, Transient for 429, 5xx and time-outs.
type Store interface {
	// Read gives the record; a missing one is the zero Record and no error.
	Read(ctx context.Context, s workload.Service) (Record, error)
	// Write stores r if the stored one still has r.Revision, and gives it back with its
	// new revision.
	Write(ctx context.Context, s workload.Service, r Record) (Record, error)
}

// Fence is the fence of the holder's n-th write to the route.
func (r Record) Fence(n int64) rollout.Fence { return rollout.Fence{Epoch: r.Epoch, Seq: n} }
