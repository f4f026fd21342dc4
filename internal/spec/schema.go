package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/specfiles"
)

const schemaName = "deploy.schema.json"

// A schema is deploy.schema.json, as document and compiled.
type schema struct {
	raw      map[string]any
	compiled *jsonschema.Schema
}

// theSchema is read once. It is part of the program: one that does not compile
// is a defect that every test shows.
var theSchema = sync.OnceValue(func() schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(specfiles.Schema))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", schemaName, err))
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaName, doc); err != nil {
		panic(fmt.Sprintf("%s: %v", schemaName, err))
	}
	compiled, err := c.Compile(schemaName)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", schemaName, err))
	}
	var raw map[string]any
	if err := json.Unmarshal(specfiles.Schema, &raw); err != nil {
		panic(fmt.Sprintf("%s: %v", schemaName, err))
	}
	return schema{raw: raw, compiled: compiled}
})

// resolve gives a part of the schema with what it refers to; what stands beside
// the reference wins.
func (s schema) resolve(part map[string]any) map[string]any {
	ref, ok := part["$ref"].(string)
	if !ok {
		return part
	}
	merged := maps.Clone(s.resolve(s.definition(strings.TrimPrefix(ref, "#/$defs/"))))
	for k, v := range part {
		if k != "$ref" {
			merged[k] = v
		}
	}
	return merged
}

// definition gives a part that others refer to.
func (s schema) definition(name string) map[string]any {
	defs, _ := s.raw["$defs"].(map[string]any)
	part, _ := defs[name].(map[string]any)
	return part
}

// child gives the part for one key or index of what part describes.
func (s schema) child(part map[string]any, key string) map[string]any {
	props, _ := part["properties"].(map[string]any)
	for _, candidate := range []any{props[key], part["items"], part["additionalProperties"]} {
		if c, ok := candidate.(map[string]any); ok {
			return s.resolve(c)
		}
	}
	return nil
}

// under gives the part for a place; nil where there is none.
func (s schema) under(at place) map[string]any {
	part := s.raw
	for _, key := range at {
		if part = s.child(part, key); part == nil {
			return nil
		}
	}
	return part
}

// validate holds a value of the document root against the schema.
func (s schema) validate(src source, value any) Errors {
	var failed *jsonschema.ValidationError
	if err := s.compiled.Validate(value); !errors.As(err, &failed) {
		return nil
	}
	c := complaints{schema: s, source: src, meant: map[string]bool{}}
	c.collect(failed)
	// What is only misspelt is not missing as well.
	return slices.DeleteFunc(c.problems, func(p Problem) bool { return p.Found == "nothing" && c.meant[p.Path] })
}

// complaints turns what the validator says into problems.
type complaints struct {
	schema
	source
	problems Errors
	// meant are the fields that unknown ones were meant to be.
	meant map[string]bool
}

func (c *complaints) collect(e *jsonschema.ValidationError) {
	if len(e.Causes) > 0 {
		for _, cause := range e.Causes {
			c.collect(cause)
		}
		return
	}
	at := place(e.InstanceLocation)
	part := c.under(at)
	node, _ := find(c.docs[0], at)
	switch k := e.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		sort.Strings(k.Properties)
		for _, name := range k.Properties {
			_, key := find(c.docs[0], at.with(name))
			want, near := advice(name, part)
			if words, ok := later[name]; ok {
				want, near = words, ""
			}
			c.meant[at.with(near).String()] = near != ""
			c.add(c.at(key, at.with(name).String(), "an unknown field", want))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			c.add(c.at(node, at.with(name).String(), "nothing", expected(c.child(part, name), "the field "+name)))
		}
	default:
		found := describe(node)
		if secret, _ := part["x-secret"].(bool); secret && node.Kind == yaml.ScalarNode {
			found = notShown
		}
		c.add(c.at(node, at.String(), found, expected(part, generic(k))))
	}
}

// notShown stands for what may be a secret.
const notShown = "a value (not shown)"

func (c *complaints) add(p Problem) { c.problems = append(c.problems, p) }

// expected is what the schema says is expected at a part, or else the fallback.
func expected(part map[string]any, fallback string) string {
	if want, ok := part["x-expected"].(string); ok {
		return want
	}
	if values, ok := part["enum"].([]any); ok {
		var all []string
		for _, v := range values {
			if text, ok := v.(string); ok {
				v = strconv.Quote(text)
			}
			if v != `""` { // which is as good as absent
				all = append(all, fmt.Sprint(v))
			}
		}
		return strings.Join(all, " or ")
	}
	return fallback
}

// typeNames are how people call the types of JSON.
var typeNames = map[string]string{"object": "an object", "array": "a list", "string": "text", "boolean": "true or false", "integer": "a whole number", "number": "a number"}

// generic says what was expected where the schema has no words of its own.
func generic(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		var want []string
		for _, w := range k.Want {
			want = append(want, typeNames[w])
		}
		return strings.Join(want, " or ")
	case *kind.MinItems:
		return "at least " + strconv.Itoa(k.Want) + " entries"
	case *kind.MaxItems:
		return "at most " + strconv.Itoa(k.Want) + " entries"
	case *kind.MinLength:
		return "at least " + strconv.Itoa(k.Want) + " characters"
	case *kind.MaxLength:
		return "at most " + strconv.Itoa(k.Want) + " characters"
	case *kind.MaxProperties:
		return "at most " + strconv.Itoa(k.Want) + " fields"
	}
	return "what " + schemaName + " says"
}

// later are fields that people know from elsewhere and that this version does
// not have, with what to do instead.
var later = map[string]string{
	"windows": "nothing: times of day are a matter of the pipeline that starts the rollout",
}

// advice says what to write instead of an unknown field, and which one was
// meant by it, if that can be told.
func advice(name string, part map[string]any) (want, near string) {
	props, _ := part["properties"].(map[string]any)
	known := slices.Sorted(maps.Keys(props))
	if len(known) == 0 {
		return "no fields", ""
	}
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("a known one: did you mean %q?", near), near
	}
	return "one of " + strings.Join(known, ", "), ""
}
