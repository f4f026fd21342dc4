package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// What a template may hold, what is applied and removed, and what the Role lets the engine do are
// three lists; they have to name the same kinds.
func TestEveryKindOfATemplateIsAppliedRemovedAndAllowed(t *testing.T) {
	if diff := cmp.Diff(spec.Kinds(), kube.Kinds()); diff != "" {
		t.Errorf("kinds (-a template may hold +Apply takes):\n%s", diff)
	}
	for kind, version := range spec.Kinds() {
		group, _, ok := strings.Cut(version, "/")
		if !ok {
			group = "" // the core group
		}
		needs := kube.Needs{Service: workload.Service{Namespace: "shop", Name: "cart"}, Kinds: []string{kind}, RouteKind: "HTTPRoute", Route: "cart"}
		verbs := map[string]bool{}
		resource := strings.ToLower(kind) + "s"
		for _, r := range kube.Rules(needs) {
			if slices.Contains(r.Groups, group) && slices.Contains(r.Resources, resource) {
				for _, v := range r.Verbs {
					verbs[v] = true
				}
			}
		}
		want := []string{"get", "create"}
		if o := (workload.Object{"kind": kind, "apiVersion": version}); !o.CreateOnly() {
			want = append(want, "patch", "deletecollection")
		}
		for _, v := range want {
			if !verbs[v] {
				t.Errorf("%s: the Role does not let the engine %s %s.%s", kind, v, resource, group)
			}
		}
	}
}

// An autoscaler in deploy.json needs the same rights as one in the template.
func TestRoleOfAnAutoscaler(t *testing.T) {
	var out, errs bytes.Buffer
	if code := newConsole(&out, &errs).run(t.Context(), []string{"role", "-o", "json", "../../specfiles/checkout"}); code != exitPromoted {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if text := out.String(); !strings.Contains(text, `"horizontalpodautoscalers"`) {
		t.Errorf("no right to write autoscalers:\n%s", text)
	}
}

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
