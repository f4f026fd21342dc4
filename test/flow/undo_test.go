package flow_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/step"
)

// A promotion that comes when the way back has begun, in a function that outlived its stopped
// execution, leaves the record alone: users are on stable, and the canary is about to be removed.
func TestAPromotionDoesNotUndoTheWayBack(t *testing.T) {
	t.Parallel()
	for _, back := range []record.Phase{record.RolledBack, record.Staying} {
		s, arn := running(t, nil)
		var err error
		var phase record.Phase
		s.clock.AfterFunc(30*time.Second, func() {
			write := func(p record.Phase) {
				rec := s.record()
				rec.Phase = p
				if _, err := s.records.Write(t.Context(), service, rec); err != nil {
					t.Error(err)
				}
			}
			write(back)
			_, err = step.Promote{Open: s.Open, Clock: s.clock}.Run(t.Context(), s.event(arn, "ShiftWeight"))
			phase = s.record().Phase
			write(record.Rolling)
		})
		s.end(arn)
		if !errors.Is(err, fault.Fenced) || phase != back {
			t.Errorf("error %v, and the record says %s; want it fenced off, and %s", err, phase, back)
		}
	}
}
