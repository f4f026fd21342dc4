package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoleIsForOneNamespaceAndOneGroup(t *testing.T) {
	var out, errs bytes.Buffer
	if code := newConsole(&out, &errs).run(t.Context(), []string{"role", "-o", "json", "../../specfiles/yelb-appserver"}); code != exitPromoted {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Rules    []struct{ Resources, Verbs, ResourceNames []string }
			Subjects []struct{ Kind, Name string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 || list.Items[0].Kind != "Role" || list.Items[1].Kind != "RoleBinding" {
		t.Fatalf("objects %+v, want a Role and a RoleBinding", list.Items)
	}
	for _, o := range list.Items {
		if o.Metadata.Name != "stepcanary-yelb-appserver" || o.Metadata.Namespace != "yelb" {
			t.Errorf("%s %+v, want stepcanary-yelb-appserver in the service's namespace", o.Kind, o.Metadata)
		}
	}
	if s := list.Items[1].Subjects; len(s) != 1 || s[0].Kind != "Group" || s[0].Name != "stepcanary" {
		t.Errorf("subjects %+v, want the engine's group", s)
	}
	var resources []string
	leases := map[string]string{}
	for _, r := range list.Items[0].Rules {
		if r.Resources[0] == "leases" {
			leases[strings.Join(r.ResourceNames, " ")] = strings.Join(r.Verbs, " ")
		}
		resources = append(resources, r.Resources...)
		if slices.Contains(r.Verbs, "*") || slices.Contains(r.Resources, "*") || slices.Contains(r.Resources, "secrets") {
			t.Errorf("rule %+v", r)
		}
	}
	// The namespace's freeze is read, and only people write it.
	want := map[string]string{"": "create", "stepcanary-yelb-appserver": "get patch", "stepcanary": "get"}
	if diff := cmp.Diff(want, leases); diff != "" {
		t.Errorf("verbs by the Lease's name (-want +got):\n%s", diff)
	}
	if !slices.Contains(resources, "virtualrouters") || slices.Contains(resources, "httproutes") {
		t.Errorf("resources %v, want those of the service's own router", resources)
	}
}
