// Package traffic is the port to whatever splits requests between two versions
// of a service: a gateway, a mesh, an ingress. Its drivers are the folders below
// it; package routers opens one by name, and every driver passes the suite in
// traffictest.
package traffic

import (
	"context"
	"time"

	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A Target names the object that holds the split, and whose of it is meant: several services
// may share a route, and each is rolled out for itself.
type Target struct {
	Namespace string `json:"namespace"`
	Route     string `json:"route"`
	// Service is the one that is rolled out. Fence and match rules are its own. It does not
	// travel: whoever holds a Target knows its service.
	Service string `json:"-"`
}

// A Split is the share of two back ends. A back end is named as the route names
// it: a Service for a Gateway API route, a VirtualNode for App Mesh.
type Split struct {
	Stable string `json:"stable"`
	Canary string `json:"canary"`
	// Weight is the canary's share; stable gets the rest of what the two had.
	Weight rollout.Weight `json:"weight"`
}

// A State is what a route says now.
type State struct {
	// Weights is the share in percent that each back end has, as desired by the object:
	// of the whole of its rule where the route was read, and of what the two have
	// together where a split was awaited. Where rules differ, it is the largest. A back
	// end that is not named is absent.
	Weights map[string]rollout.Weight
	// InForce tells that the controller has taken up exactly this desire: the
	// status speaks of the object's present generation and accepts it.
	InForce bool
	// Why says in a few words why it is not in force.
	Why string
	// Fence is the fence of the last write for the service; zero where there was none.
	Fence rollout.Fence
}

// A Router splits traffic in one mesh, gateway or ingress. Every driver passes
// the suite in traffictest. Errors carry a fault.Kind: NotFound where the route
// does not exist, Fenced, Conflict, Transient, Invalid where the route's shape
// cannot be split (the error says what was found).
type Router interface {
	// Read gives the route's state. It changes nothing.
	Read(ctx context.Context, t Target) (State, error)

	// Try tells whether Shift could write each of the splits on the route as it is: the error is
	// the one that Shift would give. It changes nothing.
	Try(ctx context.Context, t Target, splits ...Split) error

	// Shift writes the split, both weights explicitly, zero included, into every
	// rule that names one of the two back ends, adding the missing one beside the
	// other. In a rule that gives the two nothing beside others they get nothing. It is idempotent, because Step Functions may run a task twice, leaves
	// every other rule, filter and back end alone, and refuses with fault.Fenced,
	// changing nothing, where the route carries a newer fence of the same service than f. The
	// check and the write are one atomic step. A target without a service is fault.Invalid.
	Shift(ctx context.Context, t Target, s Split, f rollout.Fence) error

	// Settle gives keep all that the two had, be it nothing, and takes drop out of the route,
	// under the same fence rule. A drop that is not there is no error, and of a route that
	// names one of the two no shape is: it is the way back.
	Settle(ctx context.Context, t Target, keep, drop string, f rollout.Fence) error

	// Await waits until the split is in force, at most for d, and gives the last
	// state seen, in force or not. It is how a desired weight becomes an observed
	// one.
	Await(ctx context.Context, t Target, s Split, d time.Duration) (State, error)
}
