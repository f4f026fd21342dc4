package flow_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/record"
)

func TestOfAHundredStartsAtOnceOneRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
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
	s := newScene(t)
	s.first()
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0})
	// A rollout that reached 50 % and whose engine is gone: nobody knows its execution.
	rec := s.record()
	rec.Holder, rec.Epoch, rec.Number, rec.Phase = "arn:aws:states:us-east-1:000000000000:execution:gone:x", rec.Epoch+1, 2, record.Rolling
	rec.Canary = rec.Stable
	rec.Canary.Name, rec.Canary.Number, rec.Canary.Deployment = "checkout-2", 2, "checkout-2"
	if _, err := s.records.Write(t.Context(), service, rec); err != nil {
		t.Fatal(err)
	}
	s.router.Define(route, weights{"checkout-1": 50, "checkout-2": 50})
	e := s.run(nil)
	if e.Status != asl.Succeeded {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

func TestAFrozenServiceIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	rec := s.record()
	rec.Freeze = record.Freeze{Reason: "database migration", Until: s.clock.Now().Add(time.Hour)}
	if _, err := s.records.Write(t.Context(), service, rec); err != nil {
		t.Fatal(err)
	}
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
	if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, "database migration") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
	if err := s.clock.Sleep(t.Context(), 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("after the freeze: path %s (%s)", e.path, e.cause)
	}
}
