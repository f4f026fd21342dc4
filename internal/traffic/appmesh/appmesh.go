// Package appmesh splits traffic by the weighted targets of a VirtualRouter of the
// AWS App Mesh controller (appmesh.k8s.aws/v1beta2). AWS ended the service on
// 2026-09-30; the objects stay supported for meshes that still read them.
package appmesh

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/object"
)

// A Router moves the weights of VirtualRouters.
type Router struct{ object.Route }

// New gives a router of the client's cluster.
func New(c *kube.Client) *Router {
	return &Router{object.Route{Client: c, Resource: kube.VirtualRouters, Kind: "VirtualRouter", Rules: rules, Why: why}}
}

// Await waits until the split is in force, at most for d. The controller takes a
// route up only when its virtual nodes are active, and says so nowhere on the
// router; where it does not take it up, the nodes are asked.
func (r *Router) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (traffic.State, error) {
	st, err := r.Route.Await(ctx, t, s, d)
	if err != nil || st.InForce {
		return st, err
	}
	for _, name := range []string{s.Stable, s.Canary} {
		if _, named := st.Weights[name]; !named || name == "" {
			continue
		}
		node, err := r.Client.Get(ctx, kube.VirtualNodes, t.Namespace, name)
		if apierrors.IsNotFound(err) {
			st.Why = fmt.Sprintf("VirtualNode %s does not exist", name)
			continue
		}
		if err != nil {
			return st, kube.Fault(fmt.Sprintf("read VirtualNode %s/%s", t.Namespace, name), err)
		}
		if w, err := activity(node, "VirtualNodeActive"); err == nil && w != "" {
			st.Why = fmt.Sprintf("VirtualNode %s: %s", name, w)
		}
	}
	return st, nil
}

// protocols are the kinds of a route; each has its own list of weighted targets.
var protocols = []string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"}

// rules reads the weighted targets of every route, whatever it matches.
func rules(o *unstructured.Unstructured) ([]object.Rule, error) {
	routes, _, err := unstructured.NestedSlice(o.Object, "spec", "routes")
	if err != nil {
		return nil, fmt.Errorf("spec.routes: %w: %w", fault.Invalid, err)
	}
	var out []object.Rule
	for i, v := range routes {
		route, _ := v.(map[string]any)
		for _, protocol := range protocols {
			targets, ok, err := unstructured.NestedSlice(route, protocol, "action", "weightedTargets")
			if err != nil {
				return nil, fmt.Errorf("spec.routes[%d].%s: %w: %w", i, protocol, fault.Invalid, err)
			}
			if !ok {
				continue
			}
			r := object.Rule{
				Path: fmt.Sprintf("routes[%d].%s", i, protocol),
				At:   []string{"spec", "routes", strconv.Itoa(i), protocol, "action", "weightedTargets"},
				Refs: targets,
				Like: like,
			}
			for _, v := range targets {
				target, _ := v.(map[string]any)
				r.Backends = append(r.Backends, backend(target, o.GetNamespace()))
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func backend(target map[string]any, namespace string) object.Backend {
	var b object.Backend
	b.Weight, _ = target["weight"].(int64)
	ref, _ := target["virtualNodeRef"].(map[string]any)
	if in, ok := ref["namespace"].(string); !ok || in == namespace {
		b.Name, _ = ref["name"].(string)
	}
	return b
}

func like(target map[string]any, name string) map[string]any {
	ref, _ := target["virtualNodeRef"].(map[string]any)
	ref = maps.Clone(ref)
	ref["name"] = name
	out := map[string]any{"virtualNodeRef": ref}
	if port, ok := target["port"]; ok {
		out["port"] = port
	}
	return out
}

func why(o *unstructured.Unstructured) (string, error) { return activity(o, "VirtualRouterActive") }

// activity says why the mesh does not have the object's present generation; empty
// if it has.
func activity(o *unstructured.Unstructured, active string) (string, error) {
	var s struct {
		Status struct {
			ObservedGeneration int64 `json:"observedGeneration"`
			Conditions         []struct {
				Type    string `json:"type"`
				Status  string `json:"status"`
				Reason  string `json:"reason"`
				Message string `json:"message"`
			} `json:"conditions"`
		} `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &s); err != nil {
		return "", fmt.Errorf("status: %w: %w", fault.Invalid, err)
	}
	if got := s.Status.ObservedGeneration; got != o.GetGeneration() {
		return fmt.Sprintf("the mesh has taken up generation %d, and %d is wanted", got, o.GetGeneration()), nil
	}
	for _, c := range s.Status.Conditions {
		if c.Type != active {
			continue
		}
		if c.Status == "True" {
			return "", nil
		}
		return fmt.Sprintf("the mesh says %s=%s: %s: %s", c.Type, c.Status, c.Reason, c.Message), nil
	}
	return fmt.Sprintf("the mesh has not reported %s", active), nil
}
