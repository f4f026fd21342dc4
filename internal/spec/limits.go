package spec

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A rule says which bounds a metric takes. Metrics that are not named here are
// queries of the user's.
type rule struct {
	// bound is the field that has to be there; the other one may not be.
	bound string
	// unit is how a string may be written; a bare number is always in that unit.
	unit string
	// most is the largest number that makes sense; 0 for any.
	most float64
	want string
}

var rules = map[string]rule{
	"error-count":  {"max", "", 0, "a number of requests"},
	"error-rate":   {"max", "share", 1, "a share from 0 to 1, or a percentage such as \"1%\""},
	"success-rate": {"min", "share", 1, "a share from 0 to 1, or a percentage such as \"99%\""},
	"latency":      {"max", "seconds", 86400, "seconds, or a time such as \"500ms\""},
	"slow-ratio":   {"max", "share", 1, "a share from 0 to 1, or a percentage such as \"1%\""},
}

func (c *checks) limits() {
	names := map[string]bool{}
	for i, l := range c.spec.Analysis.Limits {
		at := []string{"analysis", "limits", strconv.Itoa(i)}
		field := func(name string) []string { return append(slices.Clone(at), name) }
		if names[l.Name] {
			c.add("a name of its own for each limit", field("name")...)
		}
		names[l.Name] = true
		r, builtin := rules[l.Metric]
		if _, query := c.spec.Metrics.Query[l.Metric]; query && builtin {
			c.add("a name other than the built-in metric's", "metrics", "query", l.Metric)
		} else if !query && !builtin {
			c.add(c.knownMetrics(l.Metric), field("metric")...)
			continue
		}
		if builtin {
			c.bound(l, r, field)
		} else if l.Max.Set == l.Min.Set {
			c.add("exactly one of max and min", field("max")...)
		}
		if needs := l.Metric == "slow-ratio"; needs != c.has(field("above")...) {
			want := "nothing: only slow-ratio has it"
			if needs {
				want = "the time beyond which an answer is slow"
			}
			c.add(want, field("above")...)
		}
		if c.has(field("percentile")...) && l.Metric != "latency" {
			c.add("nothing: only latency has it", field("percentile")...)
		}
	}
}

// bound holds the bounds of a built-in metric against its rule.
func (c *checks) bound(l Limit, r rule, field func(string) []string) {
	have, other, otherName := l.Max, l.Min, "min"
	if r.bound == "min" {
		have, other, otherName = l.Min, l.Max, "max"
	}
	if other.Set {
		c.add("nothing: "+l.Metric+" is bounded by "+r.bound, field(otherName)...)
	}
	wrongUnit := have.Unit != "" && have.Unit != r.unit
	if !have.Set || wrongUnit || have.Value < 0 || r.most > 0 && have.Value > r.most || l.Metric == "latency" && have.Value == 0 {
		c.add(r.want, field(r.bound)...)
	}
}

func (c *checks) knownMetrics(name string) string {
	known := append(slices.Sorted(maps.Keys(rules)), slices.Sorted(maps.Keys(c.spec.Metrics.Query))...)
	if near := nearest(name, known); near != "" {
		return "a known metric: did you mean " + strconv.Quote(near) + "?"
	}
	return strings.Join(known, ", ") + ", or the name of a query of metrics.query"
}
