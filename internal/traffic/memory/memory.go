// Package memory is a router in memory, for simulations and tests. A weight comes
// into force after a scripted delay, or never, or is claimed to be and is not.
package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// A Script says how the controller of the routes behaves from now on. The zero
// Script takes every write up at once.
type Script struct {
	// Delay is the time from a write to its being in force.
	Delay time.Duration
	// Never keeps writes from coming into force; Why is what the status says then.
	Never bool
	Why   string
	// Lies lets the status claim every write at once, whatever the data plane does.
	Lies bool
}

// A Router is a traffic.Matcher in memory. Its operations are named traffic.Read,
// traffic.Shift, traffic.Match, traffic.Settle and traffic.Await for the hooks of the core.
type Router struct {
	core   *memory.Core
	routes map[place]*route
	script Script
}

// A place is where a route is, whichever service it is asked for.
type place struct{ namespace, route string }

func placeOf(t traffic.Target) place { return place{t.Namespace, t.Route} }

type route struct {
	desire
	// fences are those of the services.
	fences map[string]rollout.Fence
	// written is when the desire was, under the script of that moment.
	written time.Time
	script  Script
	// served is what the data plane did and will do, by rising time.
	served []serving
}

// A serving is what the data plane does from a moment on.
type serving struct {
	from time.Time
	desire
}

// New gives a router without routes.
func New(c *memory.Core) *Router {
	return &Router{core: c, routes: map[place]*route{}}
}

// Define makes the route, or has a person rewrite it, with these shares, in force
// at once. The fences of an existing route stay, as they would on a real object.
func (r *Router) Define(t traffic.Target, weights map[string]rollout.Weight) {
	r.core.Change(func() { r.define(t, weights) })
}

// Create makes the route unless it exists. It is called inside a call of the core.
func (r *Router) Create(t traffic.Target, weights map[string]rollout.Weight) {
	if r.routes[placeOf(t)] == nil {
		r.define(t, weights)
	}
}

// Script changes how the controller treats the writes to come, and the one that is
// not in force yet.
func (r *Router) Script(s Script) {
	r.core.Change(func() {
		r.script = s
		now := r.core.Clock.Now()
		for _, rt := range r.routes {
			if rt.script.Never || !rt.at(now).equal(rt.desire) {
				rt.take(now, s)
			}
		}
	})
}

// Drop removes the route.
func (r *Router) Drop(t traffic.Target) {
	r.core.Change(func() { delete(r.routes, placeOf(t)) })
}

func (r *Router) define(t traffic.Target, weights map[string]rollout.Weight) {
	rt := r.routes[placeOf(t)]
	if rt == nil {
		rt = &route{fences: map[string]rollout.Fence{}}
		r.routes[placeOf(t)] = rt
	}
	rt.weights = maps.Clone(weights) // chosen requests stay chosen: they are a rule of their own
	rt.take(r.core.Clock.Now(), Script{})
}

// take notes how the present weights come into force.
func (rt *route) take(now time.Time, s Script) {
	rt.written, rt.script = now, s
	from := now.Add(s.Delay)
	rt.served = slices.DeleteFunc(rt.served, func(e serving) bool { return e.from.After(now) && (s.Never || !e.from.Before(from)) })
	if !s.Never {
		rt.served = append(rt.served, serving{from, rt.desire.clone()})
	}
}

// at is what the data plane does at the moment.
func (rt *route) at(now time.Time) desire {
	for _, s := range slices.Backward(rt.served) {
		if !s.from.After(now) {
			return s.desire
		}
	}
	return desire{}
}

// settled tells whether the status claims the present weights, and why not.
func (rt *route) settled(now time.Time) (bool, string) {
	switch {
	case rt.script.Lies:
		return true, ""
	case rt.script.Never && rt.script.Why != "":
		return false, rt.script.Why
	case rt.script.Never:
		return false, "the controller has not reported"
	case now.Before(rt.written.Add(rt.script.Delay)):
		return false, "the controller has not taken up the last change"
	}
	return true, ""
}

func (rt *route) state(service string, now time.Time) traffic.State {
	inForce, why := rt.settled(now)
	return traffic.State{Weights: maps.Clone(rt.weights), InForce: inForce, Why: why, Fence: rt.fences[service]}
}

// thing is what somebody waits for who waits for the route.
func thing(t traffic.Target) memory.Thing {
	return memory.Thing{Kind: "Route", Namespace: t.Namespace, Name: t.Route}
}

func (r *Router) find(t traffic.Target) (*route, error) {
	if rt := r.routes[placeOf(t)]; rt != nil {
		return rt, nil
	}
	return nil, fmt.Errorf("route %s/%s: %w", t.Namespace, t.Route, fault.NotFound)
}

// Read gives the route's state.
func (r *Router) Read(ctx context.Context, t traffic.Target) (st traffic.State, err error) {
	err = r.core.Call(ctx, "traffic.Read", func() error {
		rt, err := r.find(t)
		if err == nil {
			st = rt.state(t.Service, r.core.Clock.Now())
		}
		return err
	})
	if err != nil {
		return traffic.State{}, err
	}
	return st, nil
}

