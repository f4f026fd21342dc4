package specfiles_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/specfiles"
)

var update = flag.Bool("update", false, "write the table of fields into README.md")

// A part is one part of the schema, as far as the table shows it.
type part struct {
	Ref         string `json:"$ref"`
	Description string
	Type        any
	Unit        string `json:"x-unit"`
	Enum        []string
	Default     any
	Required    []string
	Properties  map[string]part
	Items       *part
	Additional  any             `json:"additionalProperties"`
	Defs        map[string]part `json:"$defs"`
}

// TestFieldsInReadme holds the table in README.md against the schema.
func TestFieldsInReadme(t *testing.T) {
	var schema part
	if err := json.Unmarshal(specfiles.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("\n| field | value | default | meaning |\n|---|---|---|---|\n")
	table(&rows, schema.Defs, "", schema)
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- fields -->\n", "<!-- end of fields -->\n"
	before, rest, ok1 := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("README.md has no %q or no %q", begin, end)
	}
	want := before + begin + rows.String() + "\n" + end + after
	if *update {
		if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("README.md (-schema +file), write it with -update:\n%s", diff)
	}
}

// table writes a row for each property, the required ones first.
func table(b *strings.Builder, defs map[string]part, at string, p part) {
	names := slices.Sorted(maps.Keys(p.Properties))
	slices.SortStableFunc(names, func(x, y string) int {
		return place(p.Required, x) - place(p.Required, y)
	})
	for _, name := range names {
		q := resolve(defs, p.Properties[name])
		fallback := ""
		if slices.Contains(p.Required, name) {
			fallback = "required"
		} else if text, err := json.Marshal(q.Default); err == nil && q.Default != nil && string(text) != "{}" {
			fallback = "`" + string(text) + "`"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", at, name, value(defs, q), fallback, strings.ReplaceAll(q.Description, "|", "\\|"))
		table(b, defs, at+name+".", q)
		if q.Items != nil {
			table(b, defs, at+name+"[].", resolve(defs, *q.Items))
		}
	}
}

func place(required []string, name string) int {
	if i := slices.Index(required, name); i >= 0 {
		return i
	}
	return len(required)
}

// resolve follows a reference; what stands beside it wins.
func resolve(defs map[string]part, p part) part {
	if p.Ref == "" {
		return p
	}
	q := defs[strings.TrimPrefix(p.Ref, "#/$defs/")]
	if p.Description != "" {
		q.Description = p.Description
	}
	if p.Default != nil {
		q.Default = p.Default
	}
	return q
}

// value says in a word or two what a field takes.
func value(defs map[string]part, p part) string {
	switch {
	case p.Unit == "seconds":
		return "time"
	case p.Unit != "":
		return p.Unit
	case len(p.Enum) > 0:
		return "`" + strings.Join(p.Enum, "`, `") + "`"
	case p.Items != nil:
		return "list of " + value(defs, resolve(defs, *p.Items))
	}
	types, _ := p.Type.([]any)
	if one, ok := p.Type.(string); ok {
		types = []any{one}
	}
	var words []string
	for _, t := range types {
		words = append(words, map[any]string{"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`", "object": "object"}[t])
	}
	return strings.Join(words, " or ")
}
