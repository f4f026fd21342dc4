package flow_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// What the cluster would not take ends before the lock is taken, with the cluster's words: the first
// version like any other, and a number that was not used is given to the next rollout.
func TestWhatTheClusterWouldNotTakeIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	for serves, next := range map[string]string{"": "checkout-1", "checkout-1": "checkout-2"} {
		t.Run("serves "+serves, func(t *testing.T) {
			s := newScene(t)
			if serves != "" {
				s.first()
			}
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
			before := s.record()
			s.cluster.Refuse("shop", "Deployment", "exceeded quota: two of everything")
			s.core.Before(func(op string) error {
				if op == "workload.Apply" || op == "record.Write" || op == "traffic.Shift" {
					t.Errorf("%s was called", op)
				}
				return nil
			})
			e := s.run(nil)
			s.core.Before(nil)
			if e.Status != asl.Failed || e.path != "Prepare Refused" || !strings.Contains(e.cause, next+": Canary.Invalid: exceeded quota: two of everything") {
				t.Errorf("%s by %s (%s); want Prepare Refused with the cluster's words about %s", e.Status, e.path, e.cause, next)
			}
			if diff := cmp.Diff(before, s.record()); diff != "" {
				t.Errorf("the record was written (-before +after):\n%s", diff)
			}
			s.cluster.Refuse("shop", "Deployment", "")
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Errorf("path %s (%s)", e.path, e.cause)
			}
			s.settled(next)
		})
	}
}

// A heard is a cluster and what it was asked to write, or whether it would.
type heard struct {
	workload.Cluster
	dry, real *[]sent
}

type sent struct {
	Objects []workload.Object
	Owner   workload.Ownership
}

func (h heard) DryRun(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	*h.dry = append(*h.dry, sent{objects, o})
	return h.Cluster.DryRun(ctx, objects, o)
}

func (h heard) Apply(ctx context.Context, objects []workload.Object, o workload.Ownership) error {
	*h.real = append(*h.real, sent{objects, o})
	return h.Cluster.Apply(ctx, objects, o)
}

// The dry run is of the very objects that DeployCanary applies, and is made once: whoever has the lock
// already asks no more.
func TestTheDryRunIsOfWhatIsDeployed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	scaled := strings.Replace(enginetest.Template, "image: ${CONTAINER_IMAGE}", "image: ${CONTAINER_IMAGE}\n        resources: {requests: {cpu: 100m}}", 1)
	extra := fields{"autoscaler": fields{"min": 3, "max": 9, "cpu": 60}, "config_file": base64.StdEncoding.EncodeToString([]byte(scaled))}
	for _, serves := range []string{"", "checkout-1"} {
		if serves != "" {
			s.first()
			s.cluster.Scale("shop", serves, 7)
		}
		var dry, real []sent
		open := func(ctx context.Context, name string) (step.Access, error) {
			access, err := s.Open(ctx, name)
			access.Cluster = heard{access.Cluster, &dry, &real}
			return access, err
		}
		ev := step.Event{Execution: "run-after-" + serves, State: "Prepare", Input: []byte(input(extra))}
		prepare := step.Prepare{Open: open, Clock: s.clock, Executions: stillRuns{}, Meter: s.Ports().Meter.Check}
		for range 2 {
			ro, err := prepare.Run(t.Context(), ev)
			if err != nil {
				t.Fatal(err)
			}
			ev.Document.Rollout = &ro
		}
		deployed, err := step.Deploy{Open: open, Clock: s.clock}.Run(t.Context(), ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(real) == 1 { // what AwaitReady applies on a first deployment
			real[0].Objects = append(real[0].Objects, deployed.Entrance...)
		}
		byName := func(a, b workload.Object) int { return strings.Compare(a.String(), b.String()) }
		for _, s := range append(dry, real...) {
			slices.SortFunc(s.Objects, byName)
		}
		if len(dry) != 1 || len(real) != 1 || len(real[0].Objects) != 4 {
			t.Fatalf("%d dry runs and %d applies; want one of each, of four objects", len(dry), len(real))
		}
		if diff := cmp.Diff(real, dry); diff != "" {
			t.Errorf("the dry run (-applied +asked):\n%s", diff)
		}
		if _, err := (step.Rollback{Open: open, Clock: s.clock}).Run(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
}
