package step

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// stable finds out which version serves now: the route says so, not the record. Dead is a back
// end that the route names and that leads nowhere.
func (s Prepare) stable(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) (v workload.Version, dead string, err error) {
	if rec.Holder == ro.Execution && rec.Canary.Name != "" {
		return rec.Stable, "", nil // a repeated run of this very step: the answer was recorded
	}
	router, err := access.Router(ro.Router)
	if err != nil {
		return v, "", fmt.Errorf("open router: %w: %w", fault.Invalid, err)
	}
	if _, can := router.(traffic.Matcher); !can && len(ro.Match) > 0 {
		return v, "", fmt.Errorf("open router: %w: match rules are asked for, and %s has none", fault.Invalid, ro.Router)
	}
	state, err := router.Read(ctx, ro.Route)
	if errors.Is(err, fault.NotFound) {
		return v, "", nil
	}
	if err != nil {
		return v, "", fmt.Errorf("read route %s: %w", ro.Route.Route, err)
	}
	name, err := serving(ro, rec, versions, state)
	if name == "" || err != nil {
		return v, "", err
	}
	for _, v := range versions {
		if v.Name == name {
			return v, "", nil
		}
	}
	return s.adopt(ctx, access, ro, name)
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
		slices.ContainsFunc(versions, func(v workload.Version) bool { return v.Name == name })
}

// adopt finds the version behind a back end that is not ours.
func (s Prepare) adopt(ctx context.Context, access Access, ro Rollout, name string) (v workload.Version, dead string, err error) {
	v, err = access.Cluster.Adopt(ctx, ro.Service, name)
	if errors.Is(err, fault.NotFound) {
		return workload.Version{}, name, nil // the route leads nowhere: nothing serves
	}
	if err != nil {
		return v, "", fmt.Errorf("adopt %s: %w", name, err)
	}
	return v, "", nil
}
