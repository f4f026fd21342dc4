package safety

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// TestTheSameFaultsMakeTheSameRun holds what everything here rests on: a run follows from its
// faults alone, down to each state that it comes through.
func TestTheSameFaultsMakeTheSameRun(t *testing.T) {
	for _, s := range slices.Concat(Scenarios, Small) {
		plain := Run(s, nil)
		singles := part(Singles(Place{}, plain.Place, plain.Ops), 97)
		for i, f := range singles {
			list := []Fault{f, singles[len(singles)-1-i]}
			one, two := Run(s, list), Run(s, list)
			if diff := cmp.Diff(one, two, cmp.AllowUnexported(Result{}, boundary{})); diff != "" {
				t.Errorf("scenario %s, faults %v: two runs differ:\n%s", s.Name, list, diff)
			}
		}
	}
}

// TestSeedIsWhatRolloutsLeave holds the states in which the search begins to those that rollouts really leave: a first
// deployment, and one that was stopped at half of the users when nobody was told.
func TestSeedIsWhatRolloutsLeave(t *testing.T) {
	firstLook := slices.Index(Run(Scenario{Name: "good"}, nil).Ops, "metric.Intervals") + 1
	for name, tt := range map[string]struct {
		before    Scenario
		faults    []Fault
		execution string
		seed      Scenario
	}{
		"version 1":    {Scenario{Name: "first", First: true}, nil, "checkout-w", Scenario{Name: "good"}},
		"a dead owner": {Scenario{Name: "good"}, []Fault{{Orphan, firstLook}}, "checkout-v", Scenario{Name: "inherits", Inherits: true}},
	} {
		t.Run(name, func(t *testing.T) {
			real := leaves(t, tt.before, tt.faults, tt.execution)
			seed := leaves(t, tt.seed, nil, "")
			ignored := cmp.Options{
				cmpopts.IgnoreFields(record.Record{}, "Revision"),
				cmpopts.IgnoreFields(record.End{}, "Reason"),
				cmp.Comparer(func(a, b time.Time) bool { return a.IsZero() == b.IsZero() }),
			}
			if diff := cmp.Diff(real, seed, ignored); diff != "" {
				t.Errorf("after the rollout (-) and in the seed (+):\n%s", diff)
			}
		})
	}
}

// A leaving is what there is of a service between two rollouts.
type leaving struct {
	Record   record.Record
	Ready    map[string]bool
	Versions []workload.Version
	Route    traffic.State
}

// leaves runs a scenario's rollout, or only builds the scenario where it has no name, and tells what there is then.
func leaves(t *testing.T, s Scenario, faults []Fault, execution string) (out leaving) {
	t.Helper()
	r := newRun(s, faults)
	r.build()
	defer func() { _ = r.engine.Close() }()
	if execution != "" {
		r.begin(execution, nil)
		r.rest()
	}
	r.counting, r.current = false, nil
	var err error
	if out.Versions, err = r.world.Cluster.Versions(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	if out.Route, err = r.world.Router.Read(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	out.Record, out.Ready = r.world.Records.Peek(service), r.ready
	return out
}
