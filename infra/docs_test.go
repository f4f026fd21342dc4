package main

import (
	"os"
	"reflect"
	"regexp"
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

// What the page says to write is taken as it stands.
func TestTheConfigurationOnThePageIsTaken(t *testing.T) {
	data, err := os.ReadFile("../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(data), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of JSON, want the configuration and a service's part of it", len(blocks))
	}
	engine, services := strings.TrimSpace(blocks[0][1]), strings.TrimSpace(blocks[1][1])
	for _, text := range []string{engine, strings.TrimSuffix(engine, "}") + "," + services + "}"} {
		c, err := parseConfig([]byte(text))
		if err != nil {
			t.Errorf("%v in:\n%s", err, text)
			continue
		}
		if tm := synth(t, c, newDist(t, "")); len(tm) != 1+len(c.Services) {
			t.Errorf("%d stacks for %d services", len(tm), len(c.Services))
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
