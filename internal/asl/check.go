package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// A Problem is one reason why a definition is refused.
type Problem struct {
	Code    string // SCHEMA_VALIDATION_FAILED, MISSING_TRANSITION_TARGET, ...
	Path    string // into the definition, like /States/Wait/Seconds
	Message string // what was found, and what was expected
}

// Codes of problems. All but unsupported are AWS's.
const (
	codeSchema      = "SCHEMA_VALIDATION_FAILED"
	codeTarget      = "MISSING_TRANSITION_TARGET"
	codeDuplicate   = "DUPLICATE_STATE_NAME"
	codeJSON        = "INVALID_JSON_DESCRIPTION"
	codeUnsupported = "UNSUPPORTED_FEATURE"
)

// A DefinitionError says everything that is wrong with a definition.
type DefinitionError struct{ Problems []Problem }

// Error lists the problems, in the order of their places.
func (e *DefinitionError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, fmt.Sprintf("%s: %s at %s", p.Code, p.Message, p.Path))
	}
	return strings.Join(lines, "; ")
}

// MaxDefinition is the most bytes that a definition may have.
const MaxDefinition = 1 << 20

// maxProblems bounds what a hopeless definition makes us say.
const maxProblems = 50

// maxDepth bounds how deep a definition may be nested.
const maxDepth = 200

// Options widen what Parse accepts.
type Options struct {
	// Integrations are service integrations besides lambda:invoke that the
	// caller serves itself, such as "sqs:sendMessage". With the suffix
	// .waitForTaskToken they are accepted as well.
	Integrations []string
}

// Parse reads and checks a definition. The error is a *DefinitionError.
func Parse(data []byte, o Options) (*Definition, error) {
	c := &checker{integrations: o.Integrations, names: map[string]string{}}
	var v any
	if len(data) > MaxDefinition {
		c.add(codeSchema, "/", fmt.Sprintf("the definition has %d bytes; the most is %d", len(data), MaxDefinition))
	} else if v = c.decode(data); len(c.problems) == 0 {
		d := c.definition(v)
		if len(c.problems) == 0 {
			return d, nil
		}
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
	return nil, &DefinitionError{Problems: c.problems[:min(len(c.problems), maxProblems)]}
}

// A checker collects the problems of one definition.
type checker struct {
	integrations []string
	problems     []Problem
	names        map[string]string // of states, to where they are
}

func (c *checker) add(code, path, message string) {
	c.problems = append(c.problems, Problem{Code: code, Path: path, Message: message})
}

// decode reads JSON and refuses members that come twice in one object, which
// encoding/json would drop without a word.
func (c *checker) decode(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := c.value(d, "", 0)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("more than one JSON value")
		}
	}
	if err != nil {
		c.add(codeJSON, "/", fmt.Sprintf("not JSON, at byte %d: %v", d.InputOffset(), err))
	}
	return v
}

func (c *checker) value(d *json.Decoder, at string, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	switch t {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := k.(string)
			if _, twice := m[name]; twice {
				c.add(codeSchema, at+"/"+name, fmt.Sprintf("the field '%s' is there twice", name))
			}
			if m[name], err = c.value(d, at+"/"+name, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		l := []any{}
		for d.More() {
			v, err := c.value(d, fmt.Sprintf("%s/%d", at, len(l)), depth+1)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err := d.Token()
		return l, err
	}
	return t, nil
}

// An object is one object of the definition that is being checked. Each field
// is taken once; those that nobody took are unknown.
type object struct {
	c      *checker
	at     string
	fields map[string]any
	taken  map[string]bool
}

func (c *checker) object(v any, at string) (*object, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		c.add(codeSchema, orRoot(at), fmt.Sprintf("expected an object, found %s", typeName(v)))
		return nil, false
	}
	return &object{c: c, at: at, fields: m, taken: map[string]bool{"Comment": true}}, true
}

func orRoot(at string) string {
	if at == "" {
		return "/"
	}
	return at
}

func (o *object) add(field, message string) { o.c.add(codeSchema, orRoot(o.path(field)), message) }

func (o *object) path(field string) string {
	if field == "" {
		return o.at
	}
	return o.at + "/" + field
}

func (o *object) take(field string) (any, bool) {
	v, ok := o.fields[field]
	o.taken[field] = true
	return v, ok
}

// has reports whether a field is there, without taking it.
func (o *object) has(field string) bool {
	_, ok := o.fields[field]
	return ok
}

func (o *object) string(field string) (string, bool) {
	v, ok := o.take(field)
	if !ok {
		return "", false
	}
	s, ok := v.(string)
	if !ok {
		o.add(field, fmt.Sprintf("expected a string, found %s", typeName(v)))
	}
	return s, ok
}

func (o *object) required(field string) (string, bool) {
	if !o.has(field) {
		o.taken[field] = true
		o.add("", fmt.Sprintf("the field '%s' is required but was missing", field))
		return "", false
	}
	return o.string(field)
}

// integer takes a whole number within bounds.
func (o *object) integer(field string, least, most int64) (int64, bool) {
	v, ok := o.take(field)
	if !ok {
		return 0, false
	}
	n, ok := integer(v)
	if !ok || n < least || n > most {
		o.add(field, fmt.Sprintf("expected a whole number from %d to %d, found %s", least, most, encode(v)))
		return 0, false
	}
	return n, true
}

func (o *object) list(field string, least int) ([]any, bool) {
	v, ok := o.take(field)
	if !ok {
		return nil, false
	}
	l, ok := v.([]any)
	if !ok || len(l) < least {
		o.add(field, fmt.Sprintf("expected an array of %d or more, found %s", least, describe(v)))
		return nil, false
	}
	return l, true
}

func describe(v any) string {
	if l, ok := v.([]any); ok {
		return fmt.Sprintf("an array of %d", len(l))
	}
	return typeName(v)
}

// unsupported are the fields of the language that this package does not run,
// and what they belong to.
var unsupported = map[string]string{
	"Assign":                         "variables",
	"Arguments":                      "JSONata",
	"Output":                         "JSONata",
	"Items":                          "JSONata",
	"Condition":                      "JSONata",
	"Credentials":                    "cross-account credentials",
	"ItemReader":                     "distributed Map",
	"ItemBatcher":                    "distributed Map",
	"ResultWriter":                   "distributed Map",
	"Label":                          "distributed Map",
	"ToleratedFailureCount":          "distributed Map",
	"ToleratedFailureCountPath":      "distributed Map",
	"ToleratedFailurePercentage":     "distributed Map",
	"ToleratedFailurePercentagePath": "distributed Map",
	"ExecutionType":                  "distributed Map",
}

// done refuses the fields that nobody took.
func (o *object) done(what string) {
	for _, name := range sortedKeys(o.fields) {
		if o.taken[name] {
			continue
		}
		if of, ok := unsupported[name]; ok {
			o.c.add(codeUnsupported, o.path(name), fmt.Sprintf("the field '%s' (%s) is not supported", name, of))
			continue
		}
		o.add(name, fmt.Sprintf("the field '%s' is not known in %s", name, what))
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
