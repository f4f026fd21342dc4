package prom

import (
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// Annotations by which a pod asks to be scraped, or not to be; they are the
// ones that most clusters' Prometheus configurations honour.
const (
	scrapeAnnotation = "prometheus.io/scrape"
	portAnnotation   = "prometheus.io/port"
	pathAnnotation   = "prometheus.io/path"
)

// Targets answers Prometheus's HTTP service discovery with the pods that run.
// A pod is scraped when its annotation says so, or, without one, at its port
// named metrics, http-metrics or http. Its labels come along, and namespace and
// pod, under these and under their older kubernetes_ names.
func Targets(pods corelisters.PodLister) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := pods.List(labels.Everything())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		groups := []group{}
		for _, p := range all {
			if port := scrapePort(p); port != "" && p.Status.PodIP != "" && p.Status.Phase == corev1.PodRunning {
				groups = append(groups, group{
					Targets: []string{net.JoinHostPort(p.Status.PodIP, port)},
					Labels:  targetLabels(p),
				})
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(groups) // a client that went away asks again
	})
}

// A group is one element of an HTTP service discovery answer.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

func scrapePort(p *corev1.Pod) string {
	switch p.Annotations[scrapeAnnotation] {
	case "true":
		if port := p.Annotations[portAnnotation]; port != "" {
			return port
		}
		for _, c := range p.Spec.Containers {
			for _, port := range c.Ports {
				return strconv.Itoa(int(port.ContainerPort))
			}
		}
		return ""
	case "false":
		return ""
	}
	for _, name := range []string{"metrics", "http-metrics", "http"} {
		for _, c := range p.Spec.Containers {
			for _, port := range c.Ports {
				if port.Name == name {
					return strconv.Itoa(int(port.ContainerPort))
				}
			}
		}
	}
	return ""
}

var notInLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

func targetLabels(p *corev1.Pod) map[string]string {
	out := map[string]string{}
	for name, value := range p.Labels {
		out[notInLabel.ReplaceAllString(name, "_")] = value
	}
	out["namespace"], out["kubernetes_namespace"] = p.Namespace, p.Namespace
	out["pod"], out["kubernetes_pod_name"] = p.Name, p.Name
	if path := p.Annotations[pathAnnotation]; path != "" {
		out["__metrics_path__"] = path
	}
	return out
}
