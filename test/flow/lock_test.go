package flow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

func TestOfAHundredStartsAtOnceOneRuns(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.hold() // all of them in one moment
	var arns []string
	for i := range 100 {
		arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: fmt.Sprintf("at-once-%d", i), Input: input(nil)})
		if err != nil {
			t.Fatal(err)
		}
		arns = append(arns, arn)
	}
	won, refused := 0, 0
	for _, arn := range arns {
		switch e := s.end(arn); {
		case e.Status == asl.Succeeded:
			won++
		case e.path == "Prepare Refused" && strings.Contains(e.cause, "is running since"):
			refused++
		default:
			t.Errorf("%s: %s (%s)", arn, e.path, e.cause)
		}
	}
	if won != 1 || refused != 99 {
		t.Errorf("%d ran and %d were refused with the reason; want 1 and 99", won, refused)
	}
	s.settled("checkout-2")
}

func TestADeadOwnersLockIsTakenOverAfterItsWayBack(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0})
	s.orphan()
	e := s.run(nil)
	if e.Status != asl.Succeeded {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

// No freeze keeps users where a dead owner left them: the start that is refused goes back for it first.
func TestAFreezeKeepsNobodyHalfShifted(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	s.orphan()
	s.freeze(service, time.Hour)
	if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "frozen until") {
		t.Errorf("path %s (%s); want it refused", e.path, e.cause)
	}
	s.settled("checkout-1")
}

// orphan leaves a rollout that reached 50 %, and whose engine is gone: nobody knows its execution.
func (s *scene) orphan() {
	s.Helper()
	s.rewrite(func(rec *record.Record) {
		rec.Holder, rec.Epoch, rec.Number, rec.Phase = "arn:aws:states:us-east-1:000000000000:execution:gone:x", rec.Epoch+1, 2, record.Rolling
		rec.Canary = rec.Stable
		rec.Canary.Name, rec.Canary.Number, rec.Canary.Deployment = "checkout-2", 2, "checkout-2"
	})
	s.router.Define(route, weights{"checkout-1": 50, "checkout-2": 50})
}

// A freeze refuses every start until it is over, and says until when, by whom and why. What runs
// already goes on.
func TestFreezes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		on   workload.Service
		says string
	}{
		"of the service":   {service, "shop/checkout: Canary.Refused: frozen until 2026-11-21T10:05:10Z by ann: database migration"},
		"of the namespace": {record.OfNamespace("shop"), "shop/checkout: Canary.Refused: namespace shop is frozen until 2026-11-21T10:05:10Z by ann: database migration"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(3))
			running := s.begin(nil)
			s.clock.AfterFunc(90*time.Second, func() { s.freeze(tt.on, time.Hour+150*time.Second) })
			if e := s.end(running); e.Status != asl.Succeeded {
				t.Fatalf("what ran when the freeze came: path %s (%s)", e.path, e.cause)
			}
			before := s.record()
			if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.says) {
				t.Errorf("path %s (%s); want it refused: %s", e.path, e.cause, tt.says)
			}
			if diff := cmp.Diff(before, s.record()); diff != "" {
				t.Errorf("the refused start changed the record (-before +after):\n%s", diff)
			}
			s.settled("checkout-2")
			if err := s.clock.Sleep(t.Context(), 2*time.Hour); err != nil {
				t.Fatal(err)
			}
			if e := s.run(nil); e.Status != asl.Succeeded {
				t.Errorf("after the freeze: path %s (%s)", e.path, e.cause)
			}
		})
	}
}

// freeze refuses starts for a while from now on.
func (s *scene) freeze(on workload.Service, d time.Duration) {
	s.Helper()
	rec, err := s.records.Read(s.Context(), on)
	if err == nil {
		rec.Freeze = record.Freeze{Reason: "database migration", Until: s.clock.Now().Add(d), By: "ann"}
		_, err = s.records.Write(s.Context(), on, rec)
	}
	if err != nil {
		s.Error(err)
	}
}

// Another namespace's freeze is nobody's here, and a freeze does not keep a repeated task of a
// rollout that has the lock from going on.
func TestWhatAFreezeDoesNotStop(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.freeze(record.OfNamespace("other"), time.Hour)
	frozen := false
	s.core.After(func(op string) error {
		if op == "record.Write" && !frozen {
			frozen = true
			s.core.After(nil)
			s.freeze(service, time.Hour)
			s.freeze(record.OfNamespace("shop"), time.Hour)
			return fault.Transient // the answer to the write that took the lock is lost
		}
		return nil
	})
	if e := s.run(nil); e.Status != asl.Succeeded || !frozen {
		t.Errorf("path %s (%s), frozen %v", e.path, e.cause, frozen)
	}
	s.settled("checkout-2")
}
