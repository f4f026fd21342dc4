package memory

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// A desire is what a route says: the shares of all back ends in percent, and for each service the
// requests that go to a chosen one whatever the shares.
type desire struct {
	weights map[string]rollout.Weight
	chosen  map[string]choice
}

// A choice is a back end, and the requests that it gets.
type choice struct {
	to      string
	matches []traffic.Match
}

func (d desire) clone() desire {
	d.weights, d.chosen = maps.Clone(d.weights), maps.Clone(d.chosen)
	return d // matches are never changed in place
}

func (d desire) equal(o desire) bool {
	return maps.Equal(d.weights, o.weights) &&
		maps.EqualFunc(d.chosen, o.chosen, func(a, b choice) bool { return reflect.DeepEqual(a, b) })
}

// names tells which of the two the route names; neither is an error.
func (d desire) names(a, b string) error {
	_, hasA := d.weights[a]
	_, hasB := d.weights[b]
	if !hasA && !hasB {
		return fmt.Errorf("%w: it names neither %q nor %q but %s", fault.Invalid, a, b,
			strings.Join(slices.Sorted(maps.Keys(d.weights)), ", "))
	}
	return nil
}

// whole is what the two have together: everything where they are alone, and beside others what
// they had, be it nothing, so that nobody else's share changes.
func (d desire) whole(a, b string) (rollout.Weight, error) {
	if err := d.names(a, b); err != nil {
		return 0, err
	}
	had, theirs, alone := rollout.Weight(0), rollout.Weight(0), true
	for name, w := range d.weights {
		if name == a || name == b {
			had += w
		} else {
			theirs += w
			alone = false
		}
	}
	if alone || had+theirs == 0 {
		return 100, nil
	}
	return had, nil
}

func (d *desire) shift(s traffic.Split) error {
	whole, err := d.whole(s.Stable, s.Canary)
	if err != nil {
		return err
	}
	if whole*s.Weight%100 != 0 {
		return fmt.Errorf("%w: %q and %q share %d %% beside other back ends, of which %d %% is no whole number",
			fault.Invalid, s.Stable, s.Canary, whole, s.Weight)
	}
	d.weights[s.Canary] = whole * s.Weight / 100
	if s.Stable != "" {
		d.weights[s.Stable] = whole - d.weights[s.Canary]
	}
	return nil
}

func (d *desire) match(service string, s traffic.Split, matches []traffic.Match) error {
	if err := d.names(s.Stable, s.Canary); err != nil {
		return err
	}
	delete(d.chosen, service)
	if len(matches) == 0 {
		return nil
	}
	if d.chosen == nil {
		d.chosen = map[string]choice{}
	}
	d.chosen[service] = choice{s.Canary, slices.Clone(matches)}
	return nil
}

func (d *desire) settle(service, keep, drop string) error {
	whole, err := d.whole(keep, drop)
	if err != nil {
		return err
	}
	delete(d.weights, drop)
	d.weights[keep] = whole
	delete(d.chosen, service)
	return nil
}

// among gives the shares of the two of what they have together.
func (d desire) among(s traffic.Split) map[string]rollout.Weight {
	had, out := d.weights[s.Stable]+d.weights[s.Canary], map[string]rollout.Weight{}
	for _, name := range []string{s.Stable, s.Canary} {
		if w, named := d.weights[name]; named && had > 0 {
			out[name] = 100 * w / had
		} else if named {
			out[name] = 0
		}
	}
	return out
}
