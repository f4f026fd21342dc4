package flow_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// over is the deploy.json of a service over a route that is not in its template, by a name that somebody may mistype.
// Nothing but Kubernetes judges it.
func over(name string) fields {
	template := enginetest.Template[:strings.Index(enginetest.Template, "---\napiVersion: gateway.networking.k8s.io/v1")]
	return fields{
		"strategy": "replace", "config_file": base64.StdEncoding.EncodeToString([]byte(template)),
		"router": fields{"kind": "gateway-api", "route": name},
	}
}

// wipe is what the deletion of the Lease leaves.
func (s *scene) wipe() {
	s.rewrite(func(rec *record.Record) { *rec = record.Record{Revision: rec.Revision} })
}

// rewrite is what a person does to the Lease with kubectl edit.
func (s *scene) rewrite(edit func(*record.Record)) {
	s.Helper()
	rec := s.record()
	edit(&rec)
	if _, err := s.records.Write(s.Context(), service, rec); err != nil {
		s.Error(err)
	}
}

// A Lease that is taken away in the middle of a rollout takes nobody's way back away: however the rollout ends then,
// users are on one version, and the next one begins.
func TestALeaseThatIsLostMidwayIsRegained(t *testing.T) {
	t.Parallel()
	const loses, ends = 90 * time.Second, 100 * time.Second
	for name, tt := range map[string]struct {
		lose func(*scene)
		end  func(s *scene, arn string)
	}{
		"deleted, then an abort": {(*scene).wipe, func(s *scene, arn string) { s.ask(arn, ends, fault.Aborted, "odd") }},
		"deleted, then StopExecution": {(*scene).wipe, func(s *scene, arn string) {
			s.clock.AfterFunc(ends, func() {
				if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
					s.Error(err)
				}
			})
		}},
		"deleted, and the canary is good": {(*scene).wipe, func(*scene, string) {}},
		"its holder emptied":              {func(s *scene) { s.rewrite(func(r *record.Record) { r.Holder = "" }) }, func(*scene, string) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(3))
			arn := s.begin(nil)
			s.clock.AfterFunc(loses, func() { tt.lose(s) })
			tt.end(s, arn)
			if e := s.end(arn); e.Status == asl.Succeeded {
				t.Errorf("path %s; want no promotion without the lock", e.path)
			}
			s.rest() // for the rule on executions that end by themselves
			s.settled("checkout-1")
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Errorf("the next rollout: %s (%s)", e.path, e.cause)
			}
		})
	}
}

// A holder that is emptied by hand leaves the rest of the record: a promotion that was written down is finished, even where
// the execution was stopped, and has no document to tell what it was.
func TestAPromotionWhoseHolderIsEmptiedIsFinished(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	emptied := false
	s.core.After(func(op string) error {
		if op == "traffic.Settle" && !emptied && s.records.Peek(service).Phase == record.Promoted {
			emptied = true
			s.rewrite(func(r *record.Record) { r.Holder = "" })
			if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
				s.Error(err)
			}
		}
		return nil
	})
	s.end(arn)
	s.rest()
	if rec := s.record(); !emptied || rec.Stable.Name != "checkout-2" || rec.Last.Execution != arn {
		t.Errorf("emptied %t, record %+v; want %s to have promoted checkout-2", emptied, rec, arn)
	}
	s.settled("checkout-2")
}

// Nor does it let a second rollout in beside the first: whose version the record names as the canary is the owner.
func TestAnEmptiedHolderLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	var second string
	s.core.After(func(op string) error {
		if op == "workload.Apply" && second == "" { // no user is on the new version yet: the route says nothing of it
			s.rewrite(func(r *record.Record) { r.Holder = "" })
			second = s.come(nil)
		}
		return nil
	})
	s.end(arn)
	if e := s.end(second); e.path != "Prepare Refused" || !strings.Contains(e.cause, arn+" is running") {
		t.Errorf("the second rollout: path %s (%s); want it refused", e.path, e.cause)
	}
	s.rest()
	s.settled("checkout-1")
}

// A Lease that is deleted when all requests were given to the canary for good does not have the way back run against
// its own fence for ever: they stay, a person is called, and the next rollout begins.
func TestALeaseThatIsLostAfterTheLastWriteLeavesUsersWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	wiped := false
	s.core.After(func(op string) error {
		if op == "traffic.Settle" && !wiped && s.records.Peek(service).Phase == record.Promoted {
			wiped = true
			s.wipe()
			return fault.Transient
		}
		return nil
	})
	e := s.end(arn)
	rec := s.record()
	if !wiped || e.Error == nil || *e.Error != "Canary.NeedsOperator" || rec.Holder != "" || rec.Stable.Name != "checkout-2" {
		t.Errorf("wiped %t, path %s (%s), record %+v", wiped, e.path, e.cause, rec)
	}
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("the next rollout: %s (%s)", e.path, e.cause)
	}
}

