package spec

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// expand replaces aliases and merge keys by what they stand for. Documents of
// more than maxNodes values then, or are nested deeper than maxDepth, are refused:
// a few lines of aliases to aliases can ask for more memory than there is.
func (s source) expand() error {
	x := expansion{source: s, left: maxNodes}
	for i, doc := range s.docs {
		n, p := x.node(doc, 0)
		if p != nil {
			return Errors{*p}
		}
		s.docs[i] = n
	}
	return nil
}

type expansion struct {
	source
	left int
	// aliases tells whether any was replaced.
	aliases bool
}

func (x *expansion) node(n *yaml.Node, depth int) (*yaml.Node, *Problem) {
	for n.Kind == yaml.AliasNode {
		n, x.aliases = n.Alias, true
	}
	if x.left--; x.left < 0 {
		found := fmt.Sprintf("more than %d values", maxNodes)
		if x.aliases {
			found += " with what the aliases stand for"
		}
		p := x.at(n, "", found, "no more")
		return nil, &p
	}
	if depth > maxDepth {
		p := x.at(n, "", "nesting too deep", fmt.Sprintf("at most %d levels", maxDepth))
		return nil, &p
	}
	out := *n
	out.Anchor, out.Alias = "", nil
	out.HeadComment, out.LineComment, out.FootComment = "", "", ""
	out.Content = make([]*yaml.Node, 0, len(n.Content))
	var merged []*yaml.Node
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && isMerge(n.Content[i-1]) {
			continue
		}
		c, p := x.node(child, depth+1)
		if p != nil {
			return nil, p
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 && isMerge(child) {
			from, p := x.merge(n.Content[i+1], depth+1)
			if p != nil {
				return nil, p
			}
			merged = append(merged, from...)
			continue
		}
		out.Content = append(out.Content, c)
	}
	out.Content = addMissing(out.Content, merged)
	return &out, nil
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.Tag == "!!merge" }

// merge gives the keys and values of a merge key's value, a mapping or a list of
// mappings of which the first has the say.
func (x *expansion) merge(n *yaml.Node, depth int) ([]*yaml.Node, *Problem) {
	v, p := x.node(n, depth)
	if p != nil {
		return nil, p
	}
	if v.Kind == yaml.MappingNode {
		return v.Content, nil
	}
	var all []*yaml.Node
	for _, item := range v.Content {
		if item.Kind != yaml.MappingNode {
			v = item
			break
		}
		all = addMissing(all, item.Content)
	}
	if v.Kind != yaml.SequenceNode {
		p := x.at(v, "<<", describe(v), "a mapping")
		return nil, &p
	}
	return all, nil
}

// addMissing adds those pairs whose key content has not.
func addMissing(content, pairs []*yaml.Node) []*yaml.Node {
	if len(pairs) == 0 {
		return content
	}
	have := make(map[string]bool, len(content))
	for i := 0; i < len(content); i += 2 {
		have[content[i].Value] = true
	}
	for i := 0; i < len(pairs); i += 2 {
		if !have[pairs[i].Value] {
			have[pairs[i].Value] = true
			content = append(content, pairs[i], pairs[i+1])
		}
	}
	return content
}
