package spec

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Template is a service's kubernetes_template.yml, parsed and checked: it
// describes one version of one service, in its own namespace, and nothing else.
type Template struct {
	source
	namespace, service string
	autoscaler         Autoscaler
	// objects are the documents in order.
	objects []document
}

// A document is one object of a template, with the values of a probe filled in.
type document struct {
	// index counts the template's documents from 1.
	index int
	node  *yaml.Node
	kind  string
	name  string
	rule  kindRule
}

// probe is the version that a template is checked with. It is no version that
// anybody reaches, so that it is found in names without mistake.
const probe = 1_999_999_999

// Template parses and checks the template in config_file. An error about its
// content is of type Errors.
func (s Spec) Template() (Template, error) {
	name := cmp.Or(s.TemplatePath, "config_file")
	data, err := decodeTemplate(s.ConfigFile)
	if err != nil || len(data) == 0 {
		return Template{}, Errors{{File: name, Found: "no template", Want: "base64 of kubernetes_template.yml"}}
	}
	t := Template{namespace: s.Namespace, service: s.Service, autoscaler: s.Autoscaler}
	if t.source, err = readTemplate(name, data); err != nil {
		return Template{}, err
	}
	docs, problems := t.fill(Values{
		Namespace: s.Namespace, Service: s.Service, Image: "image", Version: probe,
		Routes: []Route{{Name: s.Service + "-" + strconv.Itoa(probe), Weight: 100}},
	})
	c := confinement{template: t, spec: s, problems: problems}
	t.objects = c.check(docs)
	return t, c.problems.readable().err()
}

// readTemplate parses a template with its placeholders masked.
func readTemplate(name string, data []byte) (source, error) {
	if len(data) > maxFile {
		return source{}, Errors{{File: name, Found: fmt.Sprintf("%d bytes", len(data)), Want: fmt.Sprintf("at most %d", maxFile)}}
	}
	data, err := mask(name, data)
	if err != nil {
		return source{}, err
	}
	// Masking makes the text longer in bytes, never in characters.
	src := source{file: name}
	if p, ok := badText(name, data); !ok {
		return src, Errors{p}
	}
	if src.docs, err = readYAML(name, data); err != nil {
		return src, err
	}
	return src, src.expand()
}

// readable gives problems with placeholders as they were written.
func (e Errors) readable() Errors {
	for i := range e {
		for _, s := range []*string{&e[i].Path, &e[i].Found, &e[i].Want} {
			*s = strings.ReplaceAll(unmask(*s), strconv.Itoa(probe), "${"+varVersion+"}")
		}
	}
	return e
}

// fill puts values into all documents.
func (t Template) fill(v Values) ([]*yaml.Node, Errors) {
	port := t.backendPort(v)
	docs := make([]*yaml.Node, len(t.docs))
	var problems Errors
	for i, doc := range t.docs {
		f := filling{source: t.source, values: v, port: port}
		docs[i] = f.fill(doc, "", nil)
		c := confinement{current: document{index: i + 1, kind: text(docs[i], "kind")}}
		problems = append(problems, f.problems.within(c.label())...)
	}
	return docs, problems.readable()
}

// backendPort is the port of the version's Service: its only one, or the one
// called http; 0 where that does not tell.
func (t Template) backendPort(v Values) int {
	for _, doc := range t.docs {
		f := filling{source: t.source, values: v}
		n := f.fill(&yaml.Node{Kind: yaml.MappingNode, Content: keep(doc, "kind", "metadata", "spec")}, "", nil)
		if text(n, "kind") != "Service" || text(n, "metadata", "name") != v.version() {
			continue
		}
		ports := sub(n, "spec", "ports")
		if ports == nil {
			return 0
		}
		for _, p := range ports.Content {
			number, err := strconv.Atoi(text(p, "port"))
			if err == nil && (len(ports.Content) == 1 || text(p, "name") == "http") {
				return number
			}
		}
	}
	return 0
}

