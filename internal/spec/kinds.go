package spec

import "slices"

// A kindRule says what a kind may be in a template.
type kindRule struct {
	// versions of the API that are taken.
	versions []string
	// order in which objects are applied.
	order int
	// shared allows the name <service>: the object serves every version.
	shared bool
	// versioned allows names with the version: the object comes and goes with it.
	versioned bool
}

// allowed are the kinds of a template: what one service's versions need in their
// own namespace. Whatever grants rights (Role, RoleBinding), is seen in the whole
// cluster, carries a secret's content through an execution's history, admits
// code (webhooks) or starts other workloads is left out, because everybody who
// may commit to the service's repository could use it.
var allowed = map[string]kindRule{
	"ServiceAccount":          {[]string{"v1"}, 0, true, true},
	"ConfigMap":               {[]string{"v1"}, 1, false, true},
	"NetworkPolicy":           {[]string{"networking.k8s.io/v1"}, 2, true, true},
	"PodDisruptionBudget":     {[]string{"policy/v1"}, 3, true, true},
	"Service":                 {[]string{"v1"}, 4, true, true},
	"VirtualNode":             {[]string{"appmesh.k8s.aws/v1beta2"}, 5, false, true},
	"Deployment":              {[]string{"apps/v1"}, 6, false, true},
	"HorizontalPodAutoscaler": {[]string{"autoscaling/v2", "autoscaling/v1"}, 7, false, true},
	"VirtualRouter":           {[]string{"appmesh.k8s.aws/v1beta2"}, 8, true, false},
	"VirtualService":          {[]string{"appmesh.k8s.aws/v1beta2"}, 9, true, false},
	"HTTPRoute":               {[]string{"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"}, 10, true, false},
}

// reasons say why a kind that people try is not among them.
var reasons = map[string]string{
	"Secret":                       "a Secret's content would stay in the execution's history; create it apart and refer to it by name",
	"Role":                         "rights are not given by a service's template",
	"RoleBinding":                  "rights are not given by a service's template",
	"ClusterRole":                  "rights are not given by a service's template, and it is seen in the whole cluster",
	"ClusterRoleBinding":           "rights are not given by a service's template, and it is seen in the whole cluster",
	"Namespace":                    "it is not inside the service's namespace",
	"CustomResourceDefinition":     "it is seen in the whole cluster",
	"PersistentVolume":             "it is seen in the whole cluster",
	"Gateway":                      "it belongs to those who run the cluster; an HTTPRoute names it in parentRefs",
	"Mesh":                         "it belongs to those who run the cluster",
	"DaemonSet":                    "a version is a Deployment",
	"StatefulSet":                  "two versions cannot share its volumes; a version is a Deployment",
	"Job":                          "a version is a Deployment",
	"CronJob":                      "a version is a Deployment",
	"Pod":                          "a version is a Deployment",
	"List":                         "write its items as documents of their own",
	"Ingress":                      "no router moves its weights; use an HTTPRoute",
	"MutatingWebhookConfiguration": "it is seen in the whole cluster",
}

// takes tells whether the rule accepts an apiVersion.
func (r kindRule) takes(apiVersion string) bool { return slices.Contains(r.versions, apiVersion) }
