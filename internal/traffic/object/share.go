package object

import (
	"fmt"
	"slices"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// A Backend is one back end of a rule as the object has it.
type Backend struct {
	// Name is empty for what is no back end of ours to move: another kind of object, or
	// one in another namespace.
	Name   string
	Weight int64
}

// A Rule is one list of back ends, in the object's order.
type Rule struct {
	// Path says where the rule is, for people: "rules[0]".
	Path     string
	Backends []Backend
	// At is where the list of references is in the object, and Refs is that list.
	At   []string
	Refs []any
	// Like gives a reference to another back end with the same port and kind as ref.
	Like func(ref map[string]any, name string) map[string]any
}

// find gives the place of a back end; -1 where the rule does not name it. Naming it
// twice is invalid, because the two would have to move together.
func (r Rule) find(name string) (int, error) {
	switch at := r.places(name); len(at) {
	case 0:
		return -1, nil
	case 1:
		return at[0], nil
	}
	return -1, fmt.Errorf("%s: %w: it names %q twice, and each back end is expected once", r.Path, fault.Invalid, name)
}

// A move is what a rule's two back ends are to get.
type move struct {
	// stable and canary are their places; -1 for one to be added beside the other.
	stable, canary int
	// stableWeight and canaryWeight are the weights to be written.
	stableWeight, canaryWeight int64
}

// whole is what two back ends share that are alone in their rule.
const whole = 100

// places gives every place of a back end.
func (r Rule) places(name string) (at []int) {
	for i, b := range r.Backends {
		if b.Name == name && name != "" {
			at = append(at, i)
		}
	}
	return at
}

// plan says how the split looks in the rule; ok is false for a rule that names
// neither back end. Beside other back ends the two keep the sum that they had, so
// that nobody else's share changes: where they had nothing, they get nothing.
func (r Rule) plan(s traffic.Split) (m move, ok bool, err error) {
	if m.stable, err = r.find(s.Stable); err != nil {
		return m, false, err
	}
	if m.canary, err = r.find(s.Canary); err != nil {
		return m, false, err
	}
	if m.stable < 0 && m.canary < 0 {
		return m, false, nil
	}
	total := r.total(slices.DeleteFunc([]int{m.stable, m.canary}, func(at int) bool { return at < 0 })...)
	if total*int64(s.Weight)%100 != 0 {
		return m, false, fmt.Errorf("%s: %w: %q and %q share a weight of %d beside other back ends, of which %d %% is no whole number; "+
			"multiply all weights of the rule by 100", r.Path, fault.Invalid, s.Stable, s.Canary, total, s.Weight)
	}
	m.canaryWeight = total * int64(s.Weight) / 100
	m.stableWeight = total - m.canaryWeight
	return m, true, nil
}

// total is the weight that those at the places share: what they had beside others, be it
// nothing, and the whole where they are alone or nobody has anything.
func (r Rule) total(places ...int) int64 {
	had := r.sum(places)
	if len(r.Backends) == len(places) || had == 0 && !slices.ContainsFunc(r.Backends, Backend.weighs) {
		return whole
	}
	return had
}

func (b Backend) weighs() bool { return b.Weight > 0 }

func (r Rule) sum(places []int) (sum int64) {
	for _, at := range places {
		sum += r.Backends[at].Weight
	}
	return sum
}

// plans plans every rule, and refuses a route of which no rule names either back
// end.
func plans(rules []Rule, s traffic.Split) (map[int]move, error) {
	moves := map[int]move{}
	for i, r := range rules {
		m, ok, err := r.plan(s)
		if err != nil {
			return nil, err
		}
		if ok {
			moves[i] = m
		}
	}
	if len(moves) == 0 {
		return nil, unnamed(rules, s.Stable, s.Canary)
	}
	return moves, nil
}

func unnamed(rules []Rule, a, b string) error {
	return fmt.Errorf("%w: no rule names %q or %q; it names %v", fault.Invalid, a, b, named(rules))
}

func named(rules []Rule) []string {
	var names []string
	for _, r := range rules {
		for _, b := range r.Backends {
			if b.Name != "" && !slices.Contains(names, b.Name) {
				names = append(names, b.Name)
			}
		}
	}
	return names
}

// shares gives the share in percent of each back end that the rules name: of its
// rule's whole, or of what those named in among have together. Where rules differ,
// the largest share counts, and differ says how. A rule in which those in among have
// nothing together splits nobody between them, so it differs from none.
func shares(rules []Rule, among []string) (out map[string]rollout.Weight, differ string) {
	out = map[string]rollout.Weight{}
	at := map[string]string{}
	for _, r := range rules {
		got, sum := r.shares(among)
		for name, w := range got {
			have := out[name]
			where, seen := at[name]
			switch {
			case sum == 0 && len(among) > 0:
				out[name] = have
				continue
			case seen && have != w:
				differ = fmt.Sprintf("%s gives %s %d %%, and %s %d %%", where, name, have, r.Path, w)
			}
			if !seen || w > have {
				out[name], at[name] = w, r.Path
			}
		}
	}
	return out, differ
}

// shares gives the rule's shares, and the weight of which they are shares.
func (r Rule) shares(among []string) (shares map[string]rollout.Weight, sum int64) {
	weights := map[string]int64{}
	for _, b := range r.Backends {
		if len(among) == 0 || b.Name != "" && slices.Contains(among, b.Name) {
			sum += b.Weight
			if b.Name != "" {
				weights[b.Name] += b.Weight
			}
		}
	}
	shares = map[string]rollout.Weight{}
	for name, w := range weights {
		shares[name] = percent(w, sum)
	}
	// One of the two that this rule lacks gets nothing of it.
	if len(weights) > 0 {
		for _, name := range among {
			if _, ok := weights[name]; !ok && name != "" {
				shares[name] = 0
			}
		}
	}
	return shares, sum
}

// percent rounds, but never to all or to nothing what is neither.
func percent(w, sum int64) rollout.Weight {
	switch {
	case w == 0 || sum == 0:
		return 0
	case w == sum:
		return 100
	}
	return rollout.Weight(min(99, max(1, (100*w+sum/2)/sum)))
}
