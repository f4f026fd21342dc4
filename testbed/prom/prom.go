// Package prom sets the bed's Prometheus up: the real one, built from its Go
// module, looking at the gateway and at the pods once a second.
package prom

import (
	"fmt"
	"os"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// ScrapeInterval is how often everything is looked at.
const ScrapeInterval = "1s"

// Arguments are Prometheus's command line for the bed.
func Arguments(l *layout.Layout) []string {
	return []string{
		"--config.file=" + l.Path("prometheus.yml"),
		"--storage.tsdb.path=" + l.Path("prometheus"),
		"--storage.tsdb.retention.time=1d",
		"--web.listen-address=" + l.HostPort(l.PrometheusPort),
		"--web.enable-lifecycle",
		"--log.level=warn",
	}
}

// ReadyURL answers 200 once Prometheus answers queries.
func ReadyURL(l *layout.Layout) string { return l.PrometheusURL() + "/-/ready" }

// WriteConfig writes the configuration that Arguments refers to.
func WriteConfig(l *layout.Layout) error {
	config := fmt.Sprintf(configuration, ScrapeInterval, l.HostPort(l.GatewayMetrics), l.HostPort(l.DiscoveryPort))
	if l.HasMesh {
		config += fmt.Sprintf(meshConfiguration, l.HostPort(l.MeshAdminPort))
	}
	return os.WriteFile(l.Path("prometheus.yml"), []byte(config), 0o600)
}

const configuration = `global:
  scrape_interval: %[1]s
  scrape_timeout: %[1]s
  evaluation_interval: %[1]s
scrape_configs:
- job_name: gateway
  static_configs:
  - targets: ["%[2]s"]
- job_name: pods
  http_sd_configs:
  - url: http://%[3]s/targets
    refresh_interval: %[1]s
`

// meshConfiguration keeps the labels that the mesh stand-in gives, which are
// those that Prometheus adds to what it reads from an Envoy beside a pod.
const meshConfiguration = `- job_name: mesh
  honor_labels: true
  metrics_path: /stats/prometheus
  static_configs:
  - targets: ["%s"]
`
