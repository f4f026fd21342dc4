// Package traffictest is the suite that every traffic.Router passes.
package traffictest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// A Subject is a router under test, with a way to play the others who act on a
// route: its owner and the controller that puts it in force.
type Subject struct {
	Router traffic.Router
	Target traffic.Target
	// Define writes the route as its owner would, with these weights, whose sum is
	// 100, and lets the controller take it up. Fences stay.
	Define func(t *testing.T, weights map[string]rollout.Weight)
	// Accept lets the controller take up the present generation and all to come.
	Accept func(t *testing.T)
	// Ignore keeps the controller from taking up anything written from now on.
	Ignore func(t *testing.T)
	// Prompt is within how long Accept must show; for memory it is virtual.
	Prompt time.Duration
}

// The service of the suite, which a Subject's target names, and its two back ends.
const (
	Service = "checkout"
	Stable  = "checkout-1"
	Canary  = "checkout-2"
)

func fence(epoch, seq int64) rollout.Fence { return rollout.Fence{Epoch: epoch, Seq: seq} }

func split(w rollout.Weight) traffic.Split {
	return traffic.Split{Stable: Stable, Canary: Canary, Weight: w}
}

// Run tests the routers that open gives, each with a target that does not exist.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"a route that does not exist is not found":             missing,
		"the missing back end is added beside the other":       adds,
		"both weights are written, zero included":              zeros,
		"a second delivery changes nothing":                    twice,
		"a newer fence turns a writer away":                    fenced,
		"a late duplicate does not undo the way back":          late,
		"of two writers with one fence none is lost":           concurrent,
		"a split that cannot be written is refused":            refused,
		"a try says what a shift would, and changes nothing":   tries,
		"a route with other back ends only is refused":         others,
		"settle leaves one back end with everything":           settle,
		"a page that somebody gave everything stays":           page,
		"a weight that no controller took up is not in force":  ignored,
		"await sees the controller take it up":                 await,
		"await does not take somebody else's weights for ours": foreign,
		"a canary without a stable gets everything":            first,
		"two services on one route do not fence each other":    services,
		"a write for no service is refused":                    nobody,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func (s Subject) shift(t *testing.T, w rollout.Weight, f rollout.Fence) {
	t.Helper()
	if err := s.Router.Shift(t.Context(), s.Target, split(w), f); err != nil {
		t.Fatalf("Shift(%d %%, fence %v) = %v", w, f, err)
	}
}

func (s Subject) read(t *testing.T) traffic.State {
	t.Helper()
	st, err := s.Router.Read(t.Context(), s.Target)
	if err != nil {
		t.Fatalf("Read(%v) = %v", s.Target, err)
	}
	return st
}

func (s Subject) want(t *testing.T, weights map[string]rollout.Weight, f rollout.Fence) {
	t.Helper()
	st := s.read(t)
	if diff := cmp.Diff(weights, st.Weights); diff != "" {
		t.Errorf("weights of the route (-want +got):\n%s", diff)
	}
	if st.Fence != f {
		t.Errorf("fence of the route = %v; want %v", st.Fence, f)
	}
}

type weights = map[string]rollout.Weight

func missing(t *testing.T, s Subject) {
	if _, err := s.Router.Read(t.Context(), s.Target); !errors.Is(err, fault.NotFound) {
		t.Errorf("Read() = %v; want %v", err, fault.NotFound)
	}
	if err := s.Router.Try(t.Context(), s.Target, split(10)); !errors.Is(err, fault.NotFound) {
		t.Errorf("Try() = %v; want %v", err, fault.NotFound)
	}
	if err := s.Router.Shift(t.Context(), s.Target, split(10), fence(1, 1)); !errors.Is(err, fault.NotFound) {
		t.Errorf("Shift() = %v; want %v", err, fault.NotFound)
	}
	if err := s.Router.Settle(t.Context(), s.Target, Stable, Canary, fence(1, 1)); !errors.Is(err, fault.NotFound) {
		t.Errorf("Settle() = %v; want %v", err, fault.NotFound)
	}
	if _, err := s.Router.Await(t.Context(), s.Target, split(10), s.Prompt); !errors.Is(err, fault.NotFound) {
		t.Errorf("Await() = %v; want %v", err, fault.NotFound)
	}
}

