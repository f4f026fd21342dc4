package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// apartFrom makes sure that the Service of an adopted version does not lead to the new one's pods too: users would reach
// them the moment they are ready, whatever the weights.
func apartFrom(old workload.Version, objects []workload.Object) error {
	if old.Selector == "" {
		return nil
	}
	for _, o := range objects {
		if o.Kind() == "Deployment" && selects(old.Selector, o.Field("spec", "template", "metadata", "labels")) {
			return fmt.Errorf("%w: Service %s, which the route names, selects the new version's pods too (%s), so that users would reach them past the weights; "+
				"give the pods of the template other labels, or that Service one more", fault.Refused, old.Name, old.Selector)
		}
	}
	return nil
}

// selects tells whether pods with these labels are selected.
func selects(selector string, labels any) bool {
	have, _ := labels.(map[string]any)
	for _, want := range strings.Split(selector, ",") {
		key, value, _ := strings.Cut(want, "=")
		if text, ok := have[key].(string); !ok || text != value {
			return false
		}
	}
	return true
}

// nowhere tells whether all that the route leads to is gone: a first deployment that went back leaves that, and no mark of
// its end. There is nothing then that could be taken for a leftover.
func (s Prepare) nowhere(ctx context.Context, access Access, ro Rollout, versions []workload.Version, state traffic.State, name string) (bool, error) {
	if name == "" || len(versions) > 0 || len(state.Weights) > 1 {
		return false, nil
	}
	_, dead, err := s.adopt(ctx, access, ro, name)
	return dead != "", err
}

// closed makes sure, where the Lease is gone, that the last rollout has ended as far as the route tells: its version is
// removed as a leftover next, and must have no user.
func closed(ctx context.Context, router traffic.Router, ro Rollout, state traffic.State, serves string) error {
	if state.Fence.Seq < rollout.Last {
		return fmt.Errorf("read route %s: %w: the Lease is gone, and the route bears the mark of a rollout under way; let that one end, or settle the route and take its annotation out",
			ro.Route.Route, fault.Refused)
	}
	if serves == "" {
		return nil
	}
	state, err := router.Await(ctx, ro.Route, traffic.Split{Canary: serves, Weight: 100}, settleFor)
	if err != nil {
		return fmt.Errorf("await %s on %s: %w", serves, ro.Route.Route, err)
	}
	if !state.InForce {
		return fmt.Errorf("await %s on %s: %w: the Lease is gone, and the end of the last rollout is not in force: %s", serves, ro.Route.Route, fault.Transient, state.Why)
	}
	return nil
}

// moved refuses a rollout over another route than the last one's while that one still leads to the stable
// version: its users would be cut off when that version is retired.
func (s Prepare) moved(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) error {
	if rec.Route == "" || rec.Router == ro.Router && rec.Route == ro.Route.Route || rec.Stable.Ours && !names(versions, rec.Stable.Name) {
		return nil
	}
	before, err := access.Router(rec.Router)
	if err != nil {
		return fmt.Errorf("open router of the last rollout: %w", err)
	}
	state, err := before.Read(ctx, traffic.Target{Namespace: ro.Service.Namespace, Route: rec.Route, Service: ro.Service.Name})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return fmt.Errorf("read route %s of the last rollout: %w", rec.Route, err)
	}
	if state.Weights[rec.Stable.Name] == 0 {
		return nil
	}
	return fmt.Errorf("read route %s: %w: deploy.json names route %s (%s) now, and %s (%s) still sends requests to %s; move its users first, or name it again",
		rec.Route, fault.Refused, ro.Route.Route, ro.Router, rec.Route, rec.Router, rec.Stable.Name)
}

// routeless tells whether a service without its route is one that was never deployed: then nothing of it is
// there, or only what a failed first deployment left. Elsewhere a slip in the route's name, or a route that
// is being replaced, would have what serves taken for a leftover.
func (s Prepare) routeless(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) error {
	there, err := s.there(ctx, access, ro, rec, versions)
	if err != nil {
		return err
	}
	switch {
	case there:
		return fmt.Errorf("read route %s: %w: it is not there, and %s is recorded as what serves; bring the route back, or correct its name",
			ro.Route.Route, fault.Refused, rec.Stable.Name)
	case rec.Epoch == 0 && len(versions) > 0:
		return fmt.Errorf("read route %s: %w: neither it nor the Lease is there to say which of the service's versions serves; bring the route back, or remove them",
			ro.Route.Route, fault.Refused)
	}
	return nil
}

// switchedOff refuses a service whose recorded version is there and has none of the users: somebody sent them to a page of
// their own, or nowhere, and means to bring them back. Taken for a leftover, it would be removed.
func (s Prepare) switchedOff(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version, state traffic.State) error {
	if rec.Router != ro.Router || rec.Route != ro.Route.Route {
		return nil
	}
	there, err := s.there(ctx, access, ro, rec, versions)
	if err != nil || !there {
		return err
	}
	return fmt.Errorf("read route %s: %w: it sends requests to %v, and %s, which is recorded as what serves, is there and gets none; give it its users back, or remove it",
		ro.Route.Route, fault.Refused, state.Weights, rec.Stable.Name)
}

// there tells whether the version that is recorded as what serves exists.
func (s Prepare) there(ctx context.Context, access Access, ro Rollout, rec record.Record, versions []workload.Version) (bool, error) {
	if rec.Stable.Name == "" || rec.Stable.Ours {
		return names(versions, rec.Stable.Name), nil
	}
	_, gone, err := s.adopt(ctx, access, ro, rec.Stable.Name)
	return err == nil && gone == "", err
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
