package spec

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"go.yaml.in/yaml/v3"
)

// kubernetesSchema has the fields of the template's kinds with their types, made from the APIs' own
// Go types by a test, so that no function links these. What may stand in spec of App Mesh's
// kinds the cluster alone knows.
//
//go:embed kubernetes.schema.json
var kubernetesSchema []byte

// theKinds is read when the first template is. It is not compiled, because that takes ten times as
// long as reading it, in a function that has a seventh of a processor.
var theKinds = sync.OnceValue(func() schema {
	var s schema
	if err := json.Unmarshal(kubernetesSchema, &s.raw); err != nil {
		panic(fmt.Sprintf("kubernetes.schema.json: %v", err)) // a defect that every test shows
	}
	return s
})

// A strictness holds a document against the schema of its kind, as the API server does: fields that
// it does not know, and values of another type.
type strictness struct {
	schema
	source
	problems Errors
}

// fields holds the current document against its kind.
func (c *confinement) fields() {
	s := strictness{schema: theKinds(), source: c.template.source}
	s.value(c.current.node, s.definition(c.current.kind), nil)
	c.problems = append(c.problems, s.problems.within(c.label())...)
}

func (s *strictness) value(n *yaml.Node, part map[string]any, at place) {
	part = s.resolve(part)
	if want := mismatch(n, part); want != "" {
		found := describe(n)
		if at.environment() && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			found = notShown
		}
		s.problems = append(s.problems, s.at(n, at.String(), found, want))
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		s.object(n, part, at)
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if below := s.child(part, strconv.Itoa(i)); below != nil {
				s.value(item, below, at.with(strconv.Itoa(i)))
			}
		}
	}
}

// object looks at the fields. One without a value is not sent, so that it has no type.
func (s *strictness) object(n *yaml.Node, part map[string]any, at place) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch below := s.child(part, key.Value); {
		case below != nil && value.Tag != "!!null":
			s.value(value, below, at.with(key.Value))
		case below == nil && part["additionalProperties"] == false:
			s.unknown(key, part, at)
		}
	}
}

func (s *strictness) unknown(key *yaml.Node, part map[string]any, at place) {
	want := ""
	if len(s.problems) < maxProblems { // advice takes its time, and nobody reads more of it
		want, _ = advice(key.Value, part)
	}
	s.problems = append(s.problems, s.at(key, at.with(brief(key.Value)).String(), "an unknown field", want))
}

// mismatch says what was expected where a value is not as the part says; else nothing.
func mismatch(n *yaml.Node, part map[string]any) string {
	wanted, several := part["type"].([]any)
	if !several {
		wanted = []any{part["type"]}
	}
	if wanted[0] == nil {
		return "" // anything
	}
	is := typesOf(n)
	if !slices.ContainsFunc(wanted, func(t any) bool { return slices.Contains(is, t.(string)) }) {
		return expected(part, typeNames[wanted[0].(string)])
	}
	v, _ := scalar(n)
	values, listed := part["enum"].([]any)
	wellFormed, formed := formats[fmt.Sprint(part["format"])]
	if listed && !slices.Contains(values, v) || formed && is[0] == "string" && !wellFormed(n.Value) || beyond(v, part) {
		return expected(part, "another value")
	}
	return ""
}

// typesOf are the types of JSON that a value has.
func typesOf(n *yaml.Node) []string {
	switch n.Kind {
	case yaml.MappingNode:
		return []string{"object"}
	case yaml.SequenceNode:
		return []string{"array"}
	}
	v, _ := scalar(n)
	switch v := v.(type) {
	case nil:
		return []string{"null"}
	case bool:
		return []string{"boolean"}
	case float64:
		if v == math.Trunc(v) {
			return []string{"number", "integer"}
		}
		return []string{"number"}
	}
	return []string{"string"}
}

// beyond tells whether a value is a number outside of the part's bounds.
func beyond(v any, part map[string]any) bool {
	number, ok := v.(float64)
	least, low := part["minimum"].(float64)
	most, high := part["maximum"].(float64)
	return ok && (low && number < least || high && number > most)
}

// formats are the forms of text that are more than text.
var formats = map[string]func(string) bool{
	"byte": func(s string) bool { _, err := base64.StdEncoding.DecodeString(s); return err == nil },
	// As k8s.io/apimachinery/pkg/api/resource reads it.
	"quantity": regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$`).MatchString,
}
