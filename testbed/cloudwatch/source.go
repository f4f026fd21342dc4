package cloudwatch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// A Source is one endpoint with counters in Prometheus' text format.
type Source struct {
	URL       string
	Counter   string  // name of the request counter
	Histogram string  // name of the histogram of response times; empty: none
	Unit      float64 // seconds in one unit of the histogram
	// Read says whose requests a series counts, from its labels; false where it is
	// nobody's that matters.
	Read func(labels map[string]string) (Requests, bool)
}

// Requests name what a series counts.
type Requests struct {
	Version
	Code string // HTTP status; empty in a histogram that does not tell them apart
}

// A Version is a back end.
type Version struct {
	Namespace string // of Kubernetes
	Service   string // microservice, as in deploy.json
	Name      string // of the back end, such as yelb-appserver-2
}

// codeOf finds the status under the names that exporters give it.
func codeOf(labels map[string]string) string {
	for _, name := range []string{"envoy_response_code", "code", "status"} {
		if c := labels[name]; c != "" {
			return c
		}
	}
	return ""
}

// Gateway reads Traefik's counters of the back ends of an HTTPRoute: the service's
// versions are those named SERVICE-NUMBER, and SERVICE itself.
func Gateway(url, namespace, service string) Source {
	backend := regexp.MustCompile(`-svc-` + regexp.QuoteMeta(namespace) + `-(` + regexp.QuoteMeta(service) + `(?:-[0-9]+)?)-[0-9]+@kubernetesgateway$`)
	return Source{URL: url, Counter: "traefik_service_requests_total", Histogram: "traefik_service_request_duration_seconds", Unit: 1, Read: func(labels map[string]string) (Requests, bool) {
		m := backend.FindStringSubmatch(labels["service"])
		if m == nil {
			return Requests{}, false
		}
		return Requests{Version{namespace, service, m[1]}, codeOf(labels)}, true
	}}
}

// Mesh reads the mesh stand-in's counters of the pods of each virtual node, whose
// service is its name without the number at its end. Calls that no pod was ready
// for are left out: with real sidecars the caller's Envoy counts them.
func Mesh(url string) Source {
	number := regexp.MustCompile(`-[0-9]+$`)
	return Source{URL: url, Counter: "envoy_cluster_upstream_rq", Histogram: "envoy_cluster_upstream_rq_time", Unit: .001, Read: func(labels map[string]string) (Requests, bool) {
		node := labels["virtual_node"]
		v := Version{labels["kubernetes_namespace"], number.ReplaceAllString(node, ""), node}
		return Requests{v, codeOf(labels)}, node != "" && labels["kubernetes_pod_name"] != ""
	}}
}

// Pods gives the sources that the bed's service discovery lists: podlets, by the
// label stepcanary.dev/service or app and by the Deployment in the pod's name.
func Pods(discovery string) func(context.Context) ([]Source, error) {
	return func(ctx context.Context) ([]Source, error) {
		var groups []struct {
			Targets []string          `json:"targets"`
			Labels  map[string]string `json:"labels"`
		}
		body, err := get(ctx, discovery)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		if err := json.NewDecoder(body).Decode(&groups); err != nil {
			return nil, fmt.Errorf("read %s: %w", discovery, err)
		}
		var sources []Source
		for _, g := range groups {
			l := g.Labels
			v := Version{l["namespace"], cmp.Or(l["stepcanary_dev_service"], l["app"]), deployment(l["pod"])}
			for _, t := range g.Targets {
				if v.Service != "" {
					sources = append(sources, pod(t, v))
				}
			}
		}
		return sources, nil
	}
}

func pod(address string, v Version) Source {
	return Source{URL: "http://" + address + "/metrics", Counter: "http_requests_total", Histogram: "http_request_duration_seconds", Unit: 1,
		Read: func(labels map[string]string) (Requests, bool) { return Requests{v, codeOf(labels)}, true }}
}

// deployment cuts the two parts off that a ReplicaSet's pod has at its end.
func deployment(pod string) string {
	parts := strings.Split(pod, "-")
	return strings.Join(parts[:max(len(parts)-2, 1)], "-")
}
