package spec

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Judgeable tells why a second rollout of this service could not be judged, or
// nil. A first deployment needs no judge, and neither does strategy replace. The
// error is of the kind fault.Refused and names the ways out.
func (s Spec) Judgeable(t Template) error {
	if s.Strategy == Replace {
		return nil
	}
	var why []string
	for _, find := range []func(Template) string{s.pastAnyRoute, s.noRequests, s.pastTheRouter, s.pastTheRoute} {
		if reason := find(t); reason != "" {
			why = append(why, reason)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s cannot be rolled out step by step: %s", fault.Refused, s.Service, strings.Join(why, "; "))
}

// pastAnyRoute finds Services by which users reach the pods from outside, where no weight moves them.
func (s Spec) pastAnyRoute(t Template) string {
	version := s.Service + "-" + strconv.Itoa(probe)
	deployment := named(t.objects, "Deployment", version)
	if deployment == nil {
		return ""
	}
	pods := sub(deployment.node, "spec", "template", "metadata", "labels")
	for _, o := range t.objects {
		kind := text(o.node, "spec", "type")
		if o.kind != "Service" || !leadsToPods(sub(o.node, "spec", "selector"), pods) {
			continue
		}
		if o.name != s.Service && kind == "LoadBalancer" {
			return fmt.Sprintf("Service %s is of type %s, so that users enter each version by an address of its own, past the route"+
				" (ways out: one Gateway or one Service in front of the route for all versions, or \"strategy\": \"replace\")",
				strings.ReplaceAll(o.name, version, s.Service+"-<version>"), kind)
		}
		if o.name == s.Service && (kind == "LoadBalancer" || kind == "NodePort") {
			return fmt.Sprintf("Service %s is of type %s and selects the pods of every version, so that its users reach a new one past the route"+
				" (ways out: a Gateway in front of the route, with a Service of type ClusterIP, or \"strategy\": \"replace\")", o.name, kind)
		}
	}
	return ""
}

// leadsToPods tells whether a Service's selector matches pods of these labels. One without a
// selector leads to none.
func leadsToPods(selector, labels *yaml.Node) bool {
	if selector == nil || selector.Kind != yaml.MappingNode || len(selector.Content) == 0 {
		return false
	}
	for i := 0; i+1 < len(selector.Content); i += 2 {
		if label := sub(labels, selector.Content[i].Value); label == nil || label.Value != selector.Content[i+1].Value {
			return false
		}
	}
	return true
}

// noRequests finds routes that carry no HTTP, of which nobody counts requests.
func (s Spec) noRequests(t Template) string {
	o := named(t.objects, "VirtualRouter", "")
	if o == nil || s.ownQueryDecides() {
		return ""
	}
	routes := sub(o.node, "spec", "routes")
	if routes == nil {
		return ""
	}
	for _, r := range routes.Content {
		for _, protocol := range []string{"httpRoute", "http2Route", "grpcRoute"} {
			if sub(r, protocol) != nil {
				return ""
			}
		}
	}
	return fmt.Sprintf("VirtualRouter %s carries TCP only, of which no requests are counted"+
		" (ways out: a query in metrics.query with a limit in analysis.limits that can judge it, or \"strategy\": \"replace\")", o.name)
}

// ownQueryDecides tells whether a limit stands on a query of the user's.
func (s Spec) ownQueryDecides() bool {
	for _, l := range s.Analysis.Limits {
		if _, own := s.Metrics.Query[l.Metric]; own && !l.Advisory {
			return true
		}
	}
	return false
}

// pastTheRouter finds a VirtualService that leads anywhere but to the router.
func (s Spec) pastTheRouter(t Template) string {
	router := named(t.objects, "VirtualRouter", "")
	service := named(t.objects, "VirtualService", "")
	if router == nil || service == nil {
		return ""
	}
	provider := sub(service.node, "spec", "provider")
	if text(provider, "virtualRouter", "virtualRouterRef", "name") == router.name {
		return ""
	}
	leads := "nowhere"
	if node := text(provider, "virtualNode", "virtualNodeRef", "name"); node != "" {
		leads = "to VirtualNode " + brief(strings.ReplaceAll(node, strconv.Itoa(probe), "<version>"))
	} else if other := text(provider, "virtualRouter", "virtualRouterRef", "name"); other != "" {
		leads = "to VirtualRouter " + brief(other)
	}
	return fmt.Sprintf("VirtualService %s leads %s and not to VirtualRouter %s, so that its traffic does not pass the weights"+
		" (ways out: name the router in spec.provider, or \"strategy\": \"replace\")", service.name, leads, router.name)
}

// pastTheRoute finds an HTTPRoute that does not lead to the versions.
func (s Spec) pastTheRoute(t Template) string {
	o := named(t.objects, "HTTPRoute", "")
	if o == nil || s.Router.Kind == "app-mesh" {
		return ""
	}
	if leadsTo(sub(o.node, "spec", "rules"), s.Service+"-"+strconv.Itoa(probe)) {
		return ""
	}
	return fmt.Sprintf("HTTPRoute %s has no rule whose backendRefs name Service %s-<version>"+
		" (ways out: backendRefs: [${%s}] in the rules to shift, or \"strategy\": \"replace\")", o.name, s.Service, varRoutes)
}

// leadsTo tells whether a rule has the name among its backendRefs.
func leadsTo(rules *yaml.Node, name string) bool {
	if rules == nil || rules.Kind != yaml.SequenceNode {
		return false
	}
	for _, rule := range rules.Content {
		refs := sub(rule, "backendRefs")
		if refs == nil {
			continue
		}
		for _, ref := range refs.Content {
			if text(ref, "name") == name {
				return true
			}
		}
	}
	return false
}
