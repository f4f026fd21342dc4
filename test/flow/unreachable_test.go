package flow_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
)

// A rollout whose cluster cannot be read from the beginning to the end says that it moved nobody,
// in words that a person can read.
func TestAClusterThatIsNeverReadSaysThatNothingMoved(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.core.Before(func(string) error { return fault.Transient })
	e := s.end(s.begin(nil))
	s.core.Before(nil)
	if e.Error == nil || *e.Error != "Canary.NeedsOperator" {
		t.Fatalf("%s by %s (%s); want NeedsOperator", e.Status, e.path, e.cause)
	}
	said := step.Words(*e.Cause)
	if !strings.HasPrefix(said, "Canary.Transient: no version was deployed and no traffic was shifted") || strings.Contains(said, "{") {
		t.Errorf("the end says %q", said)
	}
	if rec := s.record(); rec.Holder != "" {
		t.Errorf("holder %q; want no lock taken", rec.Holder)
	}
}

// Where the cluster can be read again in time, the way back finds that there is nothing to take back.
func TestAStartThatFailedEndsCleanWhenTheClusterAnswersAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.first()
	s.core.Before(func(string) error { return fault.Transient })
	arn := s.begin(nil)
	s.clock.AfterFunc(90*time.Second, func() { s.core.Before(nil) })
	e := s.end(arn)
	if e.Error == nil || *e.Error != "Canary.RolledBack" || !strings.Contains(e.cause, "nothing was changed") {
		t.Errorf("%s by %s (%s); want it rolled back, with nothing changed", e.Status, e.path, e.cause)
	}
	s.settled("checkout-1")
}

// Of an execution that was stopped in the middle nothing of the kind is said: the rule's event does not tell how far it was.
func TestAStoppedRolloutWhoseClusterIsAwayDoesNotSayThatNothingMoved(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	said := ""
	s.clock.AfterFunc(80*time.Second, func() {
		event, err := json.Marshal(map[string]any{"detail-type": "Step Functions Execution Status Change",
			"detail": map[string]any{"executionArn": arn, "status": "ABORTED", "input": input(nil)}})
		if err != nil {
			t.Error(err)
		}
		s.core.Before(func(string) error { return fault.Transient })
		ports := s.Ports()
		_, err = task.Handler(step.Rollback{Open: ports.Open, Clock: s.clock}.Run)(t.Context(), event)
		s.core.Before(nil)
		said = err.Error()
	})
	s.end(arn)
	if !strings.Contains(said, "read record of checkout") || strings.Contains(said, "no traffic was shifted") {
		t.Errorf("the way back says %q with a canary that has users", said)
	}
}
