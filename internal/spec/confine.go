package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// confinement keeps a template to one version of one service in one namespace.
type confinement struct {
	template Template
	spec     Spec
	problems Errors
	// current is the document under check.
	current document
}

// check gives the documents that are allowed. What is not is added to problems.
func (c *confinement) check(nodes []*yaml.Node) []document {
	var docs []document
	seen := map[string]int{}
	for i, n := range nodes {
		c.current = document{index: i + 1, node: n, kind: text(n, "kind")}
		var own Errors
		c.template.plain(n, nil, &own)
		c.problems = append(c.problems, own.within(c.label())...)
		if n.Kind != yaml.MappingNode {
			c.add(n, "", describe(n), "a Kubernetes object")
			continue
		}
		if !c.object() {
			continue
		}
		c.fields()
		id := c.current.kind + " " + c.current.name
		if first, twice := seen[id]; twice {
			c.add(sub(n, "metadata", "name"), "metadata.name", id+" a second time", fmt.Sprintf("it in document %d only", first))
		}
		seen[id] = c.current.index
		docs = append(docs, c.current)
	}
	if len(c.problems) == 0 {
		c.together(docs)
	}
	return docs
}

// within puts the document's name before the paths.
func (e Errors) within(label string) Errors {
	for i := range e {
		e[i].Path = strings.TrimSuffix(label+": "+e[i].Path, ": ")
	}
	return e
}

// label names the document in a problem's path.
func (c *confinement) label() string {
	label := "document " + strconv.Itoa(c.current.index)
	if c.current.kind != "" {
		label += " " + brief(c.current.kind)
	}
	return label
}

func (c *confinement) add(n *yaml.Node, path, found, want string) {
	if n == nil {
		n = c.current.node
	}
	c.problems = append(c.problems, Errors{c.template.at(n, path, found, want)}.within(c.label())...)
}

// refuse complains about what stands under keys, if anything does.
func (c *confinement) refuse(want string, keys ...string) {
	if n := sub(c.current.node, keys...); n != nil {
		c.add(n, strings.Join(keys, "."), describe(n), want)
	}
}

// object checks one document by itself and tells whether its kind is allowed.
func (c *confinement) object() bool {
	n := c.current.node
	kind := sub(n, "kind")
	rule, ok := allowed[c.current.kind]
	if !ok {
		found := "nothing"
		if kind != nil {
			found = describe(kind)
		}
		c.add(kind, "kind", found, c.wantKind())
		return false
	}
	if v := text(n, "apiVersion"); v != rule.version {
		c.add(sub(n, "apiVersion"), "apiVersion", strconv.Quote(brief(v)), rule.version+" for a "+c.current.kind)
		return false
	}
	c.current.rule = rule
	c.current.name = text(n, "metadata", "name")
	c.metadata(rule)
	c.refuse("nothing: it is the cluster's to write", "status")
	c.meshName()
	switch c.current.kind {
	case "Deployment":
		c.pod([]string{"spec", "template"})
	case "Service":
		c.service()
	case "HTTPRoute", "VirtualRouter", "VirtualService":
		c.references(sub(n, "spec"), []string{"spec"})
	}
	return true
}

func (c *confinement) wantKind() string {
	if why, ok := reasons[c.current.kind]; ok {
		return "another kind: " + why
	}
	return "one of " + strings.Join(slices.Sorted(maps.Keys(allowed)), ", ")
}

// metadata checks whose object it is.
func (c *confinement) metadata(rule kindRule) {
	meta := sub(c.current.node, "metadata")
	version := c.template.service + "-" + strconv.Itoa(probe)
	name := c.current.name
	isShared := name == c.template.service
	// What carries this name gets the version's label, and goes when the version goes.
	owner := workload.Ownership{Service: workload.Service{Namespace: c.template.namespace, Name: c.template.service}, Version: probe}
	isVersioned := strings.HasPrefix(name, version) && owner.Versioned(name)
	if !(rule.shared && isShared || rule.versioned && isVersioned) {
		var want []string
		if rule.versioned {
			want = append(want, version, version+"-SOMETHING")
		}
		if rule.shared {
			want = append(want, c.template.service)
		}
		found := "nothing"
		if n := sub(meta, "name"); n != nil {
			found = describe(n)
		}
		c.add(sub(meta, "name"), "metadata.name", found, strings.Join(want, " or "))
	}
	if ns := sub(meta, "namespace"); ns != nil && ns.Value != c.template.namespace {
		c.add(ns, "metadata.namespace", describe(ns), c.template.namespace+", the service's own")
	}
	for _, field := range []string{"generateName", "ownerReferences", "finalizers", "resourceVersion", "uid", "managedFields"} {
		c.refuse("nothing: it would take the object out of the rollout's hands", "metadata", field)
	}
	for _, field := range []string{"labels", "annotations"} {
		m := sub(meta, field)
		if m == nil || m.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i < len(m.Content); i += 2 {
			if strings.HasPrefix(m.Content[i].Value, "stepcanary.dev/") {
				c.add(m.Content[i], "metadata."+field, describe(m.Content[i]), "a name that does not begin with stepcanary.dev/, which the engine writes itself")
			}
		}
	}
}

// service refuses addresses that take traffic meant for others, and pods that are not ready.
func (c *confinement) service() {
	c.refuse("nothing: external addresses can take others' traffic", "spec", "externalIPs")
	c.refuse("nothing", "spec", "externalName")
	c.mustBe(c.current.node, nil, "false", "users must not reach pods that are not ready", "spec", "publishNotReadyAddresses")
	if t := sub(c.current.node, "spec", "type"); t != nil && !slices.Contains([]string{"ClusterIP", "NodePort", "LoadBalancer"}, t.Value) {
		c.add(t, "spec.type", describe(t), "ClusterIP, NodePort or LoadBalancer")
	}
}

// meshName keeps an object to a name of its own in the mesh, which all namespaces share: under another's, it would take that one's
// traffic.
func (c *confinement) meshName() {
	n := sub(c.current.node, "spec", "awsName")
	if n == nil {
		return
	}
	rest, own := strings.CutPrefix(n.Value, c.current.name)
	if own && rest != "" && strings.Contains("-_.", rest[:1]) {
		rest, own = strings.CutPrefix(rest[1:], c.template.namespace)
		own = own && (rest == "" || rest[0] == '.')
	} else {
		own = false
	}
	if !own {
		c.add(n, "spec.awsName", describe(n), fmt.Sprintf("none, or %s-%s, as the mesh's names are those of all namespaces; _ and . are as good, and more may follow a dot",
			c.current.name, c.template.namespace))
	}
}

// references refuses back ends in other namespaces. Parents (a Gateway) may be
// elsewhere: there, they decide whom they let in.
func (c *confinement) references(n *yaml.Node, keys []string) {
	if n == nil {
		return
	}
	if ns := sub(n, "namespace"); ns != nil && ns.Value != c.template.namespace {
		c.add(ns, place(keys).with("namespace").String(), describe(ns), c.template.namespace+", the service's own")
	}
	for i := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			c.references(n.Content[i], place(keys).with(strconv.Itoa(i)))
		case n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value != "parentRefs":
			c.references(n.Content[i], place(keys).with(n.Content[i-1].Value))
		}
	}
}
