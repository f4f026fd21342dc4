package spec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// A document that an execution began with is read again as it was sent, which is not how Parse got it: that the engine
// hands on each field once, and no white space, left users half-shifted.
func TestReread(t *testing.T) {
	plain := `{` + head + `, "percentage_step": 50, "wait_time": 60, "notifications": [{"name": "team", "url": "https://a.example/"}]}`
	whole, err := spec.Parse("deploy.json", []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	team := spec.Notification{Name: "team", URL: "https://a.example/", On: []string{"start", "hold", "end"}}
	rest := spec.Spec{Cluster: "c", Namespace: "shop", Service: "cart", Notifications: []spec.Notification{team}}
	silent := rest
	silent.Notifications = nil
	with := func(more string) string { return strings.Replace(plain, "{", "{"+more, 1) }
	for name, tt := range map[string]struct {
		in   string
		want spec.Spec // the zero one: an error
	}{
		"as it is":                      {plain, whole},
		"a field that is written twice": {with(`"wait_time": 90, `), whole},
		"a service that is named twice": {with(`"microservice_name": "basket", `), whole},
		"more white space than fits":    {with(strings.Repeat("\n", spec.MaxInput)), whole},
		"what this build does not know": {with(`"colour": "blue", `), rest},
		"what this build does not want": {with(`"steps": [100], `), rest},
		"receivers that are none":       {`{` + head + `, "notifications": "team"}`, silent},
		"a namespace that is none":      {strings.Replace(plain, `"shop"`, `"../kube-system"`, 1), spec.Spec{}},
		"a service that is a number":    {strings.Replace(plain, `"cart"`, `7`, 1), spec.Spec{}},
		"a cluster in other letters":    {strings.Replace(plain, `"cluster_name"`, `"CLUSTER_NAME"`, 1), spec.Spec{}},
		"no document":                   {`[1]`, spec.Spec{}},
		"a document that has no end":    {plain[:len(plain)-1], spec.Spec{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := spec.Reread("deploy.json", []byte(tt.in))
			if failed := err != nil; failed != (tt.want.Service == "") {
				t.Fatalf("Reread(%.200s): error %v", tt.in, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Reread(%.200s) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}
