package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/step"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// atPromote calls f when Promote has begun.
func (s *scene) atPromote(f func()) {
	begun := false
	s.core.After(func(op string) error {
		// HealthCheck, which comes before, reads no record.
		if rec := s.records.Peek(service); !begun && op == "record.Read" && s.router.Served(route, s.clock.Now())[rec.Canary.Name] == 100 {
			begun = true
			f()
		}
		return nil
	})
}

// pods takes a version's pods away for good.
func (s *scene) noPods(version string) {
	s.cluster.Behave("shop", version, cluster.Script{Outages: []cluster.Outage{{}}})
}

// A canary that dies while the old version drains is gone back from: the old version is there still, and serves.
func TestACanaryThatDiesInTheDrain(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.atPromote(func() { s.clock.AfterFunc(10*time.Second, func() { s.noPods("checkout-2") }) })
	e := s.run(fields{"drain": "30s"})
	if e.Error == nil || *e.Error != "Canary.RolledBack" || !strings.Contains(e.cause, "no ready pod") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}

// Behind the record's word there is no way back; what can serve is not removed all the same while the canary cannot.
func TestTheOnlyVersionThatServesIsNotRemoved(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.core.After(func(op string) error {
		if op == "record.Write" && s.records.Peek(service).Phase == record.Promoted {
			s.noPods("checkout-2")
		}
		return nil
	})
	e := s.run(nil)
	if e.Error == nil || *e.Error != "Canary."+step.OutcomeNeedsOperator || !strings.Contains(e.cause, "it has 2 ready pods, and checkout-2, which was promoted, has none") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	if st, ok := s.cluster.Status("shop", "checkout-1", s.clock.Now()); !ok || st.Ready != 2 {
		t.Errorf("checkout-1: %+v, exists %v; want it to be there for whoever is called", st, ok)
	}
	s.core.After(nil)
	// A person gives users to it: the next rollout's way back does not take them away again.
	s.router.Define(route, weights{"checkout-1": 100})
	if e := s.run(nil); e.Status == asl.Succeeded || s.router.Served(route, s.clock.Now())["checkout-1"] != 100 {
		t.Errorf("path %s (%s), served %v; want users left where they are", e.path, e.cause, s.router.Served(route, s.clock.Now()))
	}
	s.cluster.Behave("shop", "checkout-2", cluster.Script{})
	s.play(healthyUpTo(3))
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("when checkout-2 serves again: path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

// Whoever joins the queue, or freezes the service, while a promotion drains writes the record too. The promotion is written
// on top of that, and drains no second time.
func TestADrainIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(*scene){
		"one who queues": func(s *scene) { s.come(fields{"queue": "24h"}) },
		"some who queue": func(s *scene) {
			for i := range 8 {
				s.clock.AfterFunc(time.Duration(i)*8*time.Minute, func() { s.come(fields{"queue": "24h"}) })
			}
		},
		"a freeze": func(s *scene) {
			s.rewrite(func(r *record.Record) {
				r.Freeze = record.Freeze{Reason: "sale", Until: s.clock.Now().Add(time.Minute)}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(12))
			arn := s.begin(fields{"drain": "10m"})
			var entered time.Time
			s.atPromote(func() {
				entered = s.clock.Now()
				s.clock.AfterFunc(time.Minute, func() { disturb(s) })
			})
			e := s.end(arn)
			if took := e.Stopped.Sub(entered); e.Status != asl.Succeeded || took > 11*time.Minute {
				t.Errorf("path %s (%s): the promotion took %v", e.path, e.cause, took)
			}
			s.rest()
		})
	}
}

// The same on the way back.
func TestADrainOfTheWayBackIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "checkout-3": 0})
	arn := s.begin(fields{"drain": "10m"})
	var back time.Time
	s.core.After(func(op string) error {
		if back.IsZero() && s.records.Peek(service).Phase == record.RolledBack {
			back = s.clock.Now()
			s.clock.AfterFunc(time.Minute, func() { s.come(fields{"queue": "24h"}) })
		}
		return nil
	})
	if e := s.end(arn); e.Stopped.Sub(back) > 11*time.Minute {
		t.Errorf("path %s (%s): the end took %v", e.path, e.cause, e.Stopped.Sub(back))
	}
	s.rest()
}

// A canary that somebody scales to nothing serves nobody: its users go back at once, however it is judged.
func TestACanaryThatIsScaledToNothingGoesBack(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]fields{"judged": nil, "by Kubernetes alone": {"strategy": "replace", "percentage_step": nil, "bake": "5m"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(2))
			arn := s.begin(in)
			var at time.Time
			s.clock.AfterFunc(90*time.Second, func() {
				at = s.clock.Now()
				s.cluster.Scale("shop", "checkout-2", 0)
			})
			e := s.end(arn)
			if took := e.Stopped.Sub(at); e.Status == asl.Succeeded || took > time.Minute {
				t.Errorf("path %s (%s), %v after it; want the way back at once", e.path, e.cause, took)
			}
			s.settled("checkout-1")
		})
	}
}
