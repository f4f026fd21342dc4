package spec_test

import (
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// Match rules that the router cannot have are refused when the files are checked, long before a
// rollout: whether the template says which router it is, or deploy.json does.
func TestMatchNeedsARouterThatHasIt(t *testing.T) {
	match := []traffic.Match{{Headers: []traffic.Header{{Name: "X-Canary", Value: "always"}}}}
	const says = "kubernetes_template.yml: found match in deploy.json with App Mesh as the router, expected no match, because App Mesh splits by weight alone"
	for name, want := range map[string]string{"yelb-appserver": says, "podlet": ""} {
		f, err := spec.Load("../../specfiles/" + name)
		if err != nil {
			t.Fatal(err)
		}
		f.Spec.Match = match
		_, err = f.Spec.Template()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s with match: %v; want %q", name, err, want)
		}
	}
}
