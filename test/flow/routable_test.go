package flow_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// dangling is a route of which another rule names a back end that is missing, for a time: its controller says so of
// every generation.
type dangling struct {
	traffic.Router
	clock clock.Clock
	until time.Time
}

func (d dangling) say(st traffic.State, err error) (traffic.State, error) {
	if d.clock.Now().Before(d.until) {
		st.InForce, st.Why = false, "Gateway shop/web says ResolvedRefs=False: BackendNotFound: legacy"
	}
	return st, err
}

func (d dangling) Read(ctx context.Context, t traffic.Target) (traffic.State, error) {
	return d.say(d.Router.Read(ctx, t))
}

func (d dangling) Await(ctx context.Context, t traffic.Target, s traffic.Split, wait time.Duration) (traffic.State, error) {
	if err := d.clock.Sleep(ctx, min(wait, max(0, d.until.Sub(d.clock.Now())))); err != nil {
		return traffic.State{}, err
	}
	return d.say(d.Router.Await(ctx, t, s, 0))
}

// A route that is not in force before a rollout takes up neither a step's weight nor the way back's: such a rollout
// ended in NeedsOperator with the lock held, and nobody had moved. What was just changed is waited for.
func TestARouteThatIsNotInForceBefore(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lasts time.Duration
		path  string
		cause string
	}{
		"and does not come":   {24 * time.Hour, "Prepare Refused", "it is not in force before the rollout: Gateway shop/web says ResolvedRefs=False"},
		"and comes in 10 s":   {10 * time.Second, toReady + steps(4) + promoted, ""},
		"is in force already": {0, toReady + steps(4) + promoted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, healthyUpTo(2))
			before := s.record()
			s.Router = dangling{s.router, s.clock, s.clock.Now().Add(tt.lasts)}
			e := s.run(nil)
			if e.path != tt.path || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s (%s); want %s, %s", e.path, e.cause, tt.path, tt.cause)
			}
			if rec := s.record(); rec.Holder != "" || e.Status != asl.Succeeded && rec.Epoch != before.Epoch {
				t.Errorf("the lock was taken, or is held: %+v", rec)
			}
		})
	}
}

// What the route cannot take is known before anything changes: weights of 1 and 1, of which 25 % is no whole number, were
// found when the new version was up, and a back end that a rule names twice ended in NeedsOperator.
func TestWhatTheRouteCannotTakeIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ rules, cause string }{
		"a quarter of 1 beside somebody else": {`[{"backendRefs": [{"name": "checkout-1", "port": 80, "weight": 1}, {"name": "legacy", "port": 80, "weight": 1}]}]`,
			"share a weight of 1 beside other back ends, of which 25 % is no whole number"},
		"the stable version twice": {"[" + mainRule + "," + twiceRule + "]", `and each back end is expected once`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, api := onHTTPRoute(t)
			api.rule(rules(t, tt.rules))
			before, writes := s.record(), len(api.versions)
			if e := s.run(nil); e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s (%s); want it refused: %s", e.path, e.cause, tt.cause)
			}
			if rec := s.record(); rec.Holder != "" || rec.Epoch != before.Epoch || len(api.versions) != writes {
				t.Errorf("%d writes of the route, record %+v; want nothing changed", len(api.versions)-writes, rec)
			}
		})
	}
}
