package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every field that a platform team may write is explained on the page that leads it.
func TestEveryFieldIsOnThePage(t *testing.T) {
	data, err := os.ReadFile("../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	collect(reflect.TypeFor[Config](), "", &names)
	if len(names) < 20 {
		t.Fatalf("fields %v: too few were found", names)
	}
	for _, name := range names {
		if !strings.Contains(string(data), "`"+name+"`") {
			t.Errorf("docs/aws.md does not explain `%s`", name)
		}
	}
}

// collect names the fields as the page does: services[] has a table of its own.
func collect(in reflect.Type, prefix string, to *[]string) {
	for field := range in.Fields() {
		name, kind := field.Tag.Get("json"), field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case kind.Kind() == reflect.Struct:
			collect(kind, prefix+name+".", to)
		case kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct:
			inside := prefix + name + "[]."
			if name == "services" {
				*to, inside = append(*to, "services[]"), ""
			}
			collect(kind.Elem(), inside, to)
		default:
			*to = append(*to, prefix+name)
		}
	}
}