// A Lease that is deleted lets nobody in beside the rollout that runs, whose version would be taken for a leftover: not while
// it goes forward, and not while it goes back and its route says already that all users are on stable.
func TestADeletedLeaseLetsNobodyIn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		at string // the call at which the Lease is deleted
		n  int    // counted from the start of the rollout
	}{
		"while it goes forward": {"traffic.Shift", 2},
		"while it goes back":    {"traffic.Settle", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-2": 0.5})
			s.router.Script(router.Script{Delay: 10 * time.Second})
			first := s.begin(nil)
			var second string
			left := tt.n
			s.core.After(func(op string) error {
				if op != tt.at {
					return nil
				}
				if left--; left == 0 {
					s.wipe()
					second = s.come(nil)
				}
				return nil
			})
			s.end(first)
			if e := s.end(second); e.path != "Prepare Refused" || !strings.Contains(e.cause, first+" is running, with checkout-2, and its Lease was deleted") {
				t.Errorf("path %s (%s)", e.path, e.cause)
			}
			s.rest()
			s.settled("checkout-1")
		})
	}
}

// Where the rollout has ended, and with it all that could go back, the route alone tells how far it was. Of one that is under way a
// person has to say what serves; the end of one has to be in force before its version is removed.
func TestADeletedLeaseOfARolloutThatEnded(t *testing.T) {
	t.Parallel()
	// leave makes version 2 of a rollout that nobody knows any more, and what it wrote to the route last.
	leave := func(s *scene, write func(rollout.Fence) error, seq int64) {
		s.Helper()
		doc, err := spec.Parse("deploy.json", []byte(input(nil)))
		if err != nil {
			s.Fatal(err)
		}
		template, err := doc.Template()
		if err != nil {
			s.Fatal(err)
		}
		objects, err := template.Render(spec.Values{Namespace: service.Namespace, Service: service.Name, Image: doc.Image, Version: 2, Routes: []spec.Route{{Name: "checkout-1"}, {Name: "checkout-2"}}})
		if err != nil {
			s.Fatal(err)
		}
		forgotten := strings.Replace(s.machine, "stateMachine", "execution", 1) + ":forgotten"
		if err := s.cluster.Apply(s.Context(), objects, workload.Ownership{Service: service, Version: 2, Execution: forgotten}); err != nil {
			s.Fatal(err)
		}
		if err := write(rollout.Fence{Epoch: 9, Seq: seq}); err != nil {
			s.Fatal(err)
		}
		s.wipe()
	}
	half := func(s *scene) func(rollout.Fence) error {
		return func(f rollout.Fence) error {
			return s.router.Shift(s.Context(), route, traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: 50}, f)
		}
	}
	back := func(s *scene) func(rollout.Fence) error {
		return func(f rollout.Fence) error { return s.router.Settle(s.Context(), route, "checkout-1", "checkout-2", f) }
	}
	t.Run("under way", func(t *testing.T) {
		t.Parallel()
		s := deployed(t, healthyUpTo(3))
		leave(s, back(s), 2)
		if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "bears the mark of a rollout under way") {
			t.Errorf("path %s (%s)", e.path, e.cause)
		}
	})
	t.Run("never in force", func(t *testing.T) {
		t.Parallel()
		s := deployed(t, healthyUpTo(3))
		leave(s, half(s), 2)
		s.router.Script(router.Script{Never: true})
		leave(s, back(s), rollout.Last)
		if e := s.run(nil); e.Status == asl.Succeeded || !strings.Contains(e.cause, "the end of the last rollout is not in force: the controller has not reported") {
			t.Errorf("path %s (%s)", e.path, e.cause)
		}
		if _, there := s.cluster.Status("shop", "checkout-2", s.clock.Now()); !there {
			t.Error("checkout-2 is gone, and users are on it")
		}
	})
	t.Run("on its way back", func(t *testing.T) {
		t.Parallel()
		s := deployed(t, healthyUpTo(12))
		leave(s, half(s), 2)
		s.router.Script(router.Script{Delay: 15 * time.Second})
		leave(s, back(s), rollout.Last)
		removed := false
		s.core.Before(func(op string) error {
			if served := s.router.Served(route, s.clock.Now()); op == "workload.Remove" && !removed {
				removed = true
				if served["checkout-2"] != 0 {
					t.Errorf("checkout-2 is removed, and users are on it: %v", served)
				}
			}
			return nil
		})
		if e := s.run(nil); e.Status != asl.Succeeded || !removed {
			t.Errorf("path %s (%s), removed %t", e.path, e.cause, removed)
		}
		s.settled("checkout-12") // no number that may have been used is used again
	})
}

