package flow_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/traffic"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// A laggard is a route with two gateways: one takes every weight of a canary up at once, the other one's controller is away.
type laggard struct {
	traffic.Router
	clock *clock.Virtual
}

func (l laggard) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (traffic.State, error) {
	st, err := l.Router.Await(ctx, t, s, d)
	if err != nil || s.Weight == 0 || s.Stable == "" {
		return st, err
	}
	_ = l.clock.Sleep(ctx, d)
	st.InForce, st.Why = false, "Gateway shop/inside has taken up generation 3, and 4 is wanted"
	return st, nil
}

// A canary that crashes while its weight is awaited is seen then: users that one of two gateways had sent there stayed with it
// for as long as the other one was waited for.
func TestACanaryThatCrashesWhileItsWeightIsAwaited(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	s.cluster.Behave("shop", "checkout-2", cluster.Script{CrashAtWeight: 1})
	s.Router = laggard{s.router, s.clock}
	var on, off time.Time
	s.core.After(func(string) error {
		switch w := s.router.Served(route, s.clock.Now())["checkout-2"]; {
		case w > 0 && on.IsZero():
			on = s.clock.Now()
		case w == 0 && !on.IsZero() && off.IsZero():
			off = s.clock.Now()
		}
		return nil
	})
	e := s.end(s.begin(nil))
	s.rest()
	if d := off.Sub(on); on.IsZero() || d > 30*time.Second || !strings.HasSuffix(e.path, "ShiftWeight"+back) {
		t.Errorf("path %s (%s): users were on a canary that crashes for %v", e.path, e.cause, d)
	}
	if !strings.Contains(e.cause, "await 25 % on checkout") || !strings.Contains(e.cause, "checkout-2") {
		t.Errorf("cause %q; want what was seen of checkout-2", e.cause)
	}
	s.settled("checkout-1")
}
