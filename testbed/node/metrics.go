package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/manifest"
)

// metricsPath is where the resource metrics API lives; see
// https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/.
const metricsPath = "/apis/metrics.k8s.io/v1beta1"

// InstallMetrics makes the API server pass metrics.k8s.io on to the node, so
// that the horizontal pod autoscaler and kubectl top see what pods use.
func InstallMetrics(ctx context.Context, l *layout.Layout, api *manifest.Applier, ca []byte) error {
	return api.Apply(ctx, fmt.Appendf(nil, metricsObjects, l.Address(), l.KubeletPort, base64.StdEncoding.EncodeToString(ca)))
}

// The Service has an address for an external name, which the API server's
// aggregator dials as it stands.
const metricsObjects = `apiVersion: v1
kind: Namespace
metadata: {name: testbed}
---
apiVersion: v1
kind: Service
metadata: {name: metrics, namespace: testbed}
spec: {type: ExternalName, externalName: %[1]s}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  service: {name: metrics, namespace: testbed, port: %[2]d}
  caBundle: %[3]s
`

func (n *Node) handleMetrics(mux *http.ServeMux) {
	mux.HandleFunc("GET "+metricsPath, func(w http.ResponseWriter, _ *http.Request) {
		verbs := metav1.Verbs{"get", "list"}
		answer(w, metav1.APIResourceList{
			TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
			GroupVersion: "metrics.k8s.io/v1beta1",
			APIResources: []metav1.APIResource{
				{Name: "nodes", SingularName: "node", Kind: "NodeMetrics", Verbs: verbs},
				{Name: "pods", SingularName: "pod", Kind: "PodMetrics", Verbs: verbs, Namespaced: true},
			},
		})
	})
	mux.HandleFunc("GET "+metricsPath+"/pods", n.podMetricsList)
	mux.HandleFunc("GET "+metricsPath+"/namespaces/{namespace}/pods", n.podMetricsList)
	mux.HandleFunc("GET "+metricsPath+"/namespaces/{namespace}/pods/{name}", func(w http.ResponseWriter, r *http.Request) {
		if p := n.lookup(r.PathValue("namespace"), r.PathValue("name")); p != nil {
			if m, ok := p.metrics(); ok {
				answer(w, m)
				return
			}
		}
		notFound(w, "pods", r.PathValue("name"))
	})
	mux.HandleFunc("GET "+metricsPath+"/nodes", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, metricsv1beta1.NodeMetricsList{
			TypeMeta: metav1.TypeMeta{APIVersion: "metrics.k8s.io/v1beta1", Kind: "NodeMetricsList"},
			Items:    []metricsv1beta1.NodeMetrics{n.metrics()},
		})
	})
	mux.HandleFunc("GET "+metricsPath+"/nodes/{name}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") != Name {
			notFound(w, "nodes", r.PathValue("name"))
			return
		}
		answer(w, n.metrics())
	})
}

func (n *Node) podMetricsList(w http.ResponseWriter, r *http.Request) {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list := metricsv1beta1.PodMetricsList{
		TypeMeta: metav1.TypeMeta{APIVersion: "metrics.k8s.io/v1beta1", Kind: "PodMetricsList"},
		Items:    []metricsv1beta1.PodMetrics{},
	}
	namespace := r.PathValue("namespace")
	for _, p := range n.all() {
		object := p.object()
		if namespace != "" && object.Namespace != namespace || !selector.Matches(labels.Set(object.Labels)) {
			continue
		}
		if m, ok := p.metrics(); ok {
			list.Items = append(list.Items, m)
		}
	}
	answer(w, list)
}

// all is every pod that runs.
func (n *Node) all() []*pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*pod
	for _, p := range n.pods {
		out = append(out, p)
	}
	return out
}

// metrics is what the pod uses; false before it has been measured.
func (p *pod) metrics() (metricsv1beta1.PodMetrics, bool) {
	object := p.object()
	m := metricsv1beta1.PodMetrics{
		TypeMeta:   metav1.TypeMeta{APIVersion: "metrics.k8s.io/v1beta1", Kind: "PodMetrics"},
		ObjectMeta: metav1.ObjectMeta{Namespace: object.Namespace, Name: object.Name, Labels: object.Labels, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.Now(),
		Window:     metav1.Duration{Duration: sampleEvery},
	}
	for _, c := range p.containers {
		c.mu.Lock()
		used := c.usage.used
		c.mu.Unlock()
		if used == nil {
			return m, false
		}
		m.Containers = append(m.Containers, metricsv1beta1.ContainerMetrics{Name: c.spec.Name, Usage: used})
	}
	return m, true
}

// metrics is what all pods use together.
func (n *Node) metrics() metricsv1beta1.NodeMetrics {
	sum := corev1.ResourceList{}
	for _, p := range n.all() {
		m, _ := p.metrics()
		for _, c := range m.Containers {
			add(sum, c.Usage)
		}
	}
	return metricsv1beta1.NodeMetrics{
		TypeMeta:   metav1.TypeMeta{APIVersion: "metrics.k8s.io/v1beta1", Kind: "NodeMetrics"},
		ObjectMeta: metav1.ObjectMeta{Name: Name, CreationTimestamp: metav1.Now()},
		Timestamp:  metav1.Now(),
		Window:     metav1.Duration{Duration: sampleEvery},
		Usage:      sum,
	}
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) // a client that went away asks again
}

func notFound(w http.ResponseWriter, resource, name string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Code:     http.StatusNotFound,
		Reason:   metav1.StatusReasonNotFound,
		Message:  fmt.Sprintf("%s.metrics.k8s.io %q not found", resource, name),
	})
}
