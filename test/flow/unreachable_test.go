package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
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
