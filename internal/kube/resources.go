package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// The kinds that are read and written by name. There is no discovery: it would
// cost a request for every group, and a template may hold these kinds only.
var (
	Deployments     = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	Services        = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	Pods            = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	ConfigMaps      = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	ServiceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	Autoscalers     = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	Budgets         = schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}
	EndpointSlices  = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	Leases          = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
	Events          = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
	HTTPRoutes      = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	VirtualNodes    = schema.GroupVersionResource{Group: "appmesh.k8s.aws", Version: "v1beta2", Resource: "virtualnodes"}
	VirtualRouters  = schema.GroupVersionResource{Group: "appmesh.k8s.aws", Version: "v1beta2", Resource: "virtualrouters"}
	VirtualServices = schema.GroupVersionResource{Group: "appmesh.k8s.aws", Version: "v1beta2", Resource: "virtualservices"}
)

// applicable are the kinds that a template may hold.
var applicable = map[string]schema.GroupVersionResource{
	"ConfigMap":               ConfigMaps,
	"ServiceAccount":          ServiceAccounts,
	"Service":                 Services,
	"Deployment":              Deployments,
	"HorizontalPodAutoscaler": Autoscalers,
	"PodDisruptionBudget":     Budgets,
	"HTTPRoute":               HTTPRoutes,
	"VirtualNode":             VirtualNodes,
	"VirtualRouter":           VirtualRouters,
	"VirtualService":          VirtualServices,
}

// order is the order of writing: what pods need, the back end, the pods, what
// watches over them, and the way to them last.
var order = []string{
	"ServiceAccount", "ConfigMap", "Service", "VirtualNode", "Deployment",
	"PodDisruptionBudget", "HorizontalPodAutoscaler", "VirtualRouter", "VirtualService", "HTTPRoute",
}

// Kinds are the kinds of objects that Apply takes, with their apiVersions.
func Kinds() map[string]string {
	out := make(map[string]string, len(applicable))
	for kind, r := range applicable {
		out[kind] = r.GroupVersion().String()
	}
	return out
}

// resourceOf gives the resource of an object's kind.
func resourceOf(o workload.Object) (schema.GroupVersionResource, error) {
	r, ok := applicable[o.Kind()]
	if !ok {
		return r, fmt.Errorf("%w: %v: kind %q; one of %s is expected", fault.Invalid, o, o.Kind(),
			strings.Join(slices.Sorted(maps.Keys(applicable)), ", "))
	}
	if want := r.GroupVersion().String(); o.APIVersion() != want {
		return r, fmt.Errorf("%w: %v: apiVersion %q; %q is expected", fault.Invalid, o, o.APIVersion(), want)
	}
	return r, nil
}
