package spec

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/rollout"
)

// TestSchemaAndSpec finds properties of the schema that Spec does not have, and
// fields of Spec that the schema does not have.
func TestSchemaAndSpec(t *testing.T) {
	s := theSchema()
	walkStruct(t, s, "deploy.json", s.raw, reflect.TypeFor[Spec]())
}

func walkStruct(t *testing.T, s schema, at string, part map[string]any, typ reflect.Type) {
	t.Helper()
	var fields []string
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		fields = append(fields, name)
		sub := s.child(part, name)
		if sub == nil {
			t.Errorf("%s.%s is a field of %v and not in the schema", at, name, typ)
			continue
		}
		if d, _ := sub["description"].(string); d == "" {
			t.Errorf("%s.%s has no description in the schema", at, name)
		}
		walkType(t, s, at+"."+name, sub, f.Type)
	}
	props, _ := part["properties"].(map[string]any)
	for name := range props {
		if name != "$schema" && !slices.Contains(fields, name) {
			t.Errorf("%s.%s is in the schema and no field of %v", at, name, typ)
		}
	}
}

func walkType(t *testing.T, s schema, at string, part map[string]any, typ reflect.Type) {
	t.Helper()
	switch {
	case typ == reflect.TypeFor[rollout.Duration]():
		if part["x-unit"] != "seconds" {
			t.Errorf("%s is a duration and has no x-unit seconds in the schema", at)
		}
	case typ == reflect.TypeFor[Bound]():
	case typ.Kind() == reflect.Struct:
		walkStruct(t, s, at, part, typ)
	case typ.Kind() == reflect.Slice:
		walkType(t, s, at+"[]", s.child(part, "0"), typ.Elem())
	default:
		kinds := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number", reflect.Int: "integer", reflect.Int64: "integer", reflect.Map: "object"}
		want := kinds[typ.Kind()]
		if part["enum"] != nil {
			return
		}
		types, _ := part["type"].([]any)
		if one, ok := part["type"].(string); ok {
			types = []any{one}
		}
		if !slices.Contains(types, any(want)) {
			t.Errorf("%s is %v in Go and %v in the schema", at, typ, types)
		}
	}
}

// TestDefaults holds what Parse fills in against the schema's own defaults.
func TestDefaults(t *testing.T) {
	got, err := Parse("deploy.json", []byte(`{"cluster_name": "c", "kubernetes_namespace": "n", "microservice_name": "m", "percentage_step": 10, "wait_time": 60, "analysis": {"limits": [{"metric": "latency", "max": 1}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	n := compareDefaults(t, "", theSchema().raw, doc)
	if n < 30 {
		t.Errorf("%d defaults were compared; the schema has more", n)
	}
}

func compareDefaults(t *testing.T, at string, part, doc map[string]any) int {
	t.Helper()
	s, n := theSchema(), 0
	props, _ := part["properties"].(map[string]any)
	for name := range props {
		sub := s.child(part, name)
		path := at + "." + name
		switch value := doc[name].(type) {
		case map[string]any:
			n += compareDefaults(t, path, sub, value)
			continue
		case []any:
			for _, item := range value {
				if object, ok := item.(map[string]any); ok {
					n += compareDefaults(t, path, s.child(sub, "0"), object)
				}
			}
			continue
		}
		want, ok := sub["default"]
		if !ok || sub["properties"] != nil {
			continue
		}
		n++
		if text, ok := want.(string); ok {
			unit, _ := sub["x-unit"].(string)
			var err error
			if want, err = inUnit(unit, text); err != nil {
				t.Errorf("%s: the default %q: %v", path, text, err)
			}
		}
		if got := doc[name]; !cmp.Equal(got, want) && !(got == nil && reflect.ValueOf(want).IsZero()) {
			t.Errorf("%s = %v without a word; the schema says %v", path, got, want)
		}
	}
	return n
}
