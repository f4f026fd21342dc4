package flow_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/record"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
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
			s := newScene(t)
			s.first()
			s.play(healthyUpTo(3))
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
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
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
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
	arn := s.begin(nil)
	s.clock.AfterFunc(30*time.Second, func() {
		s.rewrite(func(r *record.Record) { r.Holder = "" })
		second, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: "checkout-second", Input: input(nil)})
		if err != nil {
			t.Error(err)
		}
		s.clock.AfterFunc(time.Second, func() {
			if d, err := s.engine.Describe(second); err != nil || d.Error == nil || *d.Error != "Canary.Refused" {
				t.Errorf("the second rollout: %+v, %v; want it refused", d, err)
			}
		})
	})
	s.end(arn)
	s.rest()
	s.settled("checkout-1")
}

// A Lease that is deleted when all requests were given to the canary for good does not have the way back run against
// its own fence for ever: they stay, a person is called, and the next rollout begins.
func TestALeaseThatIsLostAfterTheLastWriteLeavesUsersWhereTheyAre(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
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

// A Lease that is deleted lets nobody in beside the rollout that runs, whose version would be taken for a leftover.
func TestADeletedLeaseLetsNobodyIn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
	first := s.begin(nil)
	var second string
	s.clock.AfterFunc(90*time.Second, func() {
		s.wipe()
		second = s.come(nil)
	})
	s.end(first)
	if e := s.end(second); e.path != "Prepare Refused" || !strings.Contains(e.cause, "bears the mark of a rollout under way") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.rest()
	s.settled("checkout-1")
}

// What lost the lock to another rollout has nothing to go back for.
func TestALockThatAnotherOneTookIsNotRegained(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(3))
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
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(5))
	for range 2 {
		s.run(nil)
	}
	s.wipe()
	for i := range 2 {
		if e := s.run(nil); e.Status != asl.Succeeded {
			t.Errorf("rollout %d after that: %s (%s)", i+1, e.path, e.cause)
		}
	}
	s.settled("checkout-5")
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
			s := newScene(t)
			s.first()
			s.play(healthyUpTo(2))
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
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(2))
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

// While the old version drains, somebody's tool puts the route back, and the gateway takes three seconds for a
// change: nothing is removed before its users have gone again.
func TestNothingIsRemovedThatGotUsersBackInTheDrain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(healthyUpTo(2))
	edited, removed := false, false
	s.core.After(func(op string) error {
		switch {
		case op == "record.Write" && s.records.Peek(service).Phase == record.Promoted && !edited:
			edited = true
			s.clock.AfterFunc(2*time.Second, func() {
				s.router.Define(route, weights{"checkout-1": 100, "checkout-2": 0})
				s.router.Script(router.Script{Delay: 3 * time.Second})
			})
		case op == "workload.Remove":
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