// Render gives the objects of a version, filled in, in the order in which they
// are to be applied: what others refer to first, the route last.
func (t Template) Render(v Values) ([]workload.Object, error) {
	if v.Namespace != t.namespace || v.Service != t.service {
		return nil, fmt.Errorf("render: %w: the template is that of %s/%s, not of %s/%s", fault.Invalid, t.namespace, t.service, v.Namespace, v.Service)
	}
	if want := imageProblem(v.Image); want != "" {
		return nil, fmt.Errorf("render: %w: container_image: found %q, expected %s", fault.Invalid, brief(v.Image), want)
	}
	if v.Version < 1 || len(v.Routes) == 0 {
		return nil, fmt.Errorf("render: %w: version %d and %d routes; at least 1 of each is expected", fault.Invalid, v.Version, len(v.Routes))
	}
	docs, problems := t.fill(v)
	order := make([]int, len(docs))
	objects := make([]workload.Object, len(docs))
	for i, doc := range docs {
		order[i] = i
		o, _ := t.plain(doc, nil, &problems).(map[string]any)
		objects[i] = o
		if meta, ok := o["metadata"].(map[string]any); ok {
			meta["namespace"] = v.Namespace
		}
	}
	if err := problems.readable().err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(t.objects[a].rule.order, t.objects[b].rule.order) })
	sorted := make([]workload.Object, len(docs))
	for i, at := range order {
		sorted[i] = objects[at]
		t.autoscaler.scale(sorted[i])
	}
	return t.scaled(sorted, v), nil
}

// scaled adds the autoscaler of deploy.json at its place in the order.
func (t Template) scaled(objects []workload.Object, v Values) []workload.Object {
	if t.autoscaler.IsZero() {
		return objects
	}
	at := 0
	for at < len(objects) && allowed[objects[at].Kind()].order < allowed[autoscalerKind].order {
		at++
	}
	return slices.Insert(objects, at, t.autoscaler.object(v))
}

// Router tells what the template itself splits the traffic with: app-mesh and
// the VirtualRouter's name, gateway-api and the HTTPRoute's, or nothing.
func (t Template) Router() (kind, route string) {
	for _, o := range t.objects {
		switch o.kind {
		case "VirtualRouter":
			return "app-mesh", o.name
		case "HTTPRoute":
			kind, route = "gateway-api", o.name
		}
	}
	return kind, route
}

// plain turns a filled node into what the Kubernetes libraries use: whole
// numbers are int64, and fields without a value are left out.
func (t Template) plain(n *yaml.Node, at place, problems *Errors) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, twice := m[key]; twice || n.Content[i].Kind != yaml.ScalarNode {
				*problems = append(*problems, t.at(n.Content[i], at.with(key).String(), "the field a second time, or a key that is no text", "each field once"))
			}
			if v := t.plain(n.Content[i+1], at.with(key), problems); v != nil {
				m[key] = v
			}
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = t.plain(item, at.with(strconv.Itoa(i)), problems)
		}
		return list
	}
	v, err := scalar(n)
	if err != nil {
		found := err.Error()
		if at.environment() {
			found = notShown
		}
		*problems = append(*problems, t.at(n, at.String(), found, "a plain value"))
	}
	if f, ok := v.(float64); ok && n.Tag == "!!int" && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return v
}

// sub gives the value under keys; nil where there is none.
func sub(n *yaml.Node, keys ...string) *yaml.Node {
	for _, k := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		value, key := find(n, place{k})
		if key == nil {
			return nil
		}
		n = value
	}
	return n
}

// text gives the scalar under keys as text; empty where there is none.
func text(n *yaml.Node, keys ...string) string {
	if v := sub(n, keys...); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// keep gives the pairs of a mapping that have one of the keys.
func keep(n *yaml.Node, keys ...string) []*yaml.Node {
	var pairs []*yaml.Node
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if slices.Contains(keys, n.Content[i].Value) {
			pairs = append(pairs, n.Content[i], n.Content[i+1])
		}
	}
	return pairs
}