// What lost the lock to another rollout has nothing to go back for.
func TestALockThatAnotherOneTookIsNotRegained(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	s.clock.AfterFunc(90*time.Second, func() {
		s.rewrite(func(r *record.Record) { r.Holder, r.Epoch = "", r.Epoch+1 })
	})
	if e := s.end(arn); !strings.Contains(e.cause, "nothing was changed") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
}

// The Lease is deleted between two rollouts, as the runbook's last way out says: versions' numbers and the route's
// fence go on where they were.
func TestALeaseThatIsDeletedBetweenRollouts(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(8))
	for range 2 {
		s.run(nil)
	}
	s.wipe()
	for i := range 2 {
		if e := s.run(nil); e.Status != asl.Succeeded {
			t.Errorf("rollout %d after that: %s (%s)", i+1, e.path, e.cause)
		}
	}
	s.settled("checkout-8")
}

// Nothing is taken for a first deployment, and what serves for a leftover, where the route cannot say what serves.
func TestAServiceIsNotForgottenWithItsRoute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do    func(*scene)
		input fields
		says  string
	}{
		"deploy.json names another route": {func(*scene) {}, over("chekout"),
			"deploy.json names route chekout (gateway-api) now, and checkout (gateway-api) still sends requests to checkout-1"},
		"the route is away": {func(s *scene) { s.router.Drop(route) }, nil, "it is not there, and checkout-1 is recorded as what serves"},
		"the route and the Lease are away": {func(s *scene) { s.router.Drop(route); s.wipe() }, nil,
			"neither it nor the Lease is there to say which of the service's versions serves"},
		"the route is away, and another one is named": {func(s *scene) { s.router.Drop(route) },
			over("chekout"), "read route chekout: Canary.Refused: it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(2))
			tt.do(s)
			if e := s.run(tt.input); e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.says) {
				t.Errorf("path %s (%s); want it refused: %s", e.path, e.cause, tt.says)
			}
			s.router.Define(route, weights{"checkout-1": 100})
			if st, ok := s.cluster.Status("shop", "checkout-1", s.clock.Now()); !ok || st.Ready == 0 {
				t.Errorf("checkout-1 is there: %v, %+v; want it to serve still", ok, st)
			}
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Errorf("when the route is back: %s (%s)", e.path, e.cause)
			}
		})
	}
}

// A route that is replaced by another one is left for it: the old one is gone, the new one leads to what serves.
func TestAServiceMayMoveToAnotherRoute(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.router.Drop(route)
	moved := route
	moved.Route = "shop-front"
	s.router.Define(moved, weights{"checkout-1": 100})
	if e := s.run(over("shop-front")); e.Status != asl.Succeeded {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	if served := s.router.Served(moved, s.clock.Now()); served["checkout-2"] != 100 {
		t.Errorf("users are on %v; want checkout-2", served)
	}
}

// A lock that bears a name which is no execution of this engine's is somebody's, and stays: whether it has
// ended cannot be told.
func TestALockOfSomebodyElseIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, holder := range []string{"ann: do not touch", "arn:aws:states:eu-west-1:111122223333:execution:stepcanary:elsewhere"} {
		s := newScene(t)
		s.first()
		s.rewrite(func(r *record.Record) { r.Holder = holder })
		if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "which is no execution of this engine") {
			t.Errorf("held by %s: path %s (%s)", holder, e.path, e.cause)
		}
		if got := s.record().Holder; got != holder {
			t.Errorf("the holder is %q now", got)
		}
	}
}

// When the promotion is written down, somebody's tool puts the route back, and the gateway takes three seconds for a
// change: nothing is removed before its users have gone again.
func TestNothingIsRemovedThatGotUsersBackInThePromotion(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	removed, back := false, false
	s.core.After(func(op string) error {
		if op == "record.Write" && !back && s.records.Peek(service).Phase == record.Promoted {
			back = true
			s.router.Define(route, weights{"checkout-1": 100, "checkout-2": 0})
			s.router.Script(router.Script{Delay: 3 * time.Second})
		}
		return nil
	})
	s.core.Before(func(op string) error {
		if op == "workload.Remove" {
			removed = true
			if served := s.router.Served(route, s.clock.Now()); served["checkout-1"] != 0 {
				t.Errorf("checkout-1 is removed with users on it: %v", served)
			}
		}
		return nil
	})
	if e := s.run(nil); e.Status != asl.Succeeded || !removed {
		t.Errorf("path %s (%s), removed %v", e.path, e.cause, removed)
	}
	s.settled("checkout-2")
}

