package flow_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/step"
)

// A slip in cluster_name, to which EKS says that there is no such cluster, sent a rollout that had not begun on the way back:
// a person was called nine minutes later. The same answer in the middle of a rollout is no slip, and not the rollout's end:
// it goes back as soon as the cluster is found again.
func TestAClusterThatIsNotFound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from, until time.Duration
		error       fault.Kind
		within      time.Duration
	}{
		"from the start is refused at once":          {0, time.Hour, fault.Invalid, 0},
		"for a while in the middle is gone back for": {90 * time.Second, 150 * time.Second, "Canary.RolledBack", 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(2))
			began := s.clock.Now()
			ports := s.Ports()
			open := ports.Open
			ports.Open = func(ctx context.Context, cluster string) (step.Access, error) {
				if passed := s.clock.Now().Sub(began); passed >= tt.from && passed < tt.until {
					return step.Access{}, fmt.Errorf("describe EKS cluster %q: %w: no cluster found", cluster, fault.NotFound)
				}
				return open(ctx, cluster)
			}
			e, err := engine.Local(local.Options{Clock: s.clock}, ports)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = e.Close() }()
			arn, _, err := e.Start(local.StartInput{MachineARN: e.Machines()[0].ARN, Name: "away", Input: input(nil)})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Wait(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
			d, err := e.Describe(arn)
			if err != nil || d.Error == nil || *d.Error != string(tt.error) || d.Stopped.Sub(began) > tt.within {
				t.Errorf("Describe() = %s, %v after %v; want %v within %v", deref(d.Error), err, d.Stopped.Sub(began), tt.error, tt.within)
			}
			s.settled("checkout-1")
		})
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
