package spec_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
)

const head = `"cluster_name": "c", "kubernetes_namespace": "shop", "microservice_name": "cart"`

func parse(t *testing.T, fields string) spec.Spec {
	t.Helper()
	s, err := spec.Parse("deploy.json", []byte("{"+head+", "+fields+"}"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func secs(n int) rollout.Duration { return rollout.Duration(time.Duration(n) * time.Second) }

func TestPlan(t *testing.T) {
	for name, tt := range map[string]struct {
		fields string
		want   []rollout.Step
	}{
		"an increment that divides 100": {
			`"percentage_step": 50, "wait_time": 60`,
			[]rollout.Step{{Weight: 50, Hold: secs(60)}, {Weight: 100, Hold: secs(60)}},
		},
		"an increment that does not divide 100": {
			`"percentage_step": 30, "wait_time": "1m"`,
			[]rollout.Step{{Weight: 30, Hold: secs(60)}, {Weight: 60, Hold: secs(60)}, {Weight: 90, Hold: secs(60)}, {Weight: 100, Hold: secs(60)}},
		},
		"all at once, with a bake of its own": {
			`"percentage_step": 100, "wait_time": 60, "bake": "10m"`,
			[]rollout.Step{{Weight: 100, Hold: secs(600)}},
		},
		"an increment in quotes, as jq and the shell took it": {
			`"percentage_step": "50", "wait_time": 0`,
			[]rollout.Step{{Weight: 50}, {Weight: 100}},
		},
		"a whole number written with a fraction": {
			`"percentage_step": 50.0, "wait_time": 0.5`,
			[]rollout.Step{{Weight: 50, Hold: rollout.Duration(500 * time.Millisecond)}, {Weight: 100, Hold: rollout.Duration(500 * time.Millisecond)}},
		},
		"a list with holds and a gate": {
			`"steps": [10, {"weight": 30, "hold": "2m"}, {"weight": 50, "approve": true}, 100], "wait_time": 60, "bake": 300`,
			[]rollout.Step{{Weight: 10, Hold: secs(60)}, {Weight: 30, Hold: secs(120)}, {Weight: 50, Hold: secs(60), Approve: true}, {Weight: 100, Hold: secs(300)}},
		},
		"the last step's hold is the bake": {
			`"steps": [10, {"weight": 100, "hold": "2m"}], "wait_time": 60`,
			[]rollout.Step{{Weight: 10, Hold: secs(60)}, {Weight: 100, Hold: secs(120)}},
		},
		"replace needs no steps": {
			`"strategy": "replace", "wait_time": 60`,
			[]rollout.Step{{Weight: 100, Hold: secs(60)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := parse(t, tt.fields).Plan()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, plan.Steps); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if err := plan.Validate(); err != nil {
				t.Error(err)
			}
			if bake := parse(t, tt.fields).Policy().BakeFor; bake != time.Duration(tt.want[len(tt.want)-1].Hold) {
				t.Errorf("the policy bakes for %v, the plan for %v", bake, tt.want[len(tt.want)-1].Hold)
			}
		})
	}
}

func TestPlanCarriesItsPatience(t *testing.T) {
	plan, err := parse(t, `"percentage_step": 100, "wait_time": 60, "pace": "evidence", "longest_step": "30m", "patience": "5m", "pause_limit": "1h", "on_undecided": "ask"`).Plan()
	if err != nil {
		t.Fatal(err)
	}
	want := rollout.Plan{
		Steps: []rollout.Step{{Weight: 100, Hold: secs(60)}}, Patience: secs(300), PauseLimit: secs(3600),
		OnUndecided: rollout.UndecidedAsks, Evidence: true, Cap: secs(1800),
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// A Spec that did not come from Parse has no plan by accident.
func TestPlanOfTheZeroSpec(t *testing.T) {
	if plan, err := (spec.Spec{}).Plan(); err == nil {
		t.Errorf("Plan() = %v, want an error", plan)
	}
}

// The ancestor's pipeline hands over deploy.json with a base64 of 76 columns.
func TestAncestorsInput(t *testing.T) {
	template, err := os.ReadFile("testdata/ancestor/kubernetes_template.yml")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for text := base64.StdEncoding.EncodeToString(template); text != ""; {
		n := min(76, len(text))
		lines, text = append(lines, text[:n]), text[n:]
	}
	input, err := json.Marshal(map[string]any{
		"cluster_name": "eks", "kubernetes_namespace": "yelb", "microservice_name": "yelb-appserver",
		"percentage_step": 10, "wait_time": 60, "failure_threshold_value": 0, "failure_threshold_time": 300,
		"container_image": digest, "config_file": strings.Join(lines, "\n") + "\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := spec.Parse("input", input)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Complete("input"); err != nil {
		t.Error(err)
	}
	tmpl, err := s.Template()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Judgeable(tmpl); err != nil {
		t.Errorf("Judgeable() = %v", err)
	}
	objects, err := tmpl.Render(spec.Values{Namespace: "yelb", Service: "yelb-appserver", Image: s.Image, Version: 1, Routes: []spec.Route{{Name: "yelb-appserver-1", Weight: 100}}})
	if err != nil || len(objects) != 6 {
		t.Errorf("Render() = %d objects, %v; want 6", len(objects), err)
	}
}

func TestComplete(t *testing.T) {
	s := parse(t, `"percentage_step": 10, "wait_time": 60`)
	err := s.Complete("input")
	if err == nil || !strings.Contains(err.Error(), "container_image") || !strings.Contains(err.Error(), "config_file") {
		t.Errorf("Complete() = %v; want both fields", err)
	}
}

// JSON and YAML are one language with two spellings.
func TestYAMLSaysTheSame(t *testing.T) {
	fromJSON := parse(t, `"steps": [10, {"weight": 100}], "wait_time": "90s", "metrics": {"query": {"q": "a\nb"}}`)
	fromYAML, err := spec.Parse("deploy.yml", []byte(`
cluster_name: c
kubernetes_namespace: shop
microservice_name: &name cart
steps: [10, {weight: 100}]
wait_time: 90s
metrics:
  query:
    q: |-
      a
      b
router: {route: *name}
`))
	if err != nil {
		t.Fatal(err)
	}
	fromJSON.Router.Route = "cart"
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("(-JSON +YAML):\n%s", diff)
	}
}

func TestBudget(t *testing.T) {
	b := parse(t, `"steps": [50, {"weight": 100}], "wait_time": "20m", "patience": "10m", "pause_limit": "1h", "drain": "10s", "deadlines": {"ready": "5m", "observed": "1m"}`).Budget()
	if want := 40 * time.Minute; b.Shortest != want {
		t.Errorf("Shortest = %v, want %v", b.Shortest, want)
	}
	// Two steps of 20+10+1 minutes, 5 to become ready and one to be taken up, an hour's pause, two drains.
	if want := 2*31*time.Minute + 6*time.Minute + time.Hour + 20*time.Second; b.Longest != want {
		t.Errorf("Longest = %v, want %v", b.Longest, want)
	}
	// Each step is shifts of 7 events each 20 seconds and watches of 8 a minute, one of them for
	// what begins late; so is the time to become ready and to be taken up.
	if want := 270 + 7*8 + 2*(5*7+21*8+11*8); b.Events != want {
		t.Errorf("Events = %d, want %d", b.Events, want)
	}
}

// A person's word may take as long as a pause, wherever it is asked for.
func TestBudgetOfApprovals(t *testing.T) {
	budget := func(fields string) spec.Budget {
		return parse(t, `"steps": [{"weight": 50`+fields+`, "wait_time": 60, "pause_limit": "2h"`).Budget()
	}
	none := budget(`}, 100]`)
	for name, tt := range map[string]struct {
		fields string
		times  int
	}{
		"one approval":          {`, "approve": true}, 100]`, 1},
		"undecided, each step":  {`}, 100], "on_undecided": "ask"`, 2},
		"both at the same step": {`, "approve": true}, 100], "on_undecided": "ask"`, 2},
	} {
		b := budget(tt.fields)
		if got := b.Longest - none.Longest; got != time.Duration(tt.times)*2*time.Hour || b.Events <= none.Events {
			t.Errorf("%s: %v more and %d events more; want %d times 2h", name, got, b.Events-none.Events, tt.times)
		}
	}
}

// Merge keys, aliases, a byte order mark and empty documents are YAML, too.
func TestYAMLsCorners(t *testing.T) {
	s, err := spec.Parse("deploy.yml", []byte("\uFEFF---\n---\n"+`
cluster_name: c
kubernetes_namespace: n
microservice_name: m
steps:
  - &first {weight: 10, hold: 5m}
  - {<<: *first, weight: 20}
  - {<<: [{weight: 30}, *first]}
  - 100
wait_time: 60
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []rollout.Step{{Weight: 10, Hold: secs(300)}, {Weight: 20, Hold: secs(300)}, {Weight: 30, Hold: secs(300)}, {Weight: 100, Hold: secs(60)}}
	if diff := cmp.Diff(want, s.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if _, err := spec.Parse("deploy.json", []byte("\uFEFF{"+head+minimalFields+"}")); err != nil {
		t.Errorf("JSON with a byte order mark: %v", err)
	}
}

const minimalFields = `, "percentage_step": 10, "wait_time": 60`

func TestLoad(t *testing.T) {
	template, err := os.ReadFile("../../specfiles/podlet/kubernetes_template.yml")
	if err != nil {
		t.Fatal(err)
	}
	document := `{"$schema": "deploy.schema.json", "cluster_name": "c", "kubernetes_namespace": "demo", "microservice_name": "podlet", "percentage_step": 10, "wait_time": 60}`
	with := func(field string) string {
		return strings.Replace(document, "}", `, "config_file": "`+field+`"}`, 1)
	}
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the template beside it":  {map[string]string{"deploy.json": document, "kubernetes_template.yml": string(template)}, ""},
		"the template inside":     {map[string]string{"deploy.json": with(base64.StdEncoding.EncodeToString(template))}, ""},
		"both, and the same":      {map[string]string{"deploy.json": with(base64.StdEncoding.EncodeToString(template)), "kubernetes_template.yml": string(template)}, ""},
		"both, and they differ":   {map[string]string{"deploy.json": with("YTogYgo="), "kubernetes_template.yml": string(template)}, "expected one template"},
		"no template":             {map[string]string{"deploy.json": document}, "no kubernetes_template.yml beside it"},
		"no document":             {map[string]string{"kubernetes_template.yml": string(template)}, "no deploy.json"},
		"two documents":           {map[string]string{"deploy.json": document, "deploy.yml": document}, "expected one of them"},
		"a bad template":          {map[string]string{"deploy.json": document, "kubernetes_template.yml": "kind: Pod\n"}, "kubernetes_template.yml:1:7: document 1 Pod"},
		"a giant template":        {map[string]string{"deploy.json": document, "kubernetes_template.yml": strings.Repeat("#", 300_000)}, fmt.Sprintf("more than %d bytes", spec.MaxInput)},
		"too large for one input": {map[string]string{"deploy.json": document, "kubernetes_template.yml": string(template) + "#" + strings.Repeat("x", 150_000)}, "expected at most 196608, of which a rollout fits"},
		"too much beside it":      {map[string]string{"deploy.json": document[:len(document)-1] + strings.Repeat(" ", 33_000) + "}", "kubernetes_template.yml": string(template)}, "expected at most 32768, of which a rollout fits"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := spec.Load(dir)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Fatalf("Load() = %v, want %q", err, tt.want)
			}
			if err != nil {
				return
			}
			if f, err = f.WithImage(digest); err != nil {
				t.Fatal(err)
			}
			s, err := spec.Parse("input", f.Raw)
			if strings.Contains(string(f.Raw), "$schema") {
				t.Error("the input names the editor's schema")
			}
			if err != nil || s.Image != digest || s.Complete("input") != nil {
				t.Errorf("the input has image %q, %v, %v", s.Image, err, s.Complete("input"))
			}
			if _, err := f.WithImage("No Image"); err == nil {
				t.Error("WithImage took No Image")
			}
		})
	}
}
