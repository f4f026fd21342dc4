package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A template is a synthesized stack, as CloudFormation reads it.
type template struct {
	Resources map[string]resource
	Outputs   map[string]any
}

type resource struct {
	Type           string
	Properties     map[string]any
	DeletionPolicy string
}

// baseConfig has one of everything that is not optional.
func baseConfig() Config {
	c := Config{
		Account: "111122223333", Region: "eu-west-1",
		Clusters: []Cluster{{Name: "demo"}},
		Services: []Service{{Name: "yelb-appserver", Repository: "yelb-appserver"}},
	}
	c.complete()
	return c
}

// fullConfig has every option.
func fullConfig(t *testing.T) Config {
	t.Helper()
	c, err := ReadConfig("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newDist makes a folder with a stand-in for each zip. Its content does not matter to a template but
// for its hash.
func newDist(t *testing.T, content string) string {
	t.Helper()
	dist := t.TempDir()
	names := []string{"stepcanary-linux-amd64", "stepcanary-linux-arm64"}
	for _, f := range functions {
		names = append(names, f.name)
	}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dist, n+".zip"), []byte(content+n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dist
}

// synth gives the templates by their stack's name.
func synth(t *testing.T, c Config, dist string) map[string]template {
	t.Helper()
	if err := c.check(); err != nil {
		t.Fatalf("configuration of the test: %v", err)
	}
	out := t.TempDir()
	newApp(c, dist, out).Synth(nil)
	files, err := filepath.Glob(filepath.Join(out, "*.template.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no template in %s: %v", out, err)
	}
	templates := map[string]template{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var tm template
		if err := json.Unmarshal(data, &tm); err != nil {
			t.Fatal(err)
		}
		templates[strings.TrimSuffix(filepath.Base(f), ".template.json")] = tm
	}
	return templates
}

// ofType gives the logical ids of a type's resources, sorted.
func (tm template) ofType(kind string) []string {
	var ids []string
	for id, r := range tm.Resources {
		if r.Type == kind {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// only gives the one resource of a type whose property has that value.
func (tm template) only(t *testing.T, kind, property string, value any) (string, map[string]any) {
	t.Helper()
	var found []string
	for _, id := range tm.ofType(kind) {
		if tm.Resources[id].Properties[property] == value {
			found = append(found, id)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s with %s %v: found %v, want one", kind, property, value, found)
	}
	return found[0], tm.Resources[found[0]].Properties
}

// dig walks down maps and lists.
func dig(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// text is a value as JSON, which is enough to compare and to print it.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func ref(id string) string { return text(map[string]any{"Ref": id}) }

func attribute(id, name string) string {
	return text(map[string]any{"Fn::GetAtt": []any{id, name}})
}

// A statement is one of a policy, with lists where IAM allows a single value too.
type statement struct {
	role, sid, effect  string
	actions, resources []string
}

// statements gives those of all roles.
func (tm template) statements() []statement {
	var all []statement
	for _, id := range tm.ofType("AWS::IAM::Role") {
		for _, p := range list(tm.Resources[id].Properties["Policies"]) {
			for _, s := range list(dig(p, "PolicyDocument", "Statement")) {
				sid, _ := dig(s, "Sid").(string)
				effect, _ := dig(s, "Effect").(string)
				all = append(all, statement{
					role: id, sid: sid, effect: effect,
					actions: texts(dig(s, "Action")), resources: texts(dig(s, "Resource")),
				})
			}
		}
	}
	return all
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// texts gives strings, with references as people write them: <Id>, <Id.Arn>.
func texts(v any) []string {
	var out []string
	for _, e := range list(v) {
		out = append(out, plain(e))
	}
	return out
}

func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case map[string]any:
		if id, ok := v["Ref"].(string); ok {
			return "<" + id + ">"
		}
		if at := list(v["Fn::GetAtt"]); len(at) == 2 {
			return "<" + plain(at[0]) + "." + plain(at[1]) + ">"
		}
		if join := list(v["Fn::Join"]); len(join) == 2 {
			return strings.Join(texts(join[1]), plain(join[0]))
		}
	}
	return text(v)
}
