package safety

import (
	"fmt"
	"slices"
	"sync"
)

// Pairs are what there is to be tried of all pairs of faults of a scenario: a first fault at every
// point of the run without any, and a second one at every point, at or after it, of the run that
// the first one leads to.
type Pairs struct {
	Scenario Scenario
	// Singles are the runs with one fault.
	Singles []Single
	// All counts the pairs, Merged those of them whose second fault comes in a state that the
	// pairs of another first fault come through, or the run without any.
	All, Merged int
	// Tries are the others.
	Tries [][]Fault

	good passed
}

// A Single is one fault and what it led to.
type Single struct {
	Fault Fault
	Result
}

// pairs runs every single fault and says which pairs are left to be tried.
func pairs(s Scenario) *Pairs {
	p := &Pairs{Scenario: s, good: passed{states: map[stamp]bool{}}}
	plain := Run(s, nil)
	p.good.add(plain.boundaries)
	singles := Singles(Place{}, plain.Place, plain.Ops)
	p.Singles = make([]Single, len(singles))
	each(slices.Collect(numbers(len(singles))), func(i int) {
		p.Singles[i] = Single{singles[i], Run(s, []Fault{singles[i]})}
	})
	// Second faults in a state that the plain run came through are single faults.
	claimed := map[stamp]bool{}
	for _, b := range plain.boundaries {
		claimed[b.stamp] = true
	}
	for _, one := range p.Singles {
		if len(one.Broken) == 0 {
			p.good.add(after(one.Result))
		}
		p.add(one, claimed)
	}
	return p
}

// add takes up the pairs of one first fault.
func (p *Pairs) add(one Single, claimed map[stamp]bool) {
	second := func(from, to Place) (out []Fault) {
		for _, two := range Singles(from, to, one.Ops) {
			if !clash(one.Fault, two) {
				out = append(out, two)
			}
		}
		return out
	}
	p.All += len(second(one.struck, one.Place))
	from := one.struck
	ends := append(after(one.Result), boundary{place: one.Place})
	for i, b := range ends {
		for _, two := range second(from, b.place) {
			p.Tries = append(p.Tries, []Fault{one.Fault, two})
		}
		if i == len(ends)-1 {
			break
		}
		if claimed[b.stamp] {
			p.Merged += len(second(b.place, one.Place))
			break
		}
		claimed[b.stamp] = true
		from = b.place
	}
}

// clash tells whether two faults at the same point are no pair, or the one that is named the
// other way round.
func clash(one, two Fault) bool {
	if one.At != two.At || class(one.Kind) != class(two.Kind) {
		return false
	}
	if one.Kind.ends() && two.Kind.ends() {
		return true
	}
	return slices.Index(order, one.Kind) >= slices.Index(order, two.Kind)
}

// order is the kinds as Singles gives them.
var order = slices.Concat(worldKinds, gateKinds, engineKinds, callKinds, invokeKinds, commitKinds)

// class tells which count a kind's place is in.
func class(k Kind) int {
	switch {
	case slices.Contains(invokeKinds, k):
		return 1
	case slices.Contains(commitKinds, k):
		return 2
	}
	return 0
}

// after are the states that a run came through when all of its faults had struck.
func after(r Result) []boundary {
	i := slices.IndexFunc(r.boundaries, func(b boundary) bool {
		return b.place.Points > r.struck.Points || b.place.Invocations > r.struck.Invocations || b.place.Commits > r.struck.Commits
	})
	if i < 0 {
		return nil
	}
	return slices.Clone(r.boundaries[i:])
}

// try runs a pair, to its end or to a state from which another run went on well.
func (p *Pairs) try(faults []Fault) Result {
	r := runUntil(p.Scenario, faults, p.good.has)
	if r.hit < len(faults) {
		r.Broken = append(r.Broken, fmt.Sprintf("the search is wrong: %d of %d faults struck", r.hit, len(faults)))
	}
	if len(r.Broken) == 0 {
		p.good.add(after(r))
	}
	return r
}

// passed are the states from which a run went on without another fault, and nothing broke.
type passed struct {
	mu     sync.Mutex
	states map[stamp]bool
}

func (p *passed) add(list []boundary) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range list {
		p.states[b.stamp] = true
	}
}

func (p *passed) has(s stamp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[s]
}