// Try tells whether Shift could write the splits. It is no operation of the hooks: over a route that was just read, the other
// drivers ask nobody, so nothing can fail.
func (r *Router) Try(_ context.Context, t traffic.Target, splits ...traffic.Split) error {
	return r.core.Do(func() error {
		rt, err := r.find(t)
		if err != nil {
			return err
		}
		for _, s := range splits {
			d := rt.desire.clone()
			err := s.Validate()
			if err == nil {
				err = d.shift(s)
			}
			if err != nil {
				return fmt.Errorf("route %s/%s: %w", t.Namespace, t.Route, err)
			}
		}
		return nil
	})
}

// Shift writes the split.
func (r *Router) Shift(ctx context.Context, t traffic.Target, s traffic.Split, f rollout.Fence) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("shift route %s/%s: %w", t.Namespace, t.Route, err)
	}
	return r.write(ctx, "traffic.Shift", t, f, func(d *desire) error { return d.shift(s) })
}

// Match sends the requests that fulfil any of the matches to the canary.
func (r *Router) Match(ctx context.Context, t traffic.Target, s traffic.Split, matches []traffic.Match, f rollout.Fence) error {
	for i, m := range matches {
		if err := m.Validate(); err != nil {
			return fmt.Errorf("match on route %s/%s: match[%d]: %w", t.Namespace, t.Route, i, err)
		}
	}
	return r.write(ctx, "traffic.Match", t, f, func(d *desire) error { return d.match(t.Service, s, matches) })
}

// Settle gives keep all that the two had, and takes drop and the service's matches out.
func (r *Router) Settle(ctx context.Context, t traffic.Target, keep, drop string, f rollout.Fence) error {
	return r.write(ctx, "traffic.Settle", t, f, func(d *desire) error { return d.settle(t.Service, keep, drop) })
}

func (r *Router) write(ctx context.Context, op string, t traffic.Target, f rollout.Fence, edit func(*desire) error) error {
	if err := t.Validate(); err != nil {
		return err
	}
	return r.core.Call(ctx, op, func() error {
		rt, err := r.find(t)
		if err != nil {
			return err
		}
		if fence := rt.fences[t.Service]; f.Before(fence) {
			return fmt.Errorf("route %s/%s: %w: it carries fence %v, newer than %v", t.Namespace, t.Route, fault.Fenced, fence, f)
		}
		d := rt.desire.clone()
		if err := edit(&d); err != nil {
			return fmt.Errorf("route %s/%s: %w", t.Namespace, t.Route, err)
		}
		rt.fences[t.Service] = f
		if !d.equal(rt.desire) {
			rt.desire = d
			rt.take(r.core.Clock.Now(), r.script)
		}
		r.core.Changed(thing(t))
		return nil
	})
}

// Await waits until the split is in force, at most for d.
func (r *Router) Await(ctx context.Context, t traffic.Target, s traffic.Split, d time.Duration) (st traffic.State, err error) {
	deadline := r.core.Clock.Now().Add(d)
	err = r.core.Call(ctx, "traffic.Await", func() error { return nil })
	for err == nil {
		var turn int
		var now, wake time.Time
		err = r.core.Do(func() error {
			rt, err := r.find(t)
			if err != nil {
				return err
			}
			now, turn = r.core.Clock.Now(), r.core.Turn()
			st = rt.state(t.Service, now)
			st.Weights = rt.among(s)
			st = s.Judge(st)
			wake = deadline
			if due := rt.written.Add(rt.script.Delay); due.After(now) && due.Before(deadline) {
				wake = due
			}
			return nil
		})
		if err != nil || st.InForce || !now.Before(deadline) {
			break
		}
		err = r.core.Wait(ctx, turn, wake, thing(t))
	}
	if err != nil {
		return traffic.State{}, err
	}
	return st, nil
}

// Served is what the data plane does at the moment: the share in percent of each
// back end. It may differ from what the route says.
func (r *Router) Served(t traffic.Target, at time.Time) (weights map[string]rollout.Weight) {
	_ = r.core.Do(func() error {
		if rt := r.routes[placeOf(t)]; rt != nil {
			weights = maps.Clone(rt.at(at).weights)
		}
		return nil
	})
	return weights
}

// Splits is what the data plane did with the requests of the route and, unless it is written
// again, will do: the shares of the back ends by the moment from which they were in force, rising.
func (r *Router) Splits(t traffic.Target, each func(from time.Time, weights map[string]rollout.Weight)) {
	_ = r.core.Do(func() error {
		if rt := r.routes[placeOf(t)]; rt != nil {
			for _, s := range rt.served {
				each(s.from, s.weights)
			}
		}
		return nil
	})
}

// Matched is what the data plane does with the service's chosen requests at the moment: the back end
// that gets them, and which they are. The name is empty where none are chosen.
func (r *Router) Matched(t traffic.Target, at time.Time) (backend string, matches []traffic.Match) {
	_ = r.core.Do(func() error {
		if rt := r.routes[placeOf(t)]; rt != nil {
			c := rt.at(at).chosen[t.Service]
			backend, matches = c.to, slices.Clone(c.matches)
		}
		return nil
	})
	return backend, matches
}

// Reached is the first moment, past or to come, at which a back end's share on any
// route in the namespace is at least w. It is called inside a call of the core.
func (r *Router) Reached(namespace, backend string, w rollout.Weight) (first time.Time, ok bool) {
	for at, rt := range r.routes {
		if at.namespace != namespace {
			continue
		}
		for _, s := range rt.served {
			if s.weights[backend] >= w && (!ok || s.from.Before(first)) {
				first, ok = s.from, true
			}
		}
	}
	return first, ok
}
