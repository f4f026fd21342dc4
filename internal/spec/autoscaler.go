package spec

import (
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/stepcanary/stepcanary/internal/workload"
)

// An Autoscaler is a HorizontalPodAutoscaler for each version.
type Autoscaler struct {
	Min int `json:"min"`
	Max int `json:"max"`
	// CPU and Memory are shares of what the containers request, in percent; 0 is not looked at.
	CPU    int `json:"cpu,omitempty"`
	Memory int `json:"memory,omitempty"`
}

// IsZero tells that deploy.json has none.
func (a Autoscaler) IsZero() bool { return a == Autoscaler{} }

// Within is the number of pods that the autoscaler would allow; n itself where there is none, and
// where n is not known.
func (a Autoscaler) Within(n int) int {
	if a.IsZero() || n <= 0 {
		return n
	}
	return min(max(n, a.Min), a.Max)
}

func (c *checks) autoscaler() {
	a := c.spec.Autoscaler
	if a.IsZero() {
		return
	}
	if a.Max < a.Min {
		c.add("at least min, "+strconv.Itoa(a.Min), "autoscaler", "max")
	}
	if a.CPU == 0 && a.Memory == 0 {
		c.add("cpu, memory or both", "autoscaler", "cpu")
	}
}

// object is the autoscaler of one version.
func (a Autoscaler) object(v Values) workload.Object {
	var metrics []any
	for _, m := range []struct {
		name string
		use  int
	}{{"cpu", a.CPU}, {"memory", a.Memory}} {
		if m.use > 0 {
			metrics = append(metrics, map[string]any{"type": "Resource", "resource": map[string]any{
				"name": m.name, "target": map[string]any{"type": "Utilization", "averageUtilization": int64(m.use)},
			}})
		}
	}
	rule := allowed[autoscalerKind]
	return workload.Object{
		"apiVersion": rule.version, "kind": autoscalerKind,
		"metadata": map[string]any{"name": v.version(), "namespace": v.Namespace},
		"spec": map[string]any{
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": v.version()},
			"minReplicas":    int64(a.Min), "maxReplicas": int64(a.Max), "metrics": metrics,
		},
	}
}

const autoscalerKind = "HorizontalPodAutoscaler"

// scale sets a Deployment's own number of pods to one that the autoscaler allows, so that a first
// version does not begin smaller than it will be.
func (a Autoscaler) scale(o workload.Object) {
	spec, ok := o["spec"].(map[string]any)
	if a.IsZero() || o.Kind() != "Deployment" || !ok {
		return
	}
	n, ok := spec["replicas"].(int64)
	if !ok {
		n = 1
	}
	spec["replicas"] = int64(a.Within(max(1, int(n))))
}

// scales holds a template against autoscaler of deploy.json: nothing else may scale the version,
// and every container has to say of what its use is a share.
func (c *confinement) scales(docs []document, deployment document) {
	a := c.spec.Autoscaler
	if a.IsZero() {
		return
	}
	if other := named(docs, autoscalerKind, ""); other != nil {
		c.current = *other
		c.add(sub(other.node, "kind"), "kind", "a second autoscaler beside autoscaler of deploy.json", "one of the two")
	}
	c.current = deployment
	at := place{"spec", "template", "spec"}
	pod := sub(deployment.node, at...)
	c.each(pod, at, "containers", c.requests)
	c.each(pod, at, "initContainers", func(n *yaml.Node, at place) {
		if text(n, "restartPolicy") == "Always" { // runs as long as the pod does
			c.requests(n, at)
		}
	})
}

// requests wants what a container's use is a share of. Kubernetes takes a limit for a request
// where there is none.
func (c *confinement) requests(n *yaml.Node, at place) {
	a := c.spec.Autoscaler
	for _, name := range []string{"cpu", "memory"} {
		if name == "cpu" && a.CPU == 0 || name == "memory" && a.Memory == 0 {
			continue
		}
		if sub(n, "resources", "requests", name) == nil && sub(n, "resources", "limits", name) == nil {
			c.add(n, at.with("resources").with("requests").with(name).String(), "nothing",
				"a request, of which autoscaler."+name+" of deploy.json is a share")
		}
	}
}
