package flow_test

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
)

// A rollout is stopped while it writes a weight, and its version is removed. The route is made anew, without any mark of
// ours, and an hour later somebody redrives the execution: nobody is sent to the version that is gone.
func TestARedriveDoesNotShiftUsersToWhatIsGone(t *testing.T) {
	t.Parallel()
	s, arn := running(t, nil)
	stopped := false
	shifts := 0
	s.core.Before(func(op string) error {
		if op != "traffic.Shift" {
			return nil
		}
		if shifts++; shifts < 3 || stopped {
			return nil
		}
		stopped = true
		s.clock.Go(func() {
			if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
				t.Error(err)
			}
		})
		_ = s.clock.Sleep(t.Context(), time.Second)
		return fault.Transient
	})
	if e := s.end(arn); e.Status != asl.Aborted {
		t.Fatalf("status %s, path %s", e.Status, e.path)
	}
	s.rest()
	s.core.Before(nil)
	s.settled("checkout-1")
	s.router.Drop(route)
	s.router.Define(route, weights{"checkout-1": 100})
	s.core.After(func(op string) error {
		if served := s.router.Served(route, s.clock.Now()); served["checkout-2"] > 0 {
			t.Errorf("after %s users are split %v, and checkout-2 is gone", op, served)
		}
		return nil
	})
	s.hold()
	s.clock.AfterFunc(time.Hour, func() {
		if _, err := s.engine.Redrive(arn, ""); err != nil {
			t.Error(err)
		}
	})
	s.rest()
	s.core.After(nil)
	s.settled("checkout-1")
}
