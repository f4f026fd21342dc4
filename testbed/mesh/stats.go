package mesh

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stats are Envoy's counters, under the names that Envoy gives them to Prometheus.
type stats struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	time     *prometheus.HistogramVec
	opened   *prometheus.CounterVec
}

// buckets are Envoy's, in milliseconds.
var buckets = []float64{.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000}

func newStats() *stats {
	labels := []string{"envoy_cluster_name", "virtual_node", "kubernetes_namespace", "kubernetes_pod_name"}
	s := &stats{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "envoy_cluster_upstream_rq",
			Help: "Requests sent to a pod, by the status that came back."}, append([]string{"envoy_response_code"}, labels...)),
		time: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "envoy_cluster_upstream_rq_time",
			Help: "Time from a request to the head of its answer, in milliseconds.", Buckets: buckets}, labels),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "envoy_cluster_upstream_cx_total",
			Help: "TCP connections opened to a pod, failed ones included."}, labels),
	}
	s.registry.MustRegister(s.requests, s.time, s.opened)
	return s
}

func labelsOf(c *cluster, pod string) []string {
	return []string{c.name, c.node.name, c.node.namespace, pod}
}

// count counts one attempt; pod is empty where there was none to call.
func (s *stats) count(c *cluster, pod string, code int, took time.Duration) {
	l := labelsOf(c, pod)
	s.requests.WithLabelValues(append([]string{strconv.Itoa(code)}, l...)...).Inc()
	if pod != "" {
		s.time.WithLabelValues(l...).Observe(float64(took) / float64(time.Millisecond))
	}
}

func (s *stats) connection(c *cluster, pod string) {
	s.opened.WithLabelValues(labelsOf(c, pod)...).Inc()
}
