package gatewayapi

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// unmatch takes the rules that Match made for the service out. They stand behind those of the team, so that
// taking them out moves none.
func unmatch(o *unstructured.Unstructured, p *kube.Patch, t traffic.Target, s traffic.Split) {
	list, err := rulesOf(o)
	if err != nil {
		return
	}
	for i := len(list) - 1; i >= 0; i-- {
		if isMatchOf(list[i], t.Service, s) {
			p.Remove("spec", "rules", strconv.Itoa(i))
		}
	}
}

// Match writes a rule of ours for every rule that names the stable or the canary back end: its
// matches, each narrowed by the conditions, lead to the canary alone. A rule with more
// conditions wins over one with fewer by the precedence of the Gateway API, so their
// place is of no matter, and they stand last.
func (r *Router) Match(ctx context.Context, t traffic.Target, s traffic.Split, matches []traffic.Match, f rollout.Fence) error {
	conditions, err := headers(matches)
	if err != nil {
		return fmt.Errorf("match on HTTPRoute %s/%s: %w", t.Namespace, t.Route, err)
	}
	return nameless(r.Write(ctx, t, f, func(o *unstructured.Unstructured, p *kube.Patch) error {
		list, err := rulesOf(o)
		if err != nil {
			return err
		}
		made := narrowed(o, list, t.Service, s, conditions)
		if len(made) == 0 {
			return fmt.Errorf("%w: no rule names %q or %q", fault.Invalid, s.Stable, s.Canary)
		}
		unmatch(o, p, t, s)
		if len(conditions) == 0 {
			return nil
		}
		for _, rule := range made {
			p.Set(rule, "spec", "rules", "-")
		}
		return nil
	}))
}

// unknownName is how a server says that its HTTPRoute has no names of rules. Its answer holds the whole route beside that.
var unknownName = regexp.MustCompile(`unknown field "spec\.rules\[\d+\]\.name"`)

// nameless says what an error of a write means that a server gives whose rules have no names. Rules of ours could not be told
// from the team's there, nor be taken out again.
func nameless(err error) error {
	if err == nil {
		return nil
	}
	if said := unknownName.FindString(err.Error()); said != "" {
		return fmt.Errorf("match: %w: the cluster's HTTPRoute has no names of rules, by which match finds its own again (%s); "+
			"Gateway API 1.4 or newer is expected, or the experimental channel of 1.2 or 1.3", fault.Invalid, said)
	}
	return err
}

// narrowed builds a rule from each one that names one of the two back ends.
func narrowed(o *unstructured.Unstructured, list []map[string]any, service string, s traffic.Split, conditions [][]any) (made []map[string]any) {
	for _, m := range list {
		if isMatch(m) {
			continue
		}
		refs, _ := m["backendRefs"].([]any)
		i := slices.IndexFunc(refs, func(v any) bool {
			ref, _ := v.(map[string]any)
			name := backend(ref, o.GetNamespace()).Name
			return name != "" && (name == s.Stable || name == s.Canary)
		})
		if i < 0 {
			continue
		}
		ref, _ := refs[i].(map[string]any)
		rule := maps.Clone(m)
		rule["name"] = matchName(service, len(made)+1) // a name stands once in a route
		to := like(ref, s.Canary)
		to["weight"] = int64(1)
		rule["backendRefs"] = []any{to}
		rule["matches"] = cross(m["matches"], conditions)
		made = append(made, rule)
	}
	return made
}

// cross narrows each match of a rule by each set of conditions.
func cross(matches any, conditions [][]any) []any {
	list, _ := matches.([]any)
	if len(list) == 0 {
		list = []any{map[string]any{}}
	}
	var out []any
	for _, v := range list {
		for _, c := range conditions {
			m, _ := v.(map[string]any)
			m = maps.Clone(m)
			have, _ := m["headers"].([]any)
			m["headers"] = slices.Concat(have, c)
			out = append(out, m)
		}
	}
	return out
}

// headers gives the conditions as the header matches of an HTTPRoute. The Gateway
// API has no cookies; one is looked for in the header that carries them all.
func headers(matches []traffic.Match) ([][]any, error) {
	var out [][]any
	for i, m := range matches {
		var list []any
		if err := m.Validate(); err != nil {
			return nil, fmt.Errorf("match[%d]: %w", i, err)
		}
		for _, h := range m.Headers {
			kind, value := "Exact", h.Value
			if h.Regex != "" {
				kind, value = "RegularExpression", h.Regex
			}
			list = append(list, map[string]any{"type": kind, "name": h.Name, "value": value})
		}
		if len(m.Cookies) > 1 {
			return nil, fmt.Errorf("match[%d]: %w: %d cookies; one is expected, because an HTTPRoute names a header once", i, fault.Invalid, len(m.Cookies))
		}
		for _, c := range m.Cookies {
			value := c.Regex
			if value == "" {
				value = regexp.QuoteMeta(c.Value)
			}
			list = append(list, map[string]any{"type": "RegularExpression", "name": "Cookie",
				"value": `^(.*;\s*)?` + regexp.QuoteMeta(c.Name) + "=(" + value + `)(;.*)?$`})
		}
		out = append(out, list)
	}
	return out, nil
}
