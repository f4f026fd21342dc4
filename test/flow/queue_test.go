package flow_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// come starts a rollout in the middle of others.
func (s *scene) come(extra fields) string {
	s.Helper()
	s.number++
	arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: fmt.Sprintf("checkout-%d", s.number), Input: input(extra)})
	if err != nil {
		s.Error(err)
	}
	return arn
}

const allTheWay = "Prepare DeployCanary AwaitReady ShiftWeight HealthCheck ShiftWeight HealthCheck ShiftWeight HealthCheck ShiftWeight HealthCheck Promote Promoted"

// Who comes while another rollout runs waits, and each has its turn in the order of arrival: the last to
// come is the last to be rolled out.
func TestStartsThatQueueHaveTheirTurnInOrder(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(4))
	s.hold()
	var arns []string
	for i := range 3 {
		s.clock.AfterFunc(time.Duration(i)*5*time.Second, func() {
			arns = append(arns, s.come(fields{"queue": "1h", "container_image": fmt.Sprintf("podlet:%d", i+2)}))
		})
	}
	s.clock.AfterFunc(40*time.Second, func() {
		if rec := s.record(); rec.Holder != arns[0] || !slices.Equal(rec.Queue, arns[1:]) {
			t.Errorf("the record says that %s runs and %v wait; want %s, %v", rec.Holder, rec.Queue, arns[0], arns[1:])
		}
	})
	s.release()
	if err := s.clock.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, arn := range arns {
		if e := s.end(arn); e.Status != asl.Succeeded || e.path != allTheWay {
			t.Errorf("the rollout that came as number %d: %s (%s)", i+1, e.path, e.cause)
		} else if doc, err := spec.Parse("deploy.json", []byte(e.Input)); err != nil || s.events(arn) > doc.Budget().Events {
			t.Errorf("%d events; the plan said %d at most (%v)", s.events(arn), doc.Budget().Events, err)
		}
	}
	s.settled("checkout-4")
	rec := s.record()
	if len(rec.Queue) != 0 || rec.Last.Execution != arns[2] || rec.Stable.Image != "podlet:4" {
		t.Errorf("in the end %v wait, and %s was last with %s; want none, %s with podlet:4", rec.Queue, rec.Last.Execution, rec.Stable.Image, arns[2])
	}
}

// A hundred starts in one moment all have their turn.
func TestOfAHundredThatQueueAllRun(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(101))
	s.hold()
	var arns []string
	for i := range 100 {
		arn, _, err := s.engine.Start(local.StartInput{
			MachineARN: s.machine, Name: fmt.Sprintf("queue-%d", i), Input: input(fields{"queue": "24h", "strategy": "replace", "bake": "1s", "drain": "1s"}),
		})
		if err != nil {
			t.Fatal(err)
		}
		arns = append(arns, arn)
	}
	for _, arn := range arns {
		if e := s.end(arn); e.Status != asl.Succeeded {
			t.Errorf("%s: %s (%s)", arn, e.path, e.cause)
		}
	}
	if rec := s.record(); rec.Epoch != 101 || rec.Number != 101 || len(rec.Queue) != 0 {
		t.Errorf("the lock was taken %d times, for %d versions, and %d wait; want 101, 101 and none", rec.Epoch, rec.Number, len(rec.Queue))
	}
	s.settled("checkout-101")
}

// While many write the record, as on AWS a hundred functions at once do, a place in the queue is not to be had
// for a while.
func TestWhoLosesTheRaceForAPlaceInTheQueueIsNotLost(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	lost := 0
	s.core.Before(func(op string) error {
		if op != "record.Write" || lost == 60 {
			return nil
		}
		lost++
		return fault.Conflict
	})
	if e := s.run(fields{"queue": "1h"}); e.Status != asl.Succeeded || e.path != allTheWay || lost != 60 {
		t.Errorf("after %d lost writes: %s (%s)", lost, e.path, e.cause)
	}
	s.settled("checkout-2")
}

// Waiting has an end, which says what was waited for; a start that does not queue is refused at once,
// also in the moment between two rollouts.
func TestWhoDoesNotGetATurn(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	s.hold()
	running := s.begin(nil)
	var short, long, hasty string
	s.clock.AfterFunc(5*time.Second, func() { short = s.come(fields{"queue": "30s"}) })
	s.clock.AfterFunc(11*time.Second, func() { long = s.come(fields{"queue": "1h"}) })
	s.core.After(func(op string) error {
		if op == "record.Write" && hasty == "" && short != "" {
			if rec := s.records.Peek(service); rec.Holder == "" && len(rec.Queue) > 0 { // the first is over, and nobody has looked yet
				hasty = s.come(nil)
			}
		}
		return nil
	})
	if e := s.end(running); e.Status != asl.Succeeded {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	if err := s.clock.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ arn, says string }{
		"whose time in the queue is over": {short, "Canary.Refused: it waited for its turn for 30s: " + running + " is running since"},
		"who does not queue":              {hasty, "Canary.Refused: " + long + " waits for its turn"},
	} {
		if tt.arn == "" {
			t.Errorf("%s never came", name)
		} else if e := s.end(tt.arn); e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.says) {
			t.Errorf("%s: %s (%s); want it refused: %s", name, e.path, e.cause, tt.says)
		}
	}
	if e := s.end(long); e.Status != asl.Succeeded {
		t.Errorf("who waits: %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

// Whoever is stopped while it waits keeps nobody waiting; and the first in the queue goes the way back
// for an owner that died before it takes its turn.
func TestTheDeadDoNotHoldTheQueueUp(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	rec := s.record()
	rec.Holder, rec.Epoch, rec.Number, rec.Phase = "arn:aws:states:us-east-1:000000000000:execution:gone:x", rec.Epoch+1, 2, record.Rolling
	rec.Canary = rec.Stable
	rec.Canary.Name, rec.Canary.Number, rec.Canary.Deployment = "checkout-2", 2, "checkout-2"
	rec.Queue = []string{"arn:aws:states:us-east-1:000000000000:execution:gone:y", "arn:aws:states:us-east-1:000000000000:execution:gone:z"}
	if _, err := s.records.Write(t.Context(), service, rec); err != nil {
		t.Fatal(err)
	}
	s.router.Define(route, weights{"checkout-1": 50, "checkout-2": 50})
	if e := s.run(fields{"queue": "1h"}); e.Status != asl.Succeeded || e.path != allTheWay {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
	if rec := s.record(); len(rec.Queue) != 0 {
		t.Errorf("%v still wait", rec.Queue)
	}
}

// A deadline for the rollout counts from its turn, not from when it came.
func TestTheDeadlineBeginsWithTheTurn(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(3))
	first := s.begin(nil)
	second := s.begin(fields{"queue": "1h", "deadlines": fields{"rollout": "5m"}})
	ends := []ended{s.end(first), s.end(second)}
	if ends[0].Status != asl.Succeeded || ends[1].Status != asl.Succeeded {
		t.Errorf("paths %s (%s), %s (%s)", ends[0].path, ends[0].cause, ends[1].path, ends[1].cause)
	}
	if waited := cmp.Compare(ends[1].Stopped.Sub(ends[1].Started), 5*time.Minute); waited <= 0 {
		t.Error("the second one did not wait: this test says nothing")
	}
}
