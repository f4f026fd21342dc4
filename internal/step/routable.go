package step

import (
	"context"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// routable makes sure that the route could take all weights of the rollout, and that it is in force as it stands: one that its
// controller does not take up now would take up no weight either, the way back's no more than a step's. A first deployment
// has nobody to go back to, and may find a route to nothing, which no controller accepts.
func routable(ctx context.Context, access Access, ro Rollout, now found) error {
	if ro.First() {
		return nil
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return err
	}
	splits := []traffic.Split{ro.Split(0)} // by which the new version is named
	for _, s := range ro.Plan.Steps {
		splits = append(splits, ro.Split(rollout.Weight(s.Weight)))
	}
	if err := router.Try(ctx, ro.Route, splits...); err != nil {
		return fmt.Errorf("try the rollout's weights on route %s: %w", ro.Route.Route, err)
	}
	if now.inForce {
		return nil
	}
	serves := traffic.Split{Canary: ro.Stable.Name, Weight: 100}
	state, err := router.Await(ctx, ro.Route, serves, min(patience, time.Duration(ro.Deadlines.Observed)))
	if err != nil {
		return fmt.Errorf("await route %s as it is: %w", ro.Route.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("await route %s as it is: %w: it is not in force before the rollout: %s", ro.Route.Route, fault.Refused, state.Why)
	}
	return nil
}
