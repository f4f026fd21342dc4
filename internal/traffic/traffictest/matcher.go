package traffictest

import (
	"errors"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// RunMatcher tests the routers that open gives, each a traffic.Matcher with a target that does not
// exist. Matched tells whether the route sends the service's chosen requests to the canary.
func RunMatcher(t *testing.T, open func(t *testing.T) (s Subject, matched func(t *testing.T) bool)) {
	for name, test := range map[string]func(*testing.T, Subject, traffic.Matcher, func(*testing.T) bool){
		"matches leave the weights alone, and a shift leaves the matches": matchesAndWeights,
		"settle takes the matches away, whichever version is kept":        matchesSettled,
		"a newer fence turns a match away":                                matchesFenced,
		"no match takes the rule away":                                    matchesNone,
		"a match of every request is refused":                             matchesAll,
		"a route that cannot be matched on is an error":                   matchesNowhere,
		"the matches of another service stay":                             matchesOfOthers,
	} {
		t.Run(name, func(t *testing.T) {
			s, matched := open(t)
			m, can := s.Router.(traffic.Matcher)
			if !can {
				t.Fatalf("%T is no traffic.Matcher", s.Router)
			}
			test(t, s, m, matched)
		})
	}
}

var chosen = []traffic.Match{
	{Headers: []traffic.Header{{Name: "X-Canary", Value: "always"}}},
	{Cookies: []traffic.Header{{Name: "beta", Regex: "yes|on"}}},
}

func (s Subject) match(t *testing.T, m traffic.Matcher, seq int64) {
	t.Helper()
	if err := m.Match(t.Context(), s.Target, split(0), chosen, fence(1, seq)); err != nil {
		t.Fatalf("Match() with fence 1.%d = %v", seq, err)
	}
}

func matchesAndWeights(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 0, fence(1, 1))
	for range 2 {
		s.match(t, m, 1)
		s.want(t, weights{Stable: 100, Canary: 0}, fence(1, 1))
	}
	s.shift(t, 25, fence(1, 2))
	s.want(t, weights{Stable: 75, Canary: 25}, fence(1, 2))
	if !matched(t) {
		t.Error("after a shift nothing is matched any more")
	}
	st, err := m.Await(t.Context(), s.Target, split(25), s.Prompt)
	if err != nil || !st.InForce {
		t.Errorf("Await() beside matches = in force %v, why %q, %v; want true", st.InForce, st.Why, err)
	}
}

func matchesSettled(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 100})
	seq := int64(0)
	for _, keep := range []string{Stable, Canary} {
		drop := map[string]string{Stable: Canary, Canary: Stable}[keep]
		s.shift(t, 10, fence(1, seq+1))
		s.match(t, m, seq+2)
		if err := m.Settle(t.Context(), s.Target, keep, drop, fence(1, seq+3)); err != nil {
			t.Fatalf("Settle() on %s = %v", keep, err)
		}
		if matched(t) {
			t.Errorf("chosen requests are still matched when the route is settled on %s", keep)
		}
		s.want(t, weights{keep: 100}, fence(1, seq+3))
		seq += 3
	}
}

func matchesFenced(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 20, fence(2, 5))
	for _, f := range []struct{ epoch, seq int64 }{{2, 4}, {1, 9}, {0, 0}} {
		err := m.Match(t.Context(), s.Target, split(20), chosen, fence(f.epoch, f.seq))
		if !errors.Is(err, fault.Fenced) {
			t.Errorf("Match() with fence %v = %v; want %v", f, err, fault.Fenced)
		}
	}
	if matched(t) {
		t.Error("a writer that came too late chose requests")
	}
	s.want(t, weights{Stable: 80, Canary: 20}, fence(2, 5))
}

func matchesNone(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 100})
	s.shift(t, 10, fence(1, 1))
	s.match(t, m, 2)
	if err := m.Match(t.Context(), s.Target, split(10), nil, fence(1, 3)); err != nil {
		t.Fatalf("Match() of nothing = %v", err)
	}
	if matched(t) {
		t.Error("chosen requests are still matched")
	}
	s.want(t, weights{Stable: 90, Canary: 10}, fence(1, 3))
}

func matchesAll(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 100})
	err := m.Match(t.Context(), s.Target, split(0), []traffic.Match{{}}, fence(1, 1))
	if !errors.Is(err, fault.Invalid) || matched(t) {
		t.Errorf("Match() of every request = %v; want %v and no rule", err, fault.Invalid)
	}
}

func matchesNowhere(t *testing.T, s Subject, m traffic.Matcher, _ func(*testing.T) bool) {
	if err := m.Match(t.Context(), s.Target, split(0), chosen, fence(1, 1)); !errors.Is(err, fault.NotFound) {
		t.Errorf("Match() on a route that does not exist = %v; want %v", err, fault.NotFound)
	}
	s.Define(t, weights{"payments": 100})
	if err := m.Match(t.Context(), s.Target, split(0), chosen, fence(1, 1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Match() on a route of others = %v; want %v", err, fault.Invalid)
	}
}

// Whatever a service did to its match rules took those of its neighbours out.
func matchesOfOthers(t *testing.T, s Subject, m traffic.Matcher, matched func(*testing.T) bool) {
	s.Define(t, weights{Stable: 60, "cart-1": 40})
	s.match(t, m, 1)
	for seq, write := range []func(f rollout.Fence) error{
		func(f rollout.Fence) error { return m.Match(t.Context(), s.beside(), cart, chosen, f) },
		func(f rollout.Fence) error { return m.Match(t.Context(), s.beside(), cart, nil, f) },
		func(f rollout.Fence) error { return m.Settle(t.Context(), s.beside(), "cart-1", "cart-2", f) },
	} {
		if err := write(fence(9, int64(seq))); err != nil || !matched(t) {
			t.Errorf("write %d of the other service = %v; matches are there: %v; want true", seq, err, matched(t))
		}
	}
	if err := m.Match(t.Context(), s.beside(), cart, chosen, fence(9, 4)); err != nil {
		t.Fatal(err)
	}
	if err := m.Settle(t.Context(), s.Target, Stable, Canary, fence(1, 2)); err != nil || matched(t) {
		t.Errorf("Settle() = %v; matches are there: %v; want false", err, matched(t))
	}
}