func adds(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.want(t, weights{Stable: 100}, fence(0, 0))
	s.shift(t, 30, fence(1, 1))
	s.want(t, weights{Stable: 70, Canary: 30}, fence(1, 1))
}

func zeros(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	for seq, w := range []rollout.Weight{0, 50, 100, 0} {
		s.shift(t, w, fence(1, int64(seq+1)))
		s.want(t, weights{Stable: 100 - w, Canary: w}, fence(1, int64(seq+1)))
	}
}

func twice(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	for range 3 {
		s.shift(t, 10, fence(1, 1))
	}
	s.want(t, weights{Stable: 90, Canary: 10}, fence(1, 1))
}

func fenced(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 20, fence(2, 5))
	for _, f := range []rollout.Fence{fence(2, 4), fence(1, 9), fence(1, rollout.Last), {}} {
		if err := s.Router.Shift(t.Context(), s.Target, split(50), f); !errors.Is(err, fault.Fenced) {
			t.Errorf("Shift() with fence %v = %v; want %v", f, err, fault.Fenced)
		}
		if err := s.Router.Settle(t.Context(), s.Target, Canary, Stable, f); !errors.Is(err, fault.Fenced) {
			t.Errorf("Settle() with fence %v = %v; want %v", f, err, fault.Fenced)
		}
		// Even what is written already is refused: its writer must learn that it is late.
		if err := s.Router.Shift(t.Context(), s.Target, split(20), f); !errors.Is(err, fault.Fenced) {
			t.Errorf("Shift() to the present weights with fence %v = %v; want %v", f, err, fault.Fenced)
		}
	}
	s.want(t, weights{Stable: 80, Canary: 20}, fence(2, 5))
	s.shift(t, 20, fence(2, 6))
	s.want(t, weights{Stable: 80, Canary: 20}, fence(2, 6))
}

func late(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 40, fence(3, 1))
	s.shift(t, 0, fence(3, rollout.Last))
	if err := s.Router.Shift(t.Context(), s.Target, split(70), fence(3, 2)); !errors.Is(err, fault.Fenced) {
		t.Errorf("Shift() after the way back = %v; want %v", err, fault.Fenced)
	}
	s.want(t, weights{Stable: 100, Canary: 0}, fence(3, rollout.Last))
}

// Many write at once, each with its own fence. Whoever comes after a newer one is
// turned away, so the newest fence and its weights are what is left.
func concurrent(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	const writers = 6
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			w := rollout.Weight(10 * (i + 1))
			for range 50 {
				err := s.Router.Shift(t.Context(), s.Target, split(w), fence(1, int64(i+1)))
				switch {
				case err == nil, errors.Is(err, fault.Fenced):
					return
				case !errors.Is(err, fault.Conflict):
					t.Errorf("Shift() beside others = %v; want nil, %v or %v", err, fault.Fenced, fault.Conflict)
					return
				}
			}
			t.Errorf("the writer of %d %% lost 50 times", w)
		})
	}
	wg.Wait()
	s.want(t, weights{Stable: 40, Canary: 60}, fence(1, writers))
}

func refused(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	for name, sp := range map[string]traffic.Split{
		"weight above 100":       {Stable: Stable, Canary: Canary, Weight: 101},
		"weight below 0":         {Stable: Stable, Canary: Canary, Weight: -1},
		"no canary":              {Stable: Stable, Weight: 10},
		"one back end for both":  {Stable: Stable, Canary: Stable, Weight: 10},
		"nobody to get the rest": {Canary: Canary, Weight: 10},
		"nobody to get anything": {Canary: Canary, Weight: 0},
	} {
		if err := s.Router.Try(t.Context(), s.Target, split(10), sp); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Try(%+v) = %v; want %v", name, sp, err, fault.Invalid)
		}
		if err := s.Router.Shift(t.Context(), s.Target, sp, fence(1, 1)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Shift(%+v) = %v; want %v", name, sp, err, fault.Invalid)
		}
	}
	s.want(t, weights{Stable: 100}, fence(0, 0))
}

