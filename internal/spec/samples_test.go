package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/spec"
)

const digest = "registry.example:5000/team/app@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"

// render loads a folder under specfiles, or elsewhere, and renders its third version.
func render(t *testing.T, name string) (spec.File, spec.Template, []string) {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join("../../specfiles", name)
	}
	f, err := spec.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	template, err := f.Spec.Template()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := template.Render(spec.Values{
		Namespace: f.Spec.Namespace, Service: f.Spec.Service, Image: digest, Version: 3,
		Routes: []spec.Route{{Name: f.Spec.Service + "-2", Weight: 100}, {Name: f.Spec.Service + "-3", Weight: 0}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range objects {
		names = append(names, o["kind"].(string)+" "+o["metadata"].(map[string]any)["name"].(string))
	}
	return f, template, names
}

func TestSamples(t *testing.T) {
	mesh := func(name string) []string {
		return []string{"Service " + name + "-3", "Service " + name, "VirtualNode " + name + "-3", "Deployment " + name + "-3", "VirtualRouter " + name, "VirtualService " + name}
	}
	for name, tt := range map[string]struct {
		steps   []int
		router  string
		objects []string
		// refused is what stands in the reason against a second rollout.
		refused []string
	}{
		"yelb-appserver": {[]int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, "app-mesh", mesh("yelb-appserver"), nil},
		"yelb-ui":        {[]int{25, 50, 75, 100}, "app-mesh", mesh("yelb-ui"), []string{"LoadBalancer", "VirtualNode yelb-ui", "replace"}},
		"yelb-db":        {[]int{25, 50, 75, 100}, "app-mesh", mesh("yelb-db"), []string{"TCP", "metrics.query", "replace"}},
		"redis-server":   {[]int{25, 50, 75, 100}, "app-mesh", mesh("redis-server"), []string{"TCP", "metrics.query", "replace"}},
		"podlet":         {[]int{10, 30, 60, 100}, "gateway-api", []string{"Service podlet-3", "Deployment podlet-3", "HTTPRoute podlet"}, nil},
		"checkout": {[]int{5, 20, 50, 100}, "gateway-api", []string{
			"ServiceAccount checkout", "ConfigMap checkout-3-settings", "PodDisruptionBudget checkout", "Service checkout-3",
			"Deployment checkout-3", "HorizontalPodAutoscaler checkout-3", "HTTPRoute checkout",
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, template, objects := render(t, name)
			if diff := cmp.Diff(tt.objects, objects); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if kind, route := template.Router(); kind != tt.router || route != name {
				t.Errorf("Router() = %s, %s; want %s, %s", kind, route, tt.router, name)
			}
			if diff := cmp.Diff(tt.steps, f.Spec.Policy().Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if plan, err := f.Spec.Plan(); err != nil || len(plan.Steps) != len(tt.steps) {
				t.Errorf("Plan() = %v, %v; want %d steps", plan, err, len(tt.steps))
			}
			err := f.Spec.Judgeable(template)
			if (err != nil) != (tt.refused != nil) {
				t.Fatalf("Judgeable() = %v, want a refusal: %t", err, tt.refused != nil)
			}
			for _, word := range tt.refused {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("Judgeable() = %v; want %q in it", err, word)
				}
			}
			again, err := spec.Parse("input", f.Raw)
			if err != nil {
				t.Fatalf("the execution's input: %v", err)
			}
			if _, err := again.Template(); err != nil {
				t.Errorf("the template in the execution's input: %v", err)
			}
		})
	}
}

// The README's route of a service that is called from inside the cluster stands in podlet's template.
func TestTheSampleOfARouteBelowAService(t *testing.T) {
	readme, err := os.ReadFile("../../specfiles/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "```yaml\n")
	sample, _, _ := strings.Cut(after, "```")
	template, err := os.ReadFile("../../specfiles/podlet/kubernetes_template.yml")
	if err != nil {
		t.Fatal(err)
	}
	version, _, found := strings.Cut(string(template), "# Written once")
	if !found || sample == "" {
		t.Fatalf("podlet's route begins with a comment: %t; the README's sample is %q", found, sample)
	}
	deploy, err := os.ReadFile("../../specfiles/podlet/deploy.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"deploy.json": string(deploy), "kubernetes_template.yml": version + sample} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, filled, objects := render(t, dir)
	if diff := cmp.Diff([]string{"Service podlet-3", "Service podlet", "Deployment podlet-3", "HTTPRoute podlet"}, objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if kind, route := filled.Router(); kind != "gateway-api" || route != "podlet" {
		t.Errorf("Router() = %s, %s; want gateway-api, podlet", kind, route)
	}
}
