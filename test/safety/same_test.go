package safety

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/record"
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

// TestSeedIsWhatAFirstDeploymentLeaves holds the state in which the search begins to the one that a
// rollout really leaves.
func TestSeedIsWhatAFirstDeploymentLeaves(t *testing.T) {
	left := func(s Scenario) (record.Record, map[string]bool, any) {
		r := newRun(s, nil)
		r.build()
		defer func() { _ = r.engine.Close() }()
		if s.First {
			r.begin("checkout-w", nil)
			r.rest()
		}
		r.counting, r.current = false, nil
		versions, err := r.world.Cluster.Versions(t.Context(), service)
		if err != nil {
			t.Fatal(err)
		}
		state, err := r.world.Router.Read(t.Context(), route)
		if err != nil {
			t.Fatal(err)
		}
		return r.world.Records.Peek(service), r.ready, []any{versions, state}
	}
	rec, ready, rest := left(Scenario{Name: "first", First: true})
	seed, seedReady, seedRest := left(Scenario{Name: "good"})
	ignored := cmp.Options{
		cmpopts.IgnoreFields(record.Record{}, "Revision"),
		cmpopts.IgnoreFields(record.End{}, "Reason"),
		cmp.Comparer(func(a, b time.Time) bool { return a.IsZero() == b.IsZero() }),
	}
	for _, d := range []string{cmp.Diff(rec, seed, ignored), cmp.Diff(ready, seedReady), cmp.Diff(rest, seedRest)} {
		if d != "" {
			t.Errorf("after a first deployment (-) and in the seed (+):\n%s", d)
		}
	}
}