func tries(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 2, "legacy": 98})
	try := func(want bool, splits ...traffic.Split) {
		t.Helper()
		err := s.Router.Try(t.Context(), s.Target, splits...)
		if (err == nil) != want || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("Try(%v) beside others = %v; want it taken: %t", splits, err, want)
		}
	}
	try(true)
	try(true, split(0), split(50), split(100))
	try(false, split(0), split(50), split(25), split(100)) // of 2, which the two share, a quarter is no whole number
	s.want(t, weights{Stable: 2, "legacy": 98}, fence(0, 0))
	s.shift(t, 50, fence(1, 1))
	if err := s.Router.Shift(t.Context(), s.Target, split(25), fence(1, 1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Shift(25 %%) beside others = %v; want %v", err, fault.Invalid)
	}
}

func others(t *testing.T, s Subject) {
	s.Define(t, weights{"payments": 100})
	if err := s.Router.Try(t.Context(), s.Target, split(10)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Try() = %v; want %v", err, fault.Invalid)
	}
	if err := s.Router.Shift(t.Context(), s.Target, split(10), fence(1, 1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Shift() = %v; want %v", err, fault.Invalid)
	}
	if err := s.Router.Settle(t.Context(), s.Target, Stable, Canary, fence(1, 1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Settle() = %v; want %v", err, fault.Invalid)
	}
	s.want(t, weights{"payments": 100}, fence(0, 0))
}

func settle(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 40, fence(1, 1))
	for range 2 {
		if err := s.Router.Settle(t.Context(), s.Target, Canary, Stable, fence(1, 2)); err != nil {
			t.Fatalf("Settle() = %v", err)
		}
		s.want(t, weights{Canary: 100}, fence(1, 2))
	}
	// Where only the one to be dropped is left, the other takes its place.
	if err := s.Router.Settle(t.Context(), s.Target, Stable, Canary, fence(1, 3)); err != nil {
		t.Fatalf("Settle() back = %v", err)
	}
	s.want(t, weights{Stable: 100}, fence(1, 3))
}

// In an incident a person gives all requests to a page. No step counts then, and the way back takes the canary out
// all the same.
func page(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 30, fence(1, 1))
	s.Define(t, weights{Stable: 0, Canary: 0, "sorry": 100})
	s.shift(t, 50, fence(1, 2))
	s.want(t, weights{Stable: 0, Canary: 0, "sorry": 100}, fence(1, 2))
	st, err := s.Router.Await(t.Context(), s.Target, split(50), 50*time.Millisecond)
	if err != nil || st.InForce || st.Why == "" {
		t.Errorf("Await(50 %%) beside the page = in force %v, why %q, %v; want false and a reason", st.InForce, st.Why, err)
	}
	if err := s.Router.Settle(t.Context(), s.Target, Stable, Canary, fence(1, 3)); err != nil {
		t.Fatalf("Settle() beside the page = %v", err)
	}
	s.want(t, weights{Stable: 0, "sorry": 100}, fence(1, 3))
	st, err = s.Router.Await(t.Context(), s.Target, split(0), s.Prompt)
	if err != nil || !st.InForce || st.Weights[Stable] != 0 {
		t.Errorf("Await(0 %%) beside the page = in force %v, why %q, shares %v, %v; want it in force with nobody on %s", st.InForce, st.Why, st.Weights, err, Stable)
	}
	if st, err = s.Router.Await(t.Context(), s.Target, traffic.Split{Canary: Stable, Weight: 100}, 50*time.Millisecond); err != nil || st.InForce {
		t.Errorf("Await(100 %% on %s) beside the page = in force %v, %v; want false", Stable, st.InForce, err)
	}
}

func ignored(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	if st := s.read(t); !st.InForce {
		t.Fatalf("Read() of an accepted route: not in force: %s", st.Why)
	}
	s.Ignore(t)
	s.shift(t, 10, fence(1, 1))
	if st := s.read(t); st.InForce || st.Why == "" {
		t.Errorf("Read() = in force %v, why %q; want false and a reason", st.InForce, st.Why)
	}
	st, err := s.Router.Await(t.Context(), s.Target, split(10), 50*time.Millisecond)
	if err != nil || st.InForce || st.Why == "" {
		t.Errorf("Await() = in force %v, why %q, %v; want false, a reason and no error", st.InForce, st.Why, err)
	}
	if st.Weights[Canary] != 10 {
		t.Errorf("Await() gives weights %v; want the last state seen", st.Weights)
	}
}

