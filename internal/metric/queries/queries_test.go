package queries_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

var subject = metric.Subject{
	Cluster: "demo", Namespace: "shop", Service: "checkout", Route: "checkout", Canary: "checkout-2", Stable: "checkout-1",
}

// The labels below are what the sources write, one version's or another's.
func TestVersionsAreToldApart(t *testing.T) {
	gateway := func(ns, route, backend string) string {
		return fmt.Sprintf("httproute-%s-%s-gw-edge-public-ep-web-0-1a2b3c4d5e6f7a8b9c0d-svc-%s-%s-1@kubernetesgateway", ns, route, ns, backend)
	}
	for set, tt := range map[string]struct {
		label                  string
		canary, stable, others []string
	}{
		"traefik": {"service",
			[]string{gateway("shop", "checkout", "checkout-2")},
			[]string{gateway("shop", "checkout", "checkout-1")},
			[]string{
				gateway("shop", "checkout", "checkout-12"), gateway("shop", "checkout", "checkout-20"), gateway("shop", "checkout", "checkout-2-1"),
				gateway("shop", "checkout", "my-checkout-2"), gateway("shop", "checkout-admin", "checkout-2"), gateway("shop", "other", "checkout-2"),
				gateway("workshop", "checkout", "checkout-2"), gateway("shop", "checkout", "x-svc-shop-checkout-2"), "",
			}},
		"traefik-ingress": {"service",
			[]string{"shop-checkout-checkout-1-80-canary@kubernetesingressnginx"},
			[]string{"shop-checkout-checkout-1-80@kubernetesingressnginx", "shop-checkout-checkout-1-http@kubernetesingressnginx"},
			[]string{"shop-checkout-checkout-12-80@kubernetesingressnginx", "workshop-checkout-checkout-1-80@kubernetesingressnginx", "shop-checkout-checkout-1-80-wrr@kubernetesingressnginx"}},
		"nginx": {"canary",
			[]string{"shop-checkout-2-80", "shop-checkout-2-http"},
			[]string{""},
			[]string{"shop-checkout-21-80", "shop-checkout-12-80", "workshop-checkout-2-80"}},
		"istio":   {"destination_workload", []string{"checkout-2"}, []string{"checkout-1"}, []string{"checkout-12", "checkout-20", "my-checkout-2", "checkout-2-x", ""}},
		"linkerd": {"deployment", []string{"checkout-2"}, []string{"checkout-1"}, []string{"checkout-12", "checkout-20", "my-checkout-2", ""}},
		"envoy-appmesh": {"kubernetes_pod_name",
			[]string{"checkout-2-6d4cf56db6-x7k2p"}, []string{"checkout-1-5b8f9c-aaaaa"},
			[]string{"checkout-12-6d4cf56db6-x7k2p", "checkout-2-1-6d4cf56db6-x7k2p", "checkout-2-admin-6d4cf56db6-x7k2p", "my-checkout-2-6d4cf56db6-x7k2p", "checkout-2-x7k2p"}},
		"podlet": {"pod", []string{"checkout-2-6d4cf56db6-x7k2p"}, []string{"checkout-1-5b8f9c-aaaaa"}, []string{"checkout-2-admin-6d4cf56db6-x7k2p", ""}},
		"app":    {"kubernetes_pod_name", []string{"checkout-2-6d4cf56db6-x7k2p"}, []string{"checkout-1-5b8f9c-aaaaa"}, []string{"checkout-20-6d4cf56db6-x7k2p", ""}},
	} {
		t.Run(set, func(t *testing.T) {
			q, err := queries.OpenPrometheus(set)
			if err != nil {
				t.Fatal(err)
			}
			canary, stable := q.Version(subject, "checkout-2"), q.Version(subject, "checkout-1")
			check := func(values []string, isCanary, isStable bool) {
				for _, v := range values {
					labels := map[string]string{tt.label: v}
					if canary(labels) != isCanary || stable(labels) != isStable {
						t.Errorf("%s=%q: canary %v, stable %v; want %v, %v", tt.label, v, canary(labels), stable(labels), isCanary, isStable)
					}
				}
			}
			check(tt.canary, true, false)
			check(tt.stable, false, true)
			check(tt.others, false, false)
		})
	}
}

