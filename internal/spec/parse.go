package spec

import (
	"encoding/json"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Parse reads the document alone, JSON or YAML; name is what errors call it. An
// error is of type Errors and lists every problem found. container_image and
// config_file may be missing: see Spec.Complete.
func Parse(name string, data []byte) (Spec, error) {
	src, err := readSource(name, data)
	if err != nil {
		return Spec{}, err
	}
	if len(src.docs) > 1 {
		return Spec{}, Errors{src.at(src.docs[1], "", "a second document", "one")}
	}
	var problems Errors
	value := src.values(src.docs[0], nil, &problems)
	sch := theSchema()
	problems = append(problems, sch.validate(src, value)...)
	if len(problems) > 0 {
		return Spec{}, problems.err()
	}
	doc := value.(map[string]any)
	written := derive(doc)
	sch.normal(src, sch.raw, doc, nil, &problems)
	if len(problems) > 0 {
		return Spec{}, problems.err()
	}
	settle(doc)
	s, err := decode(doc)
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w: %w", name, fault.Internal, err)
	}
	if fields := len(data) - len(s.ConfigFile); fields > maxFields {
		return Spec{}, Errors{{File: name, Found: fmt.Sprintf("%d bytes beside the template", fields), Want: fmt.Sprintf("at most %d, of which a rollout fits into Step Functions", maxFields)}}
	}
	s.Analysis.Written = written.analysis
	s.CountFailures = !written.analysis || written.threshold
	c := checks{source: src, spec: s}
	return s, c.run().err()
}

// Complete tells whether the document says everything that a rollout needs: what
// the build adds may be missing in a repository, and never in an execution.
func (s Spec) Complete(name string) error {
	var problems Errors
	if s.Image == "" {
		problems = append(problems, Problem{File: name, Path: "container_image", Found: "nothing", Want: "the image of the new version"})
	}
	if s.ConfigFile == "" {
		problems = append(problems, Problem{File: name, Path: "config_file", Found: "nothing", Want: "kubernetes_template.yml in base64"})
	}
	return problems.err()
}

// written is what the document had before the defaults came.
type written struct{ analysis, threshold bool }

// derive brings what can be written in two ways into one, and adds the objects
// whose defaults depend on others.
func derive(doc map[string]any) written {
	var w written
	_, value := doc["failure_threshold_value"]
	_, window := doc["failure_threshold_time"]
	w.threshold = value || window
	analysis, ok := doc["analysis"].(map[string]any)
	if w.analysis = ok; !ok {
		analysis = map[string]any{"compare": map[string]any{"prove_by": 0.0}}
		doc["analysis"] = analysis
	}
	if compare, there := analysis["compare"]; !there || compare == true {
		analysis["compare"] = map[string]any{}
	}
	steps, _ := doc["steps"].([]any)
	for i, step := range steps {
		if weight, ok := step.(float64); ok {
			steps[i] = map[string]any{"weight": weight}
		}
	}
	return w
}

// toldOf is what a notification is about that says nothing of it.
var toldOf = []string{"start", "hold", "end"}

// settle adds the defaults that are other fields' values.
func settle(doc map[string]any) {
	fallback := func(m map[string]any, key string, value any) {
		if _, there := m[key]; !there {
			m[key] = value
		}
	}
	steps, _ := doc["steps"].([]any)
	if len(steps) > 0 {
		if hold, there := steps[len(steps)-1].(map[string]any)["hold"]; there {
			fallback(doc, "bake", hold)
		}
	}
	fallback(doc, "bake", doc["wait_time"])
	for i, step := range steps {
		hold := doc["wait_time"]
		if i == len(steps)-1 {
			hold = doc["bake"]
		}
		fallback(step.(map[string]any), "hold", hold)
	}
	webhooks, _ := doc["webhooks"].([]any)
	for _, w := range webhooks {
		fallback(w.(map[string]any), "limit", doc["patience"])
	}
	told, _ := doc["notifications"].([]any)
	for _, n := range told {
		fallback(n.(map[string]any), "on", toldOf)
	}
	limits, _ := doc["analysis"].(map[string]any)["limits"].([]any)
	for _, l := range limits {
		limit := l.(map[string]any)
		fallback(limit, "name", limit["metric"])
	}
}

// decode fills the struct. The schema has checked the types, so that an error
// is a defect of ours.
func decode(doc map[string]any) (Spec, error) {
	var s Spec
	data, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	return s, err
}
