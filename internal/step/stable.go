package step

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A found is what serves before a rollout.
type found struct {
	// stable is the version; zero where nothing serves.
	stable workload.Version
	// dead is a back end that the route names and that leads nowhere.
	dead string
	// fence is the route's: this rollout's has to be newer.
	fence rollout.Fence
	// inForce tells whether the route's controller has taken it up as it is.
	inForce bool
}

// stable finds out which version serves now: the route says so, not the record.
func (s Prepare) stable(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) (found, error) {
	if rec.Holder == ro.Execution && rec.Canary.Name != "" {
		return s.recorded(ctx, access, ro, rec, versions)
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return found{}, err
	}
	if _, can := router.(traffic.Matcher); !can && len(ro.Match) > 0 {
		return found{}, fmt.Errorf("open router: %w: match rules are asked for, and %s has none", fault.Invalid, ro.Router)
	}
	if err := s.moved(ctx, access, ro, rec, versions); err != nil {
		return found{}, err
	}
	state, err := router.Read(ctx, ro.Route)
	if errors.Is(err, fault.NotFound) {
		return found{}, s.routeless(ctx, access, ro, rec, versions)
	}
	if err != nil {
		return found{}, fmt.Errorf("read route %s: %w", ro.Route.Route, err)
	}
	out := found{fence: state.Fence, inForce: state.InForce}
	name, err := serving(ro, rec, versions, state)
	if err == nil && rec.Epoch == 0 && state.Fence.Epoch > 0 {
		var nowhere bool
		if nowhere, err = s.nowhere(ctx, access, ro, versions, state, name); err == nil && !nowhere {
			err = closed(ctx, router, ro, state, name)
		}
	}
	if err != nil {
		return out, err
	}
	if i := slices.IndexFunc(versions, func(v workload.Version) bool { return v.Name == name }); i >= 0 {
		out.stable = versions[i]
		return out, nil
	}
	if name != "" {
		out.stable, out.dead, err = s.adopt(ctx, access, ro, name)
	}
	switch {
	case err != nil:
		return out, err
	case out.stable.Ours:
		return out, fmt.Errorf("read route %s: %w: it names Service %s, which leads to %s past any weights; name %[4]s in it",
			ro.Route.Route, fault.Refused, name, out.stable.Deployment)
	case name != rec.Stable.Name:
		return out, s.switchedOff(ctx, access, ro, rec, versions, state)
	}
	return out, nil
}

// recorded is the answer of a repeated run of this very step: what serves was written down with the lock. What was not is the
// back end that leads nowhere, so that of a first deployment the route tells again.
func (s Prepare) recorded(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) (found, error) {
	out := found{stable: rec.Stable}
	if rec.Stable.Name != "" {
		return out, nil
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return out, err
	}
	state, err := router.Read(ctx, ro.Route)
	if errors.Is(err, fault.NotFound) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("read route %s: %w", ro.Route.Route, err)
	}
	name, err := serving(ro, rec, versions, state)
	if err != nil || name == "" || name == rec.Canary.Name {
		return out, err
	}
	_, out.dead, err = s.adopt(ctx, access, ro, name)
	return out, err
}

// names tells whether one of the versions has that name.
func names(versions []workload.Version, name string) bool {
	return slices.ContainsFunc(versions, func(v workload.Version) bool { return v.Name == name })
}

// serving names the back end that answers the service's requests now; empty where none has any.
//
// A route may carry more than the service: rules for other paths, a share for an experiment of
// somebody's. Those keep what they have, and do not stand in the way. Among the back ends with
// weight the service's own is, in this order, the one that the record calls stable or that is
// named like a version of the service; the one that is called like the service itself; the
// only one that there is.
//
// Two versions of the service are refused, and so are several others of which none is called
// like it: which of them is to be compared with, and gone back to, a person knows alone, and a
// guess would take users away from what serves them. Nothing was changed then.
func serving(ro Rollout, rec record.Record, versions []workload.Version, state traffic.State) (string, error) {
	var own, others []string
	for name, w := range state.Weights {
		switch {
		case w == 0:
		case owns(ro.Service, rec, versions, name):
			own = append(own, name)
		default:
			others = append(others, name)
		}
	}
	switch {
	case len(own) == 1:
		return own[0], nil
	case len(own) > 1:
		return "", fmt.Errorf("read route %s: %w: it splits requests between %d versions outside of any rollout: %v; give all to one of them first",
			ro.Route.Route, fault.Refused, len(own), state.Weights)
	case slices.Contains(others, ro.Service.Name):
		return ro.Service.Name, nil
	case len(others) == 1:
		return others[0], nil
	case len(others) == 0:
		return "", nil
	}
	return "", fmt.Errorf("read route %s: %w: it sends requests to %v, and which of them is %s cannot be told: "+
		"none is called %[4]s or %[4]s-<number>; give the service a back end of that name, or a route of its own",
		ro.Route.Route, fault.Refused, state.Weights, ro.Service.Name)
}

// owns tells whether a back end is a version of the service, as far as can be told by name.
func owns(s workload.Service, rec record.Record, versions []workload.Version, name string) bool {
	return name == rec.Stable.Name || workload.NumberOf(s.Name, name) > 0 ||
		names(versions, name)
}
