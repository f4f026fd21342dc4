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
