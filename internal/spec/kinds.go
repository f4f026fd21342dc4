package spec

// A kindRule says what a kind may be in a template.
type kindRule struct {
	// version is the API's.
	version string
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
// may commit to the service's repository could use it. Package kube applies
// exactly these.
var allowed = map[string]kindRule{
	"ServiceAccount":          {"v1", 0, true, true},
	"ConfigMap":               {"v1", 1, false, true},
	"PodDisruptionBudget":     {"policy/v1", 3, true, true},
	"Service":                 {"v1", 4, true, true},
	"VirtualNode":             {"appmesh.k8s.aws/v1beta2", 5, false, true},
	"Deployment":              {"apps/v1", 6, false, true},
	"HorizontalPodAutoscaler": {"autoscaling/v2", 7, false, true},
	"VirtualRouter":           {"appmesh.k8s.aws/v1beta2", 8, true, false},
	"VirtualService":          {"appmesh.k8s.aws/v1beta2", 9, true, false},
	"HTTPRoute":               {"gateway.networking.k8s.io/v1", 10, true, false},
}

// Kinds are the kinds of objects that a version may consist of, with their apiVersions.
func Kinds() map[string]string {
	out := make(map[string]string, len(allowed))
	for kind, rule := range allowed {
		out[kind] = rule.version
	}
	return out
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
	"NetworkPolicy":                "who may talk to whom is up to those who run the namespace",
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
