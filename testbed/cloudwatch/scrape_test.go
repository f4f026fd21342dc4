package cloudwatch_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
)

// page serves a text that the test changes.
func page(t *testing.T, text *string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if *text == "" {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, *text)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func fixed(sources ...cloudwatch.Source) func(context.Context) ([]cloudwatch.Source, error) {
	return func(context.Context) ([]cloudwatch.Source, error) { return sources, nil }
}

// sum reads the sum and the number of data of one metric over all time.
func (b *bench) sum(t *testing.T, name string, dims ...string) (sum, count float64) {
	t.Helper()
	var d []types.Dimension
	for _, kv := range dims {
		k, v, _ := strings.Cut(kv, "=")
		d = append(d, types.Dimension{Name: aws.String(k), Value: aws.String(v)})
	}
	out, err := b.get(t, query("s", name, "Sum", d...), query("n", name, "SampleCount", d...))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range out.MetricDataResults[0].Values {
		sum += v
	}
	for _, v := range out.MetricDataResults[1].Values {
		count += v
	}
	return sum, count
}

func TestScraperPublishesWhatWasAdded(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	const counters = `# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-cart-gw-default-gw-ep-web-0-1a2b-svc-shop-cart-1-0@kubernetesgateway"} %d
traefik_service_requests_total{code="500",method="GET",protocol="http",service="httproute-shop-cart-gw-default-gw-ep-web-0-1a2b-svc-shop-cart-2-1@kubernetesgateway"} %d
traefik_service_requests_total{code="200",method="GET",protocol="http",service="httproute-shop-cart-gw-default-gw-ep-web-0-1a2b-svc-shop-cart-admin-2-1@kubernetesgateway"} 7
`
	text := fmt.Sprintf(counters, 100, 5)
	s := &cloudwatch.Scraper{Server: b.Server, Cluster: "bed", Sources: fixed(cloudwatch.Gateway(page(t, &text), "shop", "cart"))}
	round := func() {
		t.Helper()
		if err := s.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	round() // the first sight of a counter yields nothing
	text = fmt.Sprintf(counters, 150, 8)
	round()
	text = fmt.Sprintf(counters, 150, 2) // this pod began anew
	round()
	type got struct{ Sum, Count float64 }
	read := func(name string, dims ...string) got {
		sum, n := b.sum(t, name, dims...)
		return got{sum, n}
	}
	v1 := []string{"ClusterName=bed", "Namespace=shop", "Service=cart", "Version=cart-1"}
	v2 := []string{"ClusterName=bed", "Namespace=shop", "Service=cart", "Version=cart-2"}
	if d := cmp.Diff(map[string]got{
		"2xx": {50, 3}, "5xx": {5, 3}, "all of cart-1": {50, 3}, "5xx of cart-1": {0, 3}, "5xx of cart-2": {5, 3}, "all of cart-2": {5, 3}, "another": {0, 0},
	}, map[string]got{
		"2xx": read("2xx-cart"), "5xx": read("5xx-cart"),
		"all of cart-1": read("RequestCount", v1...), "5xx of cart-1": read("ErrorCount", v1...),
		"5xx of cart-2": read("ErrorCount", v2...), "all of cart-2": read("RequestCount", v2...),
		"another": read("2xx-cart-admin"),
	}); d != "" {
		t.Errorf("published (-want +got):\n%s", d)
	}
}

func TestADeadSourceIsAGapAndAnError(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	text := `envoy_cluster_upstream_rq{envoy_response_code="200",kubernetes_namespace="yelb",kubernetes_pod_name="yelb-appserver-1-a-b",virtual_node="yelb-appserver-1"} 10
envoy_cluster_upstream_rq{envoy_response_code="503",kubernetes_namespace="yelb",kubernetes_pod_name="",virtual_node="yelb-db-1"} 10
`
	s := &cloudwatch.Scraper{Server: b.Server, Cluster: "bed", Sources: fixed(cloudwatch.Mesh(page(t, &text)))}
	if err := s.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	text = ""
	if err := s.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("Once against a dead source = %v; want its status", err)
	}
	if _, n := b.sum(t, "2xx-yelb-appserver"); n != 1 {
		t.Errorf("%v data were published; want only the first round's", n)
	}
	if _, n := b.sum(t, "5xx-yelb-db"); n != 0 {
		t.Errorf("%v data were published for calls that no pod was ready for; want none", n)
	}
}

func TestPodsComeFromDiscovery(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	counter := `http_requests_total{code="503",status="503",version="v3"} 1` + "\n"
	targets := page(t, new(string))
	pod := page(t, &counter)
	discovery := fmt.Sprintf(`[{"targets":[%q],"labels":{"namespace":"yelb","pod":"yelb-appserver-2-5d4f-x7k2p","app":"yelb-appserver"}},
		{"targets":[%q],"labels":{"namespace":"yelb","pod":"other","tier":"x"}}]`, strings.TrimPrefix(pod, "http://"), strings.TrimPrefix(targets, "http://"))
	s := &cloudwatch.Scraper{Server: b.Server, Cluster: "bed", Sources: cloudwatch.Pods(page(t, &discovery))}
	for range 2 {
		if err := s.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		counter = `http_requests_total{code="503",status="503",version="v3"} 5` + "\n"
	}
	if sum, _ := b.sum(t, "ErrorCount", "ClusterName=bed", "Namespace=yelb", "Service=yelb-appserver", "Version=yelb-appserver-2"); sum != 4 {
		t.Errorf("5xx of yelb-appserver-2 = %v; want 4", sum)
	}
}

func TestResponseTimesKeepTheirBuckets(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	const histogram = `# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2",le="250"} %d
envoy_cluster_upstream_rq_time_bucket{kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2",le="500"} %d
envoy_cluster_upstream_rq_time_bucket{kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2",le="+Inf"} %d
envoy_cluster_upstream_rq_time_sum{kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2"} 9
envoy_cluster_upstream_rq_time_count{kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2"} %d
`
	text := fmt.Sprintf(histogram, 10, 10, 10, 10)
	s := &cloudwatch.Scraper{Server: b.Server, Cluster: "bed", Sources: fixed(cloudwatch.Mesh(page(t, &text)))}
	for range 2 {
		if err := s.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		text = fmt.Sprintf(histogram, 16, 19, 20, 20) // 6 up to 250 ms, 3 up to 500, 1 beyond
	}
	var dims []types.Dimension
	for _, kv := range [][2]string{{"ClusterName", "bed"}, {"Namespace", "yelb"}, {"Service", "app"}, {"Version", "app-2"}} {
		dims = append(dims, types.Dimension{Name: aws.String(kv[0]), Value: aws.String(kv[1])})
	}
	for stat, want := range map[string]float64{"SampleCount": 10, "TC(0.25:)": 4, "TC(0.5:)": 1, "TC(1:)": 0, "p90": .5, "Maximum": 1} {
		out, err := b.get(t, query("q", "ResponseTime", stat, dims...))
		if err != nil {
			t.Fatal(err)
		}
		if got := out.MetricDataResults[0].Values; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %v; want %v", stat, got, want)
		}
	}
}

