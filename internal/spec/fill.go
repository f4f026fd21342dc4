package spec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values are what a template's variables stand for.
type Values struct {
	Namespace string
	Service   string
	Image     string
	// Version is CANARY_VERSION, 1 or more.
	Version int
	// Routes is CANARY_ROUTES. It is used for a route that does not exist yet; the
	// weights of one that does are the router's to write.
	Routes []Route
}

// A Route is one back end with its weight in percent.
type Route struct {
	// Name is a version's name, such as yelb-appserver-3.
	Name   string
	Weight int
}

// version is the name of the version that the values describe.
func (v Values) version() string { return v.Service + "-" + strconv.Itoa(v.Version) }

// A filling puts values into one masked document. The document stays as it is.
type filling struct {
	source
	values Values
	// port is the back end's port in a route of the Gateway API, 0 where the
	// template does not tell which.
	port     int
	problems Errors
}

// fill copies n with its placeholders filled in. key is the field that n is the
// value of, and at the way to it.
func (f *filling) fill(n *yaml.Node, key string, at place) *yaml.Node {
	out := *n
	switch n.Kind {
	case yaml.ScalarNode:
		f.scalar(&out, key, at)
		return &out
	case yaml.SequenceNode:
		if len(n.Content) == 1 && onlyPlaceholder(n.Content[0].Value, varRoutes) {
			out.Content = f.routes(n.Content[0], key, at)
			return &out
		}
		out.Content = make([]*yaml.Node, len(n.Content))
		for i, item := range n.Content {
			out.Content[i] = f.fill(item, key, at.with(strconv.Itoa(i)))
		}
		return &out
	}
	out.Content = make([]*yaml.Node, len(n.Content))
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := f.fill(n.Content[i], "", at)
		if masked.MatchString(n.Content[i].Value) {
			name.Tag = "!!str"
		}
		value := f.fill(n.Content[i+1], name.Value, at.with(name.Value))
		if textOnly[key] && n.Content[i+1].Kind == yaml.ScalarNode && value.Tag == "!!int" && masked.MatchString(n.Content[i+1].Value) {
			value.Tag = "!!str"
		}
		out.Content[i], out.Content[i+1] = name, value
	}
	return &out
}

// textOnly are fields of Kubernetes whose values are text even where they look
// like numbers.
var textOnly = map[string]bool{"labels": true, "annotations": true, "matchLabels": true, "selector": true, "nodeSelector": true, "data": true}

// imagePlaces are those where the image may stand: values that no rule lets through for what they say, and that nothing refers to.
// A template is checked with an image of its own and filled in with the real one, so that in a name, a key, a label or a selector
// the image would say afterwards what the check had refused. A key counts as the place that it stands in.
var imagePlaces = regexp.MustCompile(`^(spec\.template\.)?metadata\.annotations[.[].|^data[.[].` +
	`|^spec\.template\.spec\.((initC|c)ontainers[.[][^.]+\.(image|env[.[][^.]+\.value|(args|command)\[\d+\])|volumes\[\d+\]\.image\.reference)$`)

// scalar fills the placeholders of one scalar. A version that stands alone and
// without quotes is a number, as it was when the template was filled in as
// text; everything else is text.
func (f *filling) scalar(n *yaml.Node, key string, at place) {
	if n.Kind != yaml.ScalarNode {
		return
	}
	number := onlyPlaceholder(n.Value, varVersion) && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 &&
		key != "value" && key != "name" && key != "version"
	found, versions := false, 0
	n.Value = masked.ReplaceAllStringFunc(n.Value, func(m string) string {
		if found = true; len(f.problems) > maxProblems {
			return m
		}
		name := masked.FindStringSubmatch(m)[1]
		switch name {
		case varNamespace:
			return f.values.Namespace
		case varService:
			return f.values.Service
		case varImage:
			if !imagePlaces.MatchString(at.String()) {
				f.add(n, at, "${"+varImage+"}", "it in a container's image, env, args or command, in an annotation's value, or in a ConfigMap's data: the rest is"+
					" checked before the image is known")
				return m
			}
			return f.values.Image
		case varVersion:
			versions++
			return strconv.Itoa(f.values.Version)
		case varRoutes:
			f.add(n, at, "${"+varRoutes+"}", "it as the only entry of a list: [${"+varRoutes+"}]")
		default:
			f.add(n, at, "${"+name+"}", f.known(name))
		}
		return m
	})
	n.Value = dropEscape(n.Value)
	if f.values.Version == probe && strings.Count(n.Value, strconv.Itoa(probe)) > versions {
		// It would pass for the version in the check, and stay when another version is filled in.
		f.add(n, at, "the number that stands for the version in a check", "${"+varVersion+"}, or another number")
	}
	if found {
		if n.Tag = "!!str"; number {
			n.Tag = "!!int"
		}
	}
}

// dropEscape takes the first $ of $${NAME} away.
func dropEscape(s string) string {
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if r != maskEscape {
			out = append(out, r)
		}
	}
	return string(out)
}

func (f *filling) known(name string) string {
	if near := nearest(name, variables); near != "" {
		return "a known variable: did you mean ${" + near + "}?"
	}
	return "a known variable, or $${" + name + "} for the text itself"
}

func (f *filling) add(n *yaml.Node, at place, found, want string) {
	f.problems = append(f.problems, f.at(n, at.String(), found, want))
}

// routes makes the entries that CANARY_ROUTES stands for, in the shape that the
// field around it asks for.
func (f *filling) routes(n *yaml.Node, key string, at place) []*yaml.Node {
	var entries []*yaml.Node
	for _, r := range f.values.Routes {
		var entry map[string]any
		switch key {
		case "weightedTargets":
			entry = map[string]any{"virtualNodeRef": map[string]any{"name": r.Name}, "weight": r.Weight}
		case "backendRefs":
			if f.port == 0 {
				f.add(n, at, "${"+varRoutes+"}", fmt.Sprintf("a Service %s-${%s} in the template with one port, or one called http", f.values.Service, varVersion))
				return nil
			}
			entry = map[string]any{"name": r.Name, "port": f.port, "weight": r.Weight}
		default:
			f.add(n, at, "${"+varRoutes+"}", "it in weightedTargets or backendRefs")
			return nil
		}
		var node yaml.Node
		if err := node.Encode(entry); err != nil {
			f.add(n, at, err.Error(), "a route")
			return nil
		}
		move(&node, n)
		entries = append(entries, &node)
	}
	return entries
}

// move gives a made node the position of the one that it stands for.
func move(n, from *yaml.Node) {
	n.Line, n.Column = from.Line, from.Column
	for _, child := range n.Content {
		move(child, from)
	}
}
