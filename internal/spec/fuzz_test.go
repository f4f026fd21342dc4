package spec_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// seed adds every file that matches.
func seed(f *testing.F, patterns ...string) {
	f.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// FuzzParse: whatever comes, there is a document with a plan that can run, or
// problems that say where. What is accepted is accepted again as JSON, with the
// same meaning.
func FuzzParse(f *testing.F) {
	seed(f, "testdata/bad/*.json", "testdata/bad/*.yml", "../../specfiles/*/deploy.*")
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2*spec.MaxInput {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		for _, name := range []string{"deploy.json", "deploy.yml"} {
			s, err := spec.Parse(name, data)
			if err != nil {
				complain(t, name, err)
				continue
			}
			plan, err := s.Plan()
			if err != nil {
				t.Fatalf("Parse took what has no plan: %v", err)
			}
			if err := plan.Validate(); err != nil {
				t.Fatalf("the plan: %v", err)
			}
			if err := s.Policy().Validate(); err != nil {
				t.Fatalf("the policy: %v", err)
			}
			if b := s.Budget(); b.Longest < b.Shortest || b.Events < 1 {
				t.Fatalf("the budget: %+v", b)
			}
		}
	})
}

// complain checks that an error is a list of problems that a person can use.
func complain(t *testing.T, name string, err error) {
	t.Helper()
	problems, ok := err.(spec.Errors)
	if !ok || len(problems) == 0 || len(problems) > 51 {
		t.Fatalf("%T of %d problems: %v", err, len(problems), err)
	}
	for _, p := range problems {
		if p.File != name || p.Line < 0 || p.Found == "" || len(p.String()) > 4096 || strings.ContainsAny(p.Want, "\uE000\uE001\uE002\uE003") {
			t.Fatalf("a problem without use: %#v", p)
		}
	}
}

// FuzzTemplate: whatever comes, there are objects of this service in its own
// namespace and of the kinds that are allowed, or problems. They are the same
// objects whatever the image is called: a template whose names came from the
// image was checked with one image and applied with another.
func FuzzTemplate(f *testing.F) {
	seed(f, "testdata/template/*.yml", "testdata/ancestor/*.yml", "../../specfiles/*/kubernetes_template.yml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2*spec.MaxInput {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		s := spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString(data)}
		template, err := s.Template()
		if err != nil {
			complain(t, "config_file", err)
			return
		}
		var checked []string
		for _, image := range []string{digest, "payments", "cart", "cart-6", "stepcanary.dev/rollout", "container.apparmor.security.beta.kubernetes.io/app"} {
			values := spec.Values{Namespace: "shop", Service: "cart", Image: image, Version: 7, Routes: []spec.Route{{Name: "cart-7", Weight: 100}}}
			objects, err := template.Render(values)
			if err != nil {
				t.Fatalf("Template took what does not render with %s: %v", image, err)
			}
			allowed(t, objects)
			if got := identity(objects); checked == nil {
				checked = got
			} else if !slices.Equal(got, checked) {
				t.Fatalf("the image %s makes %q of %q", image, got, checked)
			}
		}
		_ = s.Judgeable(template)
	})
}

// allowed wants objects of shop/cart alone.
func allowed(t *testing.T, objects []workload.Object) {
	t.Helper()
	for _, o := range objects {
		meta, _ := o["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		if meta["namespace"] != "shop" || name != "cart" && !strings.HasPrefix(name, "cart-") {
			t.Fatalf("%v %q in %v", o["kind"], name, meta["namespace"])
		}
		if data, err := json.Marshal(o); err != nil || strings.ContainsAny(string(data), "\uE000\uE001\uE002\uE003") {
			t.Fatalf("%v %q: %v: %s", o["kind"], name, err, data)
		}
	}
}

// identity is what the objects are, are called and lead to, in which no image may have a say.
func identity(objects []workload.Object) (all []string) {
	keys := func(m any) []string {
		fields, _ := m.(map[string]any)
		return slices.Sorted(maps.Keys(fields))
	}
	for _, o := range objects {
		meta, _ := o["metadata"].(map[string]any)
		inside, _ := o["spec"].(map[string]any)
		pod, _ := inside["template"].(map[string]any)
		podMeta, _ := pod["metadata"].(map[string]any)
		all = append(all, fmt.Sprint(o.Kind(), meta["name"], meta["labels"], keys(meta["annotations"]), inside["selector"], podMeta["labels"], keys(podMeta["annotations"])))
	}
	return all
}
