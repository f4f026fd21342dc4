package flow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// A way back that is written and not in force is no way back yet: until the controller has
// taken it up, nothing is recorded as ended and the canary stays.
func TestUsersAreSeenBackBeforeTheEnd(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	began := s.clock.Now()
	s.clock.AfterFunc(80*time.Second, func() { s.router.Script(router.Script{Never: true}) })
	s.ask(arn, 90*time.Second, fault.Aborted, "")
	s.clock.AfterFunc(170*time.Second, func() {
		if rec := s.records.Peek(service); rec.Phase == record.RolledBack || rec.Holder == "" {
			t.Errorf("%v after the start, with users on the canary, the record says %q, holder %q",
				s.clock.Now().Sub(began), rec.Phase, rec.Holder)
		}
		if v, _ := s.cluster.Versions(t.Context(), service); len(v) != 2 {
			t.Errorf("versions %v; want both while users are on both", v)
		}
		s.router.Script(router.Script{})
	})
	if e := s.end(arn); !strings.HasSuffix(e.path, back) {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}

// An execution that is stopped when the canary is recorded as stable already is finished, not
// undone: the old version may be gone.
func TestAStoppedPromotionIsFinished(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"traffic.Settle", "workload.Remove"} {
		t.Run("stopped at "+op, func(t *testing.T) {
			s, arn := running(t, nil)
			stopped := false
			s.core.Before(func(now string) error {
				if now == op && !stopped {
					stopped = true
					s.clock.Go(func() {
						if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
							t.Error(err)
						}
					})
					_ = s.clock.Sleep(t.Context(), time.Second)
					return fault.Transient // what the stopped function's call comes to
				}
				return nil
			})
			if e := s.end(arn); e.Status != asl.Aborted {
				t.Errorf("status %s, path %s", e.Status, e.path)
			}
			s.rest()
			s.core.Before(nil)
			s.settled("checkout-2")
			if rec := s.record(); rec.Last.Outcome != "Promoted" {
				t.Errorf("the record says %+v", rec.Last)
			}
		})
	}
}

// What Kubernetes says will never start is seen in a minute, whatever the deadline.
func TestWhatWillNeverStartIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.cluster.Behave("shop", "checkout-2", cluster.Script{PullFails: true})
	began := s.clock.Now()
	e := s.run(fields{"deadlines": fields{"ready": "2h"}})
	if took := s.clock.Now().Sub(began); e.path != toReady+back || took > time.Minute+10*time.Second {
		t.Errorf("path %s after %v", e.path, took)
	}
}

// A version that somebody else brought up serves on as stable, and is left in place when it
// is replaced.
func TestAnAdoptedVersionIsLeftInPlace(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.cluster.Place("shop", workload.Version{Name: "legacy", Deployment: "legacy", Replicas: 2})
	s.router.Define(route, weights{"legacy": 100})
	s.play(map[string]float64{"legacy": 0, "checkout-1": 0})
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
	if st, exists := s.cluster.Status("shop", "legacy", s.clock.Now()); !exists || st.Ready != 2 {
		t.Errorf("legacy: %+v, exists %v; want it untouched", st, exists)
	}
	if rec := s.record(); !strings.Contains(rec.Last.Reason, "legacy is not ours and was left in place") {
		t.Errorf("the record says %q; want it to name what was left", rec.Last.Reason)
	}
}

// What a function that was stuck applied after its rollout had ended goes with the next one.
func TestLeftoversAreRemovedByTheNextRollout(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "checkout-3": 0})
	arn := s.begin(nil)
	s.end(arn)
	ev := s.event(arn, "DeployCanary")
	objects := []workload.Object{
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "checkout-2", "namespace": "shop"}},
	}
	owner := workload.Ownership{Service: service, Version: 2, Execution: ev.Execution, Replicas: 2}
	if err := s.cluster.Apply(t.Context(), objects, owner); err != nil {
		t.Fatal(err)
	}
	if v, _ := s.cluster.Versions(t.Context(), service); len(v) != 2 {
		t.Fatalf("versions %v; want a leftover", v)
	}
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

// One that may not be removed stays, and the rollout goes on: the lock is taken by then, and nobody is on it.
func TestALeftoverThatMayNotBeRemovedStopsNobody(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-8": 0})
	objects := []workload.Object{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "checkout-7", "namespace": "shop"}}}
	if err := s.cluster.Apply(t.Context(), objects, workload.Ownership{Service: service, Version: 7, Execution: "arn", Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	refused := false
	s.core.Before(func(op string) error {
		if op == "workload.Remove" && !refused {
			refused = true
			return fmt.Errorf("delete: %w: forbidden", fault.Invalid)
		}
		return nil
	})
	if e := s.run(nil); e.Status != asl.Succeeded || !refused {
		t.Errorf("path %s (%s), refused %t", e.path, e.cause, refused)
	}
	if rec := s.record(); rec.Holder != "" || rec.Stable.Name != "checkout-8" {
		t.Errorf("record %+v; want checkout-8, and nobody to hold the lock", rec)
	}
	if _, there := s.cluster.Status("shop", "checkout-7", s.clock.Now()); !there {
		t.Error("checkout-7 is gone; want it there, as nobody may remove it")
	}
}

// Where the engine lost the right to see pods in the middle of a rollout, users go back to where they were before.
func TestTheWayBackNeedsNoSightOfPods(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	arn := s.begin(nil)
	blind := false
	s.clock.AfterFunc(90*time.Second, func() { blind = true })
	s.core.Before(func(op string) error {
		if blind && (op == "workload.Next" || op == "workload.Follow") {
			return fmt.Errorf("watch pods: %w: pods is forbidden", fault.Invalid)
		}
		return nil
	})
	if e := s.end(arn); e.Status == asl.Succeeded || !strings.Contains(e.cause, "whether checkout-1 has ready pods could not be seen") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}
