//go:build awse2e

package aws

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withoutCreate takes one right out of the Role, which a log of requests cannot show, and finds the
// rollout refused.
func (w *world) withoutCreate(t *testing.T, folder, role, resource string) {
	t.Helper()
	rule := regexp.MustCompile(`(?s)(resources:\n\s+- ` + resource + `\n.*?)        - create\n`)
	if !rule.MatchString(role) {
		t.Fatalf("no rule to create %s in:\n%s", resource, role)
	}
	if out, code := w.run(t, rule.ReplaceAllString(role, "$1"), "kubectl", "apply", "-f", "-"); code != 0 {
		t.Fatal(out)
	}
	out, code := w.run(t, "", "stepcanary", "deploy", folder, "--image", "podlet:v1", "--watch")
	if code != 1 || !strings.Contains(out, "Refused: ") || !strings.Contains(out, "forbidden") { // by the dry run
		t.Errorf("without the right to create %s: exit code %d; a refusal by RBAC is expected, before anything is changed:\n%s", resource, code, out)
	}
}

// rightsInKubernetes holds the requests in the API server's audit log against the Role's rules.
func (w *world) rightsInKubernetes(t *testing.T) {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(w.bedDir, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for line := range bytes.Lines(log) {
		var e struct {
			Verb      string
			User      struct{ Username string }
			ObjectRef struct{ Resource string }
			Status    struct{ Code int } `json:"responseStatus"`
		}
		if json.Unmarshal(line, &e) == nil && strings.HasPrefix(e.User.Username, "stepcanary:") && e.Status.Code != 401 && e.Status.Code != 403 {
			used[e.Verb+" "+e.ObjectRef.Resource] = true
		}
	}
	out, code := w.run(t, "", "kubectl", "get", "role", "stepcanary-podlet", "-o", "json")
	if code != 0 {
		t.Fatal(out)
	}
	var role struct {
		Rules []struct{ Resources, Verbs []string }
	}
	if err := json.Unmarshal([]byte(out), &role); err != nil {
		t.Fatal(err)
	}
	var granted []string
	for _, r := range role.Rules {
		for _, v := range r.Verbs {
			granted = append(granted, v+" "+r.Resources[0])
		}
	}
	slices.Sort(granted)
	// An apply of what does not exist yet is a patch in the log, and is authorized as a create as well:
	// withoutCreate shows that.
	used["create deployments"], used["create services"] = true, true
	// "list" stands in for a watch that begins with the present state, on servers before Kubernetes 1.32.
	granted = slices.DeleteFunc(slices.Compact(granted), func(s string) bool {
		return strings.HasPrefix(s, "list ") && !used[s]
	})
	var called []string
	for u := range used {
		called = append(called, u)
	}
	slices.Sort(called)
	if diff := cmp.Diff(granted, called); diff != "" {
		t.Errorf("verbs and kinds (-granted +used):\n%s", diff)
	}
}
