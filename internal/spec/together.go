package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// together checks what the documents make up: one version of the service that
// can be told from every other one.
func (c *confinement) together(docs []document) {
	version := c.template.service + "-" + strconv.Itoa(probe)
	deployment := c.only(docs, "Deployment", version)
	router := c.spec.Router.Kind
	if router == "" && named(docs, "VirtualRouter", "") != nil {
		router = "app-mesh"
	}
	backend := "Service"
	if router == "app-mesh" {
		backend = "VirtualNode"
	}
	back := c.only(docs, backend, version)
	if router == "app-mesh" && len(c.spec.Match) > 0 {
		c.whole("match in deploy.json with App Mesh as the router", "no match, because App Mesh splits by weight alone, or a router of kind gateway-api")
	}
	if named(docs, "VirtualRouter", "") != nil && named(docs, "HTTPRoute", "") != nil && c.spec.Router.Kind == "" {
		c.whole("a VirtualRouter and an HTTPRoute", "one of them, or router.kind in deploy.json")
	}
	c.ownRoute(docs, router)
	if deployment == nil || back == nil {
		return
	}
	c.current = *deployment
	if !usesImage(c.template.docs[deployment.index-1]) {
		c.add(sub(deployment.node, "spec", "template", "spec"), "spec.template.spec", "no container with ${"+varImage+"}", "the new version's image in one")
	}
	pods := sub(deployment.node, "spec", "template", "metadata", "labels")
	c.selects(pods, "spec", "selector", "matchLabels")
	if service := named(docs, "Service", version); service != nil {
		c.current = *service
		c.selects(pods, "spec", "selector")
	}
	if service := named(docs, "Service", c.template.service); service != nil {
		c.current = *service
		c.selectsAll()
	}
	c.budgets(docs, pods)
	c.scales(docs, *deployment)
	for i, d := range docs {
		if d.kind != autoscalerKind {
			continue
		}
		c.current = docs[i]
		for _, want := range [][2]string{{"apiVersion", deployment.rule.version}, {"kind", deployment.kind}, {"name", version}} {
			if target := sub(d.node, "spec", "scaleTargetRef", want[0]); target == nil || target.Value != want[1] {
				c.add(target, "spec.scaleTargetRef."+want[0], "another target", want[1])
			}
		}
	}
	if backend == "VirtualNode" {
		c.current = *back
		c.selects(pods, "spec", "podSelector", "matchLabels")
	}
}

// ownRoute holds router.route of deploy.json against the template's own route, which would get the
// versions while the weights of the other one are moved. Where the template has none, the name
// stands for a route that exists.
func (c *confinement) ownRoute(docs []document, router string) {
	kind := "HTTPRoute"
	if router == "app-mesh" {
		kind = "VirtualRouter"
	}
	own, route := named(docs, kind, ""), c.spec.Router.Route
	if own == nil || route == "" || route == own.name {
		return
	}
	c.current = *own
	c.add(sub(own.node, "metadata", "name"), "metadata.name", fmt.Sprintf("%q beside router.route %q of deploy.json", own.name, route),
		"one name in both, or no router.route")
}

// only gives the one document of that kind and name, and complains where it is
// missing. For a Deployment there may be no other one beside it.
func (c *confinement) only(docs []document, kind, name string) *document {
	found := named(docs, kind, name)
	if found == nil {
		c.whole("no "+kind+" "+name, "one: it is what a version is made of")
	}
	for i, d := range docs {
		if kind == "Deployment" && d.kind == kind && d.name != name {
			c.current = docs[i]
			c.add(sub(d.node, "metadata", "name"), "metadata.name", "another Deployment", "only "+name)
		}
	}
	return found
}

// whole complains about the template as a whole.
func (c *confinement) whole(found, want string) {
	c.problems = append(c.problems, Problem{File: c.template.file, Found: found, Want: want})
}

// named finds a document by kind and name; an empty name stands for any.
func named(docs []document, kind, name string) *document {
	for i, d := range docs {
		if d.kind == kind && (name == "" || d.name == name) {
			return &docs[i]
		}
	}
	return nil
}

// selects holds a selector of the current document against the labels of the
// version's pods: it has to lead to them, and to no other version's.
func (c *confinement) selects(labels *yaml.Node, keys ...string) {
	if !c.leads(labels, keys...) {
		c.add(sub(c.current.node, keys...), strings.Join(keys, "."), "labels that every version has", "one with ${"+varVersion+"}, so that the versions are told apart")
	}
}

// leads complains where a selector does not lead to the version's pods, and tells whether it has the
// version in it.
func (c *confinement) leads(labels *yaml.Node, keys ...string) (versioned bool) {
	selector := sub(c.current.node, keys...)
	path := strings.Join(keys, ".")
	if selector == nil || selector.Kind != yaml.MappingNode || len(selector.Content) == 0 {
		c.add(selector, path, "nothing", "labels of the version's pods")
		return true
	}
	for i := 0; i+1 < len(selector.Content); i += 2 {
		key, value := selector.Content[i], selector.Content[i+1]
		if got := text(labels, key.Value); got != value.Value {
			c.add(value, path+"."+key.Value, describe(value), strconv.Quote(got)+", the label of the version's pods")
		}
		versioned = versioned || strings.Contains(value.Value, strconv.Itoa(probe))
	}
	return versioned
}

// selectsAll refuses a shared Service that leads to one version: its users would all go to the new
// pods the moment these are applied, ready or not.
func (c *confinement) selectsAll() {
	selector := sub(c.current.node, "spec", "selector")
	if selector == nil || selector.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(selector.Content); i += 2 {
		key, value := selector.Content[i], selector.Content[i+1]
		if strings.Contains(key.Value+" "+value.Value, strconv.Itoa(probe)) {
			c.add(value, "spec.selector."+key.Value, describe(value), "a label that every version has: this Service serves them all, and users must not jump to pods that are not ready")
		}
	}
}

// budgets keeps a PodDisruptionBudget to the service's pods: an empty selector is every pod of the
// namespace, whose nodes could not be drained any more. Without a selector it is none.
func (c *confinement) budgets(docs []document, pods *yaml.Node) {
	for i, d := range docs {
		if d.kind == "PodDisruptionBudget" && sub(d.node, "spec", "selector") != nil {
			c.current = docs[i]
			c.leads(pods, "spec", "selector", "matchLabels")
		}
	}
}

// usesImage tells whether a masked Deployment runs the new image.
func usesImage(n *yaml.Node) bool {
	containers := sub(n, "spec", "template", "spec", "containers")
	return containers != nil && slices.ContainsFunc(containers.Content, func(c *yaml.Node) bool {
		return masked.MatchString(text(c, "image")) && strings.Contains(unmask(text(c, "image")), "${"+varImage+"}")
	})
}