func TestARequestCountsOnce(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	envoy := `envoy_cluster_upstream_rq{envoy_response_code="%d",kubernetes_namespace="yelb",kubernetes_pod_name="p",virtual_node="app-2"} %d` + "\n"
	own := `http_requests_total{code="200"} %d` + "\n"
	mesh, pod := fmt.Sprintf(envoy, 503, 10), fmt.Sprintf(own, 10)
	podURL := page(t, &pod)
	discovery := fmt.Sprintf(`[{"targets":[%q],"labels":{"namespace":"yelb","pod":"app-2-5d4f-x7k2p","app":"app"}},
		{"targets":[%q],"labels":{"namespace":"yelb","pod":"plain-1-5d4f-x7k2p","app":"plain"}}]`, strings.TrimPrefix(podURL, "http://"), strings.TrimPrefix(page(t, &pod), "http://"))
	pods, sidecars := cloudwatch.Pods(page(t, &discovery)), cloudwatch.Mesh(page(t, &mesh))
	s := &cloudwatch.Scraper{Server: b.Server, Cluster: "bed", Sources: func(ctx context.Context) ([]cloudwatch.Source, error) {
		list, err := pods(ctx)
		return append([]cloudwatch.Source{sidecars}, list...), err
	}}
	for range 2 {
		if err := s.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		mesh, pod = fmt.Sprintf(envoy, 503, 15), fmt.Sprintf(own, 17)
	}
	for name, want := range map[string]float64{"5xx-app": 5, "2xx-app": 0, "2xx-plain": 7} {
		if sum, _ := b.sum(t, name); sum != want {
			t.Errorf("%s = %v; want %v", name, sum, want)
		}
	}
}

func TestScraperStaysOnTheMachine(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	s := &cloudwatch.Scraper{Server: b.Server, Sources: fixed(cloudwatch.Mesh("http://192.0.2.1/metrics"))}
	if err := s.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("Once = %v; want a refusal", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	s := &cloudwatch.Scraper{Server: b.Server, Sources: func(context.Context) ([]cloudwatch.Source, error) {
		if rounds++; rounds == 3 {
			cancel()
		}
		return nil, nil
	}}
	s.Run(ctx, time.Millisecond)
	if rounds != 3 {
		t.Errorf("%d rounds; want 3", rounds)
	}
}