func TestAPointInANameIsAPoint(t *testing.T) {
	s := subject
	s.Canary = "a.b"
	q, err := queries.OpenPrometheus("istio")
	if err != nil {
		t.Fatal(err)
	}
	version := q.Version(s, "a.b")
	if !version(map[string]string{"destination_workload": "a.b"}) || version(map[string]string{"destination_workload": "axb"}) {
		t.Error("a.b matches axb, or not itself")
	}
	if got := q.Select(q.Requests, s); !strings.Contains(got, `destination_workload=~"a\\.b|checkout-1"`) {
		t.Errorf("Select() = %s; want the point escaped, twice", got)
	}
}

func TestSelect(t *testing.T) {
	for set, want := range map[string]string{
		"istio":  `istio_requests_total{reporter="destination",destination_workload_namespace="shop",destination_workload=~"checkout-2|checkout-1"}`,
		"podlet": `http_requests_total{namespace="shop",pod=~"checkout-2-[a-z0-9]{1,10}-[a-z0-9]{5}|checkout-1-[a-z0-9]{1,10}-[a-z0-9]{5}"}`,
		"envoy-appmesh": `envoy_cluster_upstream_rq{kubernetes_namespace="shop",envoy_cluster_name!~"cds_egress_.*",` +
			`kubernetes_pod_name=~"checkout-2-[a-z0-9]{1,10}-[a-z0-9]{5}|checkout-1-[a-z0-9]{1,10}-[a-z0-9]{5}"}`,
		"nginx": `nginx_ingress_controller_requests{namespace="shop",ingress="checkout",canary=~"shop-checkout-2-[a-z0-9]+|"}`,
	} {
		q, err := queries.OpenPrometheus(set)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, q.Select(q.Requests, subject)); diff != "" {
			t.Errorf("%s: Select() (-want +got):\n%s", set, diff)
		}
	}
}

func TestErrorsAreTheServersOwn(t *testing.T) {
	for set, tt := range map[string]struct{ label, failed, fine string }{
		"traefik": {"code", "500 502 503 504 599", "200 302 404 499 429 50 5000"},
		"istio":   {"response_code", "500 503", "200 0 404"},
		"nginx":   {"status", "500", "200 499"},
		"linkerd": {"classification", "failure", "success"},
	} {
		q, err := queries.OpenPrometheus(set)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range strings.Fields(tt.failed) {
			if !q.Errors()(map[string]string{tt.label: v}) {
				t.Errorf("%s: %s=%s is no error", set, tt.label, v)
			}
		}
		for _, v := range strings.Fields(tt.fine) {
			if q.Errors()(map[string]string{tt.label: v}) {
				t.Errorf("%s: %s=%s is an error", set, tt.label, v)
			}
		}
	}
}

func TestAnUnknownSetListsTheKnownOnes(t *testing.T) {
	_, err := queries.OpenPrometheus("treafik")
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "podlet, traefik") {
		t.Errorf("OpenPrometheus() = %v", err)
	}
	_, err = queries.OpenCloudWatch("traefik")
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "alb, ancestor, stepcanary") {
		t.Errorf("OpenCloudWatch() = %v", err)
	}
}

func TestCheckRefusesWhatIsNoName(t *testing.T) {
	for name, change := range map[string]func(*metric.Subject){
		"no namespace":              func(s *metric.Subject) { s.Namespace = "" },
		"a quote in the canary":     func(s *metric.Subject) { s.Canary = `x"} or vector(0)` },
		"a pattern in the stable":   func(s *metric.Subject) { s.Stable = ".*" },
		"capitals in the service":   func(s *metric.Subject) { s.Service = "Checkout" },
		"no route":                  func(s *metric.Subject) { s.Route = "" },
		"the canary beside itself":  func(s *metric.Subject) { s.Stable = s.Canary },
		"a name longer than may be": func(s *metric.Subject) { s.Route = strings.Repeat("x", 254) },
	} {
		s := subject
		change(&s)
		if err := queries.Check(s); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: Check() = %v; want %v", name, err, fault.Invalid)
		}
	}
	s := subject
	s.Stable = ""
	if err := queries.Check(s); err != nil {
		t.Errorf("Check(a first deployment) = %v", err)
	}
}