func await(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.Ignore(t)
	s.shift(t, 10, fence(1, 1))
	go func() { s.Accept(t) }()
	st, err := s.Router.Await(t.Context(), s.Target, split(10), s.Prompt)
	if err != nil || !st.InForce {
		t.Fatalf("Await() = in force %v, why %q, %v; want true", st.InForce, st.Why, err)
	}
	if diff := cmp.Diff(weights{Stable: 90, Canary: 10}, st.Weights); diff != "" {
		t.Errorf("Await() weights (-want +got):\n%s", diff)
	}
	if st, err = s.Router.Await(t.Context(), s.Target, split(10), 0); err != nil || !st.InForce {
		t.Errorf("Await() of no time = in force %v, why %q, %v; want true", st.InForce, st.Why, err)
	}
}

func foreign(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 10, fence(1, 1))
	s.Define(t, weights{Stable: 60, Canary: 40})
	st, err := s.Router.Await(t.Context(), s.Target, split(10), 50*time.Millisecond)
	if err != nil || st.InForce || st.Why == "" {
		t.Errorf("Await(10 %%) of a route that says 40 = in force %v, why %q, %v; want false and a reason", st.InForce, st.Why, err)
	}
	// Fences survive an owner's edit, and the next delivery brings the weight back.
	s.shift(t, 10, fence(1, 1))
	s.want(t, weights{Stable: 90, Canary: 10}, fence(1, 1))
}

func first(t *testing.T, s Subject) {
	s.Define(t, weights{Canary: 100})
	only := traffic.Split{Canary: Canary, Weight: 100}
	if err := s.Router.Shift(t.Context(), s.Target, only, fence(1, 1)); err != nil {
		t.Fatalf("Shift(%+v) = %v", only, err)
	}
	s.want(t, weights{Canary: 100}, fence(1, 1))
	if st, err := s.Router.Await(t.Context(), s.Target, only, s.Prompt); err != nil || !st.InForce {
		t.Errorf("Await(%+v) = in force %v, why %q, %v; want true", only, st.InForce, st.Why, err)
	}
}

// cart is another service on the route of the suite.
var cart = traffic.Split{Stable: "cart-1", Canary: "cart-2", Weight: 50}

// beside is the route as another service's.
func (s Subject) beside() traffic.Target {
	t := s.Target
	t.Service = "cart"
	return t
}

// A route had one fence for all: the service that began last fenced the other off, its way back included.
func services(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 60, "cart-1": 40})
	s.shift(t, 50, fence(5, 2))
	if err := s.Router.Shift(t.Context(), s.beside(), cart, fence(9, 1)); err != nil {
		t.Fatalf("Shift() of the other service = %v", err)
	}
	s.want(t, weights{Stable: 30, Canary: 30, "cart-1": 20, "cart-2": 20}, fence(5, 2))
	if st, err := s.Router.Read(t.Context(), s.beside()); err != nil || st.Fence != fence(9, 1) {
		t.Errorf("fence of the other service = %v, %v; want %v", st.Fence, err, fence(9, 1))
	}
	if err := s.Router.Settle(t.Context(), s.Target, Stable, Canary, fence(5, rollout.Last)); err != nil {
		t.Errorf("the way back beside a newer rollout of the other service = %v", err)
	}
	if err := s.Router.Shift(t.Context(), s.Target, split(50), fence(5, 3)); !errors.Is(err, fault.Fenced) {
		t.Errorf("Shift() after the way back = %v; want %v", err, fault.Fenced)
	}
	if err := s.Router.Shift(t.Context(), s.beside(), cart, fence(9, 0)); !errors.Is(err, fault.Fenced) {
		t.Errorf("Shift() of the other service with its own older fence = %v; want %v", err, fault.Fenced)
	}
	s.want(t, weights{Stable: 60, "cart-1": 20, "cart-2": 20}, fence(5, rollout.Last))
}

func nobody(t *testing.T, s Subject) {
	s.Define(t, weights{Stable: 100})
	target := s.Target
	target.Service = ""
	if err := s.Router.Shift(t.Context(), target, split(10), fence(1, 1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Shift() = %v; want %v", err, fault.Invalid)
	}
	s.want(t, weights{Stable: 100}, fence(0, 0))
}
