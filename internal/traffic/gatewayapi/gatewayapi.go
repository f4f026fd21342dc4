// Package gatewayapi splits traffic by the weights of an HTTPRoute of the Gateway
// API (gateway.networking.k8s.io/v1), whether its parent is a Gateway or, for
// traffic between services, a Service.
package gatewayapi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/object"
)

// A Router moves the weights of HTTPRoutes.
type Router struct{ object.Route }

// New gives a router of the client's cluster.
func New(c *kube.Client) *Router {
	return &Router{object.Route{Client: c, Resource: kube.HTTPRoutes, Kind: "HTTPRoute", Rules: rules, Why: why, Clean: unmatch}}
}

// matchRule begins the names of the rules that Match writes. Behind a dot follows the service, and behind another one the
// number of each rule but the first: a service's name has no dot, so that none is taken for another's. Older engines
// wrote no service, and the number behind a dash.
const matchRule = "stepcanary-match"

// matchName is the name of a service's n-th rule.
func matchName(service string, n int) string {
	name := matchRule + "." + service
	if n > 1 {
		name += "." + strconv.Itoa(n)
	}
	return name
}

// isMatch tells whether Match wrote the rule, for whichever service.
func isMatch(rule map[string]any) bool {
	name, _ := rule["name"].(string)
	return name == matchRule || strings.HasPrefix(name, matchRule+".") || strings.HasPrefix(name, matchRule+"-")
}

// isMatchOf tells whether Match wrote the rule for that service. One of an older engine leads to one of its two back ends.
func isMatchOf(rule map[string]any, service string, s traffic.Split) bool {
	name, _ := rule["name"].(string)
	if name == matchName(service, 1) || strings.HasPrefix(name, matchName(service, 1)+".") {
		return true
	}
	refs, _ := rule["backendRefs"].([]any)
	return isMatch(rule) && !strings.HasPrefix(name, matchRule+".") && slices.ContainsFunc(refs, func(v any) bool {
		ref, _ := v.(map[string]any)
		return ref["name"] == s.Stable || ref["name"] == s.Canary
	})
}

// rulesOf gives the rules as they stand in the object.
func rulesOf(o *unstructured.Unstructured) ([]map[string]any, error) {
	list, _, err := unstructured.NestedSlice(o.Object, "spec", "rules")
	if err != nil {
		return nil, fmt.Errorf("spec.rules: %w: %w", fault.Invalid, err)
	}
	out := make([]map[string]any, len(list))
	for i, v := range list {
		out[i], _ = v.(map[string]any)
	}
	return out, nil
}

// rules reads the back ends of each rule; those of the rules that Match makes are
// not moved.
func rules(o *unstructured.Unstructured) ([]object.Rule, error) {
	list, err := rulesOf(o)
	if err != nil {
		return nil, err
	}
	var out []object.Rule
	for i, m := range list {
		if isMatch(m) {
			continue
		}
		r := object.Rule{
			Path: fmt.Sprintf("rules[%d]", i),
			At:   []string{"spec", "rules", strconv.Itoa(i), "backendRefs"},
			Like: like,
		}
		r.Refs, _ = m["backendRefs"].([]any)
		for _, v := range r.Refs {
			ref, _ := v.(map[string]any)
			r.Backends = append(r.Backends, backend(ref, o.GetNamespace()))
		}
		out = append(out, r)
	}
	return out, nil
}

// backend reads a backendRef; its group, kind and weight have defaults.
func backend(ref map[string]any, namespace string) object.Backend {
	b := object.Backend{Weight: 1}
	if w, ok := ref["weight"].(int64); ok {
		b.Weight = w
	}
	group, _ := ref["group"].(string)
	kind, hasKind := ref["kind"].(string)
	in, hasNamespace := ref["namespace"].(string)
	if group == "" && (!hasKind || kind == "Service") && (!hasNamespace || in == namespace) {
		b.Name, _ = ref["name"].(string)
	}
	return b
}

// like is a reference to another back end of the same kind and port. Filters of a
// single back end are about that one, and are not copied.
func like(ref map[string]any, name string) map[string]any {
	out := map[string]any{"name": name}
	for _, key := range []string{"group", "kind", "namespace", "port"} {
		if v, ok := ref[key]; ok {
			out[key] = v
		}
	}
	return out
}
