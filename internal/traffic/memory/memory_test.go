package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/traffic/traffictest"
)

var (
	start  = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	target = traffic.Target{Namespace: "shop", Route: "checkout", Service: traffictest.Service}
)

type weights = map[string]rollout.Weight

func subject() (traffictest.Subject, *router.Router) {
	r := router.New(memory.New(clock.Real{}))
	return traffictest.Subject{
		Router: r,
		Target: target,
		Define: func(t *testing.T, w weights) { r.Define(target, w) },
		Accept: func(t *testing.T) { r.Script(router.Script{}) },
		Ignore: func(t *testing.T) { r.Script(router.Script{Never: true}) },
		Prompt: 10 * time.Second,
	}, r
}

func TestRouter(t *testing.T) {
	traffictest.Run(t, func(t *testing.T) traffictest.Subject {
		s, _ := subject()
		return s
	})
}

func TestMatcher(t *testing.T) {
	traffictest.RunMatcher(t, func(t *testing.T) (traffictest.Subject, func(*testing.T) bool) {
		s, r := subject()
		return s, func(*testing.T) bool {
			to, matches := r.Matched(target, time.Now())
			return to == traffictest.Canary && len(matches) > 0
		}
	})
}

// Beside back ends of others the two move what they had, and nobody else's share changes.
func TestOthersKeepTheirShare(t *testing.T) {
	_, _, r := open(t, router.Script{})
	r.Define(target, weights{"a": 80, "legacy": 20})
	s := traffic.Split{Stable: "a", Canary: "b", Weight: 25}
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(weights{"a": 60, "b": 20, "legacy": 20}, r.Served(target, start)); diff != "" {
		t.Errorf("served at 25 %% (-want +got):\n%s", diff)
	}
	st, err := r.Await(t.Context(), target, s, 0)
	if diff := cmp.Diff(weights{"a": 75, "b": 25}, st.Weights); diff != "" || err != nil || !st.InForce {
		t.Errorf("Await() = in force %v, %v; shares among the two (-want +got):\n%s", st.InForce, err, diff)
	}
	s.Weight = 33
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); !errors.Is(err, fault.Invalid) {
		t.Errorf("Shift() to 33 %% of 80 = %v; want %v", err, fault.Invalid)
	}
	if err := r.Settle(t.Context(), target, "b", "a", rollout.Fence{Epoch: 1, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(weights{"b": 80, "legacy": 20}, r.Served(target, start)); diff != "" {
		t.Errorf("served when it is settled (-want +got):\n%s", diff)
	}
}

func open(t *testing.T, s router.Script) (*clock.Virtual, *memory.Core, *router.Router) {
	t.Helper()
	v := clock.NewVirtual(start)
	core := memory.New(v)
	r := router.New(core)
	r.Define(target, weights{"a": 100})
	r.Script(s)
	return v, core, r
}

func TestAWeightComesIntoForceAfterItsDelay(t *testing.T) {
	v, _, r := open(t, router.Script{Delay: 3 * time.Second})
	s := traffic.Split{Stable: "a", Canary: "b", Weight: 25}
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	st, err := r.Await(t.Context(), target, s, 2*time.Second)
	if err != nil || st.InForce || v.Now().Sub(start) != 2*time.Second {
		t.Errorf("Await(2 s) = in force %v, %v after %v; want false after 2 s", st.InForce, err, v.Now().Sub(start))
	}
	st, err = r.Await(t.Context(), target, s, time.Minute)
	if err != nil || !st.InForce || v.Now().Sub(start) != 3*time.Second {
		t.Errorf("Await(1 m) = in force %v, %v after %v; want true after 3 s", st.InForce, err, v.Now().Sub(start))
	}
	for at, want := range map[time.Duration]weights{
		2 * time.Second: {"a": 100},
		3 * time.Second: {"a": 75, "b": 25},
	} {
		if diff := cmp.Diff(want, r.Served(target, start.Add(at))); diff != "" {
			t.Errorf("served at %v (-want +got):\n%s", at, diff)
		}
	}
	first, ok := r.Reached("shop", "b", 20)
	if !ok || !first.Equal(start.Add(3*time.Second)) {
		t.Errorf("Reached(b, 20 %%) = %v, %v; want 3 s after the start", first, ok)
	}
}

func TestAControllerMayLie(t *testing.T) {
	_, _, r := open(t, router.Script{Never: true, Lies: true})
	s := traffic.Split{Stable: "a", Canary: "b", Weight: 25}
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); err != nil {
		t.Fatal(err)
	}
	if st, err := r.Await(t.Context(), target, s, 0); err != nil || !st.InForce {
		t.Errorf("Await() = in force %v, %v; want the lie", st.InForce, err)
	}
	if diff := cmp.Diff(weights{"a": 100}, r.Served(target, start.Add(time.Hour))); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

func TestHooksComeBeforeAndAfterAWrite(t *testing.T) {
	boom := errors.New("boom")
	fail := func(want string) func(string) error {
		return func(op string) error {
			if op == want {
				return boom
			}
			return nil
		}
	}
	s := traffic.Split{Stable: "a", Canary: "b", Weight: 25}
	_, core, r := open(t, router.Script{})
	core.Before(fail("traffic.Shift"))
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); !errors.Is(err, boom) {
		t.Errorf("Shift() = %v; want the hook's error", err)
	}
	if st, _ := r.Read(t.Context(), target); st.Weights["b"] != 0 {
		t.Errorf("weights = %v; want unchanged after a fault before the write", st.Weights)
	}
	core.Before(nil)
	core.After(fail("traffic.Shift"))
	if err := r.Shift(t.Context(), target, s, rollout.Fence{Epoch: 1}); !errors.Is(err, boom) {
		t.Errorf("Shift() = %v; want the hook's error", err)
	}
	if st, _ := r.Read(t.Context(), target); st.Weights["b"] != 25 {
		t.Errorf("weights = %v; want b 25: the fault came after the write", st.Weights)
	}
}
