// Package world is a simulated cluster made of the in-memory drivers: a rollout of
// days runs through it in milliseconds, and every call can be made to fail.
package world

import (
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/memory"
	records "github.com/stepcanary/stepcanary/internal/record/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// A World holds the drivers and what they share.
type World struct {
	Core    *memory.Core
	Cluster *cluster.Cluster
	Router  *router.Router
	Records *records.Records
}

// New gives an empty world. A route that is applied to its cluster comes up in its
// router, and a version that is scripted to crash at a weight sees the weights
// that the router has in force.
func New(c clock.Clock) *World {
	core := memory.New(c)
	w := &World{Core: core, Cluster: cluster.New(core), Router: router.New(core), Records: records.New(core)}
	w.Cluster.Reached = w.Router.Reached
	w.Cluster.Create = func(o workload.Object) {
		if shares := Shares(o); shares != nil {
			w.Router.Create(traffic.Target{Namespace: o.Namespace(), Route: o.Name()}, shares)
		}
	}
	return w
}

// Shares reads the shares in percent that a route object gives to its back ends in
// its first rule; nil where it is no route.
func Shares(o workload.Object) map[string]rollout.Weight {
	var refs []any
	name := func(ref workload.Object) string { s, _ := ref["name"].(string); return s }
	switch o.Kind() {
	case "HTTPRoute":
		refs = list(first(o.Field("spec", "rules")).Field("backendRefs"))
	case "VirtualRouter":
		route := first(o.Field("spec", "routes"))
		for _, protocol := range []string{"httpRoute", "http2Route", "grpcRoute", "tcpRoute"} {
			if route.Field(protocol) != nil {
				refs = list(route.Field(protocol, "action", "weightedTargets"))
			}
		}
		name = func(ref workload.Object) string { s, _ := ref.Field("virtualNodeRef", "name").(string); return s }
	}
	weights, sum := map[string]int{}, 0
	for _, r := range refs {
		m, _ := r.(map[string]any)
		ref := workload.Object(m)
		w := 1
		switch n := ref["weight"].(type) {
		case int:
			w = n
		case int64:
			w = int(n)
		case float64:
			w = int(n)
		}
		weights[name(ref)] += w
		sum += w
	}
	if sum == 0 {
		return nil
	}
	shares := map[string]rollout.Weight{}
	for backend, w := range weights {
		shares[backend] = rollout.Weight(100 * w / sum)
	}
	return shares
}

func list(v any) []any { l, _ := v.([]any); return l }

func first(v any) workload.Object {
	l := list(v)
	if len(l) == 0 {
		return nil
	}
	m, _ := l[0].(map[string]any)
	return m
}