func TestFill(t *testing.T) {
	w := metric.Window{From: time.Unix(0, 0), To: time.Unix(90, 500)}
	got, err := queries.Fill(`${CLUSTER} ${NAMESPACE} ${SERVICE} ${ROUTE} ${VERSION} ${STABLE} ${WINDOW} $x "a$" }`, subject, w)
	if want := `demo shop checkout checkout checkout-2 checkout-1 91s $x "a$" }`; err != nil || got != want {
		t.Errorf("Fill() = %q, %v; want %q", got, err, want)
	}
	evil := subject
	evil.Canary, evil.Stable, evil.Cluster = `x"}`, "", "demo\n"
	for _, q := range []string{"${VERSION}", "${STABLE}", "${CLUSTER}", "${version}", "${VERSION", "${}", "${${VERSION}}"} {
		if got, err := queries.Fill(q, evil, w); fault.Of(err) != fault.Invalid || got != "" {
			t.Errorf("Fill(%q) = %q, %v; want %v", q, got, err, fault.Invalid)
		}
	}
}

func TestCloudWatchSets(t *testing.T) {
	version := func(name string, s metric.Subject) (queries.Stats, error) {
		q, err := queries.OpenCloudWatch(name)
		if err != nil {
			t.Fatal(err)
		}
		q.LoadBalancer, q.Targets = "app/edge/1", map[string]string{"checkout-2": "targetgroup/two/2"}
		return q.Version(s, "checkout-2", []float64{0.3})
	}
	group := map[string]string{"LoadBalancer": "app/edge/1", "TargetGroup": "targetgroup/two/2"}
	own := map[string]string{"ClusterName": "demo", "Namespace": "shop", "Service": "checkout", "Version": "checkout-2"}
	const ancestor, alb = "EnvoyPrometheus/ResponseCode", "AWS/ApplicationELB"
	for name, want := range map[string]queries.Stats{
		"ancestor": {
			Requests: []queries.Stat{{ancestor, "2xx-checkout", nil, "Sum"}, {ancestor, "5xx-checkout", nil, "Sum"}},
			Errors:   []queries.Stat{{ancestor, "5xx-checkout", nil, "Sum"}},
		},
		"stepcanary": {
			Requests: []queries.Stat{{"Stepcanary", "RequestCount", own, "Sum"}},
			Errors:   []queries.Stat{{"Stepcanary", "ErrorCount", own, "Sum"}},
			Slow:     []queries.Stat{{"Stepcanary", "ResponseTime", own, "TC(0.3:)"}},
			Timed:    []queries.Stat{{"Stepcanary", "ResponseTime", own, "SampleCount"}},
		},
		"alb": {
			Requests: []queries.Stat{{alb, "RequestCount", group, "Sum"}},
			Errors:   []queries.Stat{{alb, "HTTPCode_Target_5XX_Count", group, "Sum"}},
			Slow:     []queries.Stat{{alb, "TargetResponseTime", group, "TC(0.3:)"}},
			Timed:    []queries.Stat{{alb, "TargetResponseTime", group, "SampleCount"}},
		},
	} {
		got, err := version(name, subject)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: Version() = %v (-want +got):\n%s", name, err, diff)
		}
	}
	homeless := subject
	homeless.Cluster = ""
	if _, err := version("stepcanary", homeless); fault.Of(err) != fault.Invalid {
		t.Errorf("Version(without a cluster) = %v; want %v", err, fault.Invalid)
	}
	q, _ := queries.OpenCloudWatch("alb")
	if _, err := q.Version(subject, "checkout-2", nil); fault.Of(err) != fault.Invalid {
		t.Errorf("Version(without a target group) = %v; want %v", err, fault.Invalid)
	}
	if q, _ := queries.OpenCloudWatch("ancestor"); !q.Unscoped {
		t.Error("the ancestor's metrics do not tell versions apart, and must say so")
	}
}