// A Lease that is lost before the rollout has written to its route: what stands there of the one before is no end of this
// one's, and users are not given to a version that has not come up.
func TestALeaseThatIsLostBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Fatalf("the rollout before: %s (%s)", e.path, e.cause)
	}
	lost := false
	s.core.Before(func(op string) error {
		if op == "record.Read" && !lost && s.records.Peek(service).Canary.Name == "checkout-3" {
			lost = true
			s.wipe()
		}
		return nil
	})
	s.core.After(func(op string) error {
		if served := s.router.Served(route, s.clock.Now()); served["checkout-2"] != 100 {
			t.Errorf("after %s users are split %v", op, served)
		}
		return nil
	})
	if e := s.run(nil); e.Error == nil || *e.Error != "Canary.RolledBack" || !lost {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.core.Before(nil)
	s.core.After(nil)
	s.settled("checkout-2")
}

// A first deployment that goes back leaves a route to nothing, and its Lease is deleted: the next one begins.
func TestALeaseThatIsDeletedAfterAFirstDeploymentThatFailed(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.play(healthyUpTo(2))
	s.cluster.Behave("shop", "checkout-1", cluster.Script{CrashAtWeight: 100})
	if e := s.run(nil); e.Error == nil || *e.Error != "Canary.RolledBack" || !strings.Contains(e.path, "ShiftWeight") {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	s.wipe()
	s.cluster.Behave("shop", "checkout-1", cluster.Script{})
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("the next one: %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-2")
}

// A service whose users somebody has sent elsewhere by hand, or nowhere, is not rolled out over: what is recorded as
// serving is no leftover.
func TestTheRecordedVersionIsNoLeftover(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]weights{
		"sent to a page, its own weight at 0": {"checkout-1": 0, "sorry": 100},
		"sent to a page, its own name gone":   {"sorry": 100},
		"switched off":                        {"checkout-1": 0},
		"sent to a version that is not there": {"checkout-7": 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "sorry": 0})
			s.cluster.Place("shop", workload.Version{Name: "sorry", Deployment: "sorry", Replicas: 1})
			s.router.Define(route, w)
			if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "checkout-1, which is recorded as what serves, is there and gets none") {
				t.Errorf("path %s (%s)", e.path, e.cause)
			}
			if st, _ := s.cluster.Status("shop", "checkout-1", s.clock.Now()); st.Ready == 0 {
				t.Error("checkout-1 is gone")
			}
		})
	}
}

// A Settle of a promotion that is stuck while the Lease is deleted comes after the way back, which took the lost lock
// back: it is turned away, and leads nobody to the version that was removed.
func TestAPromotionThatIsStuckWhileTheLeaseIsLostComesTooLate(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	stuck := false
	var late error
	s.core.Before(func(op string) error {
		if op != "traffic.Settle" || stuck {
			return nil
		}
		stuck = true
		s.wipe()
		s.clock.AfterFunc(30*time.Minute, func() {
			late = s.router.Settle(s.Context(), route, "checkout-2", "checkout-1", rollout.Fence{Epoch: 2, Seq: rollout.Last + 1})
		})
		return fmt.Errorf("%w: stuck", fault.Internal)
	})
	s.end(arn)
	s.rest()
	if !errors.Is(late, fault.Fenced) {
		t.Errorf("the Settle that came late: %v; want %v", late, fault.Fenced)
	}
	s.settled("checkout-1")
}

// With the Lease goes the number that was used last. Where its version is gone too, no later one takes its name: a removal
// that is stuck since then would find it.
func TestANumberIsNotUsedAgainWhenTheLeaseIsGone(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1})
	s.run(nil)
	s.settled("checkout-1")
	s.wipe()
	s.play(map[string]float64{"checkout-1": 0, "checkout-4": 0})
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-4") // two rollouts, which the route remembers, and the one that is there
}

// Nor is the lock taken back for a route that a person has led elsewhere meanwhile: nothing of the rollout's could be written
// to it, and the lock would keep everybody else away.
func TestALostLockIsNotRegainedForAnotherRoute(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	arn := s.begin(nil)
	s.clock.AfterFunc(90*time.Second, func() {
		s.wipe()
		s.router.Define(route, weights{"elsewhere": 100})
	})
	s.ask(arn, 100*time.Second, fault.Aborted, "odd")
	e := s.end(arn)
	s.rest()
	if rec := s.record(); e.Error == nil || *e.Error != "Canary.NeedsOperator" || rec.Epoch != 0 || !strings.Contains(e.cause, "the lost lock was for checkout-1 and checkout-2") {
		t.Errorf("path %s (%s), record %+v; want a person called, and no lock taken", e.path, e.cause, rec)
	}
}
