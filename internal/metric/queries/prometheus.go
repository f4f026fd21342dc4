package queries

import (
	"regexp"
	"strings"

	"github.com/stepcanary/stepcanary/internal/metric"
)

// prometheusSets are the sets by name. Where each family's names come from
// stands beside it.
var prometheusSets = map[string]Prometheus{
	// Traefik's Gateway API provider names a service
	// httproute-NAMESPACE-ROUTE-gw-GATEWAY-ep-ENTRYPOINT-RULE-HASH-svc-NAMESPACE-BACKEND-INDEX@kubernetesgateway
	// (pkg/provider/kubernetes/gateway, v3.7).
	"traefik": {
		Requests: "traefik_service_requests_total", Failed: Matcher{"code", "=~", "5.."},
		Buckets: "traefik_service_request_duration_seconds_bucket", Unit: 1, Together: true,
		Where: "at the gateway, per back end of the route",
		by:    "service", shared: none,
		pattern: func(s metric.Subject, version string) string {
			ns := regexp.QuoteMeta(s.Namespace)
			return "httproute-" + joined(s.Namespace+"-"+s.Route) + "-gw-.+-ep-.+-[0-9]+-[0-9a-f]{20}-svc-" +
				ns + "-" + regexp.QuoteMeta(version) + "-[0-9]+@kubernetesgateway"
		},
	},
	// Its provider for ingress-nginx annotations names the canary after the back
	// end that it stands beside.
	"traefik-ingress": {
		Requests: "traefik_service_requests_total", Failed: Matcher{"code", "=~", "5.."},
		Buckets: "traefik_service_request_duration_seconds_bucket", Unit: 1, Together: true,
		Where: "at the gateway, per back end of the ingress",
		by:    "service", shared: none,
		pattern: func(s metric.Subject, version string) string {
			suffix := ""
			if version == s.Canary && s.Stable != "" {
				version, suffix = s.Stable, "-canary"
			}
			return regexp.QuoteMeta(s.Namespace+"-"+s.Route+"-"+version) + "-[a-z0-9]+" + suffix + "@kubernetesingressnginx"
		},
	},
	// ingress-nginx writes the alternative back end, NAMESPACE-SERVICE-PORT, into
	// the label canary, which is empty for the main one.
	"nginx": {
		Requests: "nginx_ingress_controller_requests", Failed: Matcher{"status", "=~", "5.."},
		Buckets: "nginx_ingress_controller_request_duration_seconds_bucket", Unit: 1, Together: true,
		Where: "at the ingress controller",
		by:    "canary",
		shared: func(s metric.Subject) []Matcher {
			return []Matcher{{"namespace", "=", s.Namespace}, {"ingress", "=", s.Route}}
		},
		pattern: func(s metric.Subject, version string) string {
			if version == s.Stable || s.Stable == "" {
				return ""
			}
			return regexp.QuoteMeta(s.Namespace+"-"+version) + "-[a-z0-9]+"
		},
	},
	// Envoy beside each pod. What a pod asks of others is not its own answer.
	"envoy-appmesh": {
		Requests: "envoy_cluster_upstream_rq", Failed: Matcher{"envoy_response_code", "=~", "5.."},
		Buckets: "envoy_cluster_upstream_rq_time_bucket", Unit: 0.001,
		Where: "at the Envoy of each pod",
		by:    "kubernetes_pod_name",
		shared: func(s metric.Subject) []Matcher {
			return []Matcher{{"kubernetes_namespace", "=", s.Namespace}, {"envoy_cluster_name", "!~", "cds_egress_.*"}}
		},
		pattern: podOf,
	},
	"istio": {
		Requests: "istio_requests_total", Failed: Matcher{"response_code", "=~", "5.."},
		Buckets: "istio_request_duration_milliseconds_bucket", Unit: 0.001,
		Where: "at the destination's proxy",
		by:    "destination_workload",
		shared: func(s metric.Subject) []Matcher {
			return []Matcher{{"reporter", "=", "destination"}, {"destination_workload_namespace", "=", s.Namespace}}
		},
		pattern: exactly,
	},
	"linkerd": {
		Requests: "response_total", Failed: Matcher{"classification", "=", "failure"},
		Buckets: "response_latency_ms_bucket", Unit: 0.001,
		Where: "at the destination's proxy",
		by:    "deployment",
		shared: func(s metric.Subject) []Matcher {
			return []Matcher{{"namespace", "=", s.Namespace}, {"direction", "=", "inbound"}}
		},
		pattern: exactly,
	},
	// What the sample application exports, with Prometheus' usual pod labels.
	"podlet": {
		Requests: "http_requests_total", Failed: Matcher{"code", "=~", "5.."},
		Buckets: "http_request_duration_seconds_bucket", Unit: 1,
		Where: "by the application itself, in each pod",
		by:    "pod", shared: inNamespace("namespace"), pattern: podOf,
	},
	// Applications that export the histogram alone, with older pod labels.
	"app": {
		Requests: "http_request_duration_seconds_count", Failed: Matcher{"status", "=~", "5.."},
		Buckets: "http_request_duration_seconds_bucket", Unit: 1,
		Where: "by the application itself, in each pod",
		by:    "kubernetes_pod_name", shared: inNamespace("kubernetes_namespace"), pattern: podOf,
	},
}

func none(metric.Subject) []Matcher { return nil }

func inNamespace(label string) func(metric.Subject) []Matcher {
	return func(s metric.Subject) []Matcher { return []Matcher{{label, "=", s.Namespace}} }
}

func exactly(_ metric.Subject, version string) string { return regexp.QuoteMeta(version) }

// podOf matches the pods of a Deployment: its name, the hash of its template,
// and five characters. A longer name has one part more.
func podOf(_ metric.Subject, version string) string {
	return regexp.QuoteMeta(version) + "-[a-z0-9]{1,10}-[a-z0-9]{5}"
}

// joined is a name as Traefik writes it: every run of other characters than
// letters and digits is one hyphen.
func joined(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}
