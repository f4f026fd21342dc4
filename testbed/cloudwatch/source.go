package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A Source is one endpoint with counters in Prometheus' text format.
type Source struct {
	URL     string
	Counter string // name of the request counter; other metrics are passed over
	// Read says whose requests a series of the counter counts, from its labels;
	// false where it is nobody's that matters.
	Read func(labels map[string]string) (Requests, bool)
}

// Requests name what a counter counts.
type Requests struct {
	Namespace string // Kubernetes namespace
	Service   string // microservice, as in deploy.json
	Version   string // back end, such as yelb-appserver-2
	Code      string // HTTP status
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
	return Source{URL: url, Counter: "traefik_service_requests_total", Read: func(labels map[string]string) (Requests, bool) {
		m := backend.FindStringSubmatch(labels["service"])
		if m == nil {
			return Requests{}, false
		}
		return Requests{namespace, service, m[1], codeOf(labels)}, true
	}}
}

// Mesh reads the mesh stand-in's counters: of the calls to each virtual node,
// whose service is its name without the number at its end.
func Mesh(url string) Source {
	number := regexp.MustCompile(`-[0-9]+$`)
	return Source{URL: url, Counter: "envoy_cluster_upstream_rq", Read: func(labels map[string]string) (Requests, bool) {
		node := labels["virtual_node"]
		return Requests{labels["kubernetes_namespace"], number.ReplaceAllString(node, ""), node, codeOf(labels)}, node != ""
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
			r := Requests{Namespace: l["namespace"], Service: l["stepcanary_dev_service"], Version: deployment(l["pod"])}
			if r.Service == "" {
				r.Service = l["app"]
			}
			for _, t := range g.Targets {
				if r.Service != "" {
					sources = append(sources, pod(t, r))
				}
			}
		}
		return sources, nil
	}
}

func pod(address string, r Requests) Source {
	return Source{URL: "http://" + address + "/metrics", Counter: "http_requests_total", Read: func(labels map[string]string) (Requests, bool) {
		r.Code = codeOf(labels)
		return r, true
	}}
}

// deployment cuts the two parts off that a ReplicaSet's pod has at its end.
func deployment(pod string) string {
	parts := strings.Split(pod, "-")
	return strings.Join(parts[:max(len(parts)-2, 1)], "-")
}

// A series is one counter as it was scraped.
type series struct {
	key      string // unique in the source
	requests Requests
	value    float64
}

const scrapeTimeout = 2 * time.Second

var scraper = http.Client{Timeout: scrapeTimeout, Transport: &http.Transport{DialContext: dialLoopback, MaxIdleConnsPerHost: 4}}

// dialLoopback keeps the bed's traffic on the machine.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", host)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// scrape reads the source's counters.
func (s Source) scrape(ctx context.Context) ([]series, error) {
	body, err := get(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.URL, err)
	}
	family := families[s.Counter]
	if family == nil {
		return nil, nil
	}
	var out []series
	for _, m := range family.GetMetric() {
		labels := labelsOf(m)
		if r, ok := s.Read(labels); ok {
			out = append(out, series{key: fmt.Sprint(labels), requests: r, value: valueOf(m)})
		}
	}
	return out, nil
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// valueOf reads a counter, also one whose exporter declares no type.
func valueOf(m *dto.Metric) float64 {
	if m.GetCounter() != nil {
		return m.GetCounter().GetValue()
	}
	return m.GetUntyped().GetValue()
}
