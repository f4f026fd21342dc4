package kube

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Rule is one rule of a Role.
type Rule struct {
	Groups    []string
	Resources []string
	// Names, where set, are the only objects that the rule is about.
	Names []string
	Verbs []string
}

// Needs is what a service's rollouts touch.
type Needs struct {
	Service workload.Service
	// Kinds are the kinds of the objects in its template.
	Kinds []string
	// RouteKind and Route name the object that holds the split.
	RouteKind, Route string
}

// Rules are the rights that the engine needs for one service, and no others: the
// verbs are those that this package sends. "list" on what is otherwise watched is
// for API servers that cannot send the present state in a watch, and for a look at
// the endpoints of a Service that no Deployment is behind.
func Rules(n Needs) []Rule {
	rules := []Rule{
		rule(Leases, nil, "create"),
		rule(Leases, []string{LeaseName(n.Service.Name)}, "get", "patch"),
		rule(Leases, []string{LeaseName("")}, "get"), // a freeze of the namespace is for people to write
		rule(Events, nil, "create"),
		rule(Pods, nil, "list", "watch"),
		rule(EndpointSlices, nil, "list", "watch"),
		rule(Deployments, nil, "get", "list", "watch", "create", "patch", "deletecollection"),
		rule(Services, nil, "get", "create", "patch", "deletecollection"),
	}
	for _, kind := range order {
		if !slices.Contains(n.Kinds, kind) || kind == "Deployment" || kind == "Service" {
			continue
		}
		verbs := []string{"create"}
		if kind != n.RouteKind {
			verbs = append(verbs, "get")
		}
		if slices.Contains(removable, kind) {
			verbs = append(verbs, "patch", "deletecollection")
		}
		rules = append(rules, rule(applicable[kind], nil, verbs...))
	}
	if r, ok := applicable[n.RouteKind]; ok {
		rules = append(rules, rule(r, []string{n.Route}, "get", "list", "watch", "patch"))
	}
	if n.RouteKind == "VirtualRouter" && !slices.Contains(n.Kinds, "VirtualNode") {
		rules = append(rules, rule(VirtualNodes, nil, "get"))
	}
	return rules
}

func rule(r schema.GroupVersionResource, names []string, verbs ...string) Rule {
	return Rule{Groups: []string{r.Group}, Resources: []string{r.Resource}, Names: names, Verbs: verbs}
}

// Role gives the rules as a Role in the service's namespace and the RoleBinding
// that gives it to a group. The group is the one of the EKS access entry, never one
// of Kubernetes' own.
func Role(n Needs, group string) []workload.Object {
	name := LeaseName(n.Service.Name)
	meta := func() map[string]any {
		return map[string]any{"name": name, "namespace": n.Service.Namespace,
			"labels": map[string]any{workload.LabelManagedBy: workload.Manager}}
	}
	var rules []any
	for _, r := range Rules(n) {
		m := map[string]any{"apiGroups": list(r.Groups), "resources": list(r.Resources), "verbs": list(r.Verbs)}
		if len(r.Names) > 0 {
			m["resourceNames"] = list(r.Names)
		}
		rules = append(rules, m)
	}
	const api = "rbac.authorization.k8s.io"
	return []workload.Object{
		{"apiVersion": api + "/v1", "kind": "Role", "metadata": meta(), "rules": rules},
		{"apiVersion": api + "/v1", "kind": "RoleBinding", "metadata": meta(),
			"roleRef":  map[string]any{"apiGroup": api, "kind": "Role", "name": name},
			"subjects": []any{map[string]any{"apiGroup": api, "kind": "Group", "name": group}}},
	}
}

func list(in []string) []any {
	out := make([]any, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}
