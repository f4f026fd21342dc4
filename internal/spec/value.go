package spec

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A place is the way to a value: object keys and list indices.
type place []string

// String is the way as people write it: steps[1].weight.
func (p place) String() string {
	var b strings.Builder
	for i, k := range p {
		if _, err := strconv.Atoi(k); err == nil {
			b.WriteString("[" + k + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(k)
	}
	return b.String()
}

// with is the way one step further, in memory of its own.
func (p place) with(key string) place { return append(p[:len(p):len(p)], key) }

// environment tells whether the place is a container's environment, where people write passwords. Its values are not shown.
func (p place) environment() bool { return slices.Contains(p, "env") }

// ambiguous are numbers that YAML 1.1 and 1.2 read differently: 012 is ten to one and twelve to the
// other, 0o14 and 1_000 are text to one of them.
var ambiguous = regexp.MustCompile(`^[-+]?0[0-9_bo]|_`)

// values turns a node into what a JSON decoder would give: map[string]any,
// []any, string, float64, bool and nil. Duplicate keys, keys that are no text
// and numbers that are none are added to problems.
func (s source) values(n *yaml.Node, at place, problems *Errors) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				*problems = append(*problems, s.at(key, at.String(), describe(key)+" as a key", "text"))
				continue
			}
			if _, twice := m[key.Value]; twice {
				*problems = append(*problems, s.at(key, at.with(key.Value).String(), "the field a second time", "each field once"))
				continue
			}
			m[key.Value] = s.values(n.Content[i+1], at.with(key.Value), problems)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = s.values(item, at.with(strconv.Itoa(i)), problems)
		}
		return list
	}
	if (n.Tag == "!!int" || n.Tag == "!!float") && ambiguous.MatchString(n.Value) {
		*problems = append(*problems, s.at(n, at.String(), brief(n.Value), "a number in plain decimals: tools read this one differently"))
		return nil
	}
	v, err := scalar(n)
	if err != nil {
		*problems = append(*problems, s.at(n, at.String(), err.Error(), "a plain value"))
	}
	return v
}

// scalar reads one scalar by its tag. Dates and other tags of YAML stay text.
func scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		err := n.Decode(&b)
		return b, err
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, fmt.Errorf("%s, which is no finite number", brief(n.Value))
		}
		return f, nil
	case "!!str", "!!timestamp":
		return n.Value, nil
	}
	return nil, fmt.Errorf("the tag %s", brief(n.Tag))
}

// describe says in a few words what a node is.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		return "an empty list"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "null"
	case "!!bool", "!!int", "!!float":
		return brief(n.Value)
	}
	return strconv.Quote(brief(n.Value))
}

// brief cuts text that an error quotes.
func brief(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// find gives the value at a place, and the key that leads to it. Where the place
// does not exist, it gives the nearest value above, without a key.
func find(n *yaml.Node, at place) (value, key *yaml.Node) {
	for _, k := range at {
		var next *yaml.Node
		key = nil
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == k {
					key, next = n.Content[i], n.Content[i+1]
					break
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(k); err == nil && i >= 0 && i < len(n.Content) {
				next = n.Content[i]
			}
		}
		if next == nil {
			return n, nil
		}
		n = next
	}
	return n, key
}
