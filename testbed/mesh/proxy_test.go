package mesh

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
)

func TestHostsOfAVirtualService(t *testing.T) {
	m, _ := twoVersions(t)
	for host, want := range map[string]int{
		"app": 200, "APP:4567": 200, "app.yelb": 200, "app.yelb.svc": 200, "app.yelb.svc.cluster.local": 200, "app.yelb.svc.cluster.local.:80": 200,
		"app.other": 404, "app-1": 404, "": 404,
	} {
		if got := m.call(host).StatusCode; got != want {
			t.Errorf("Host %q = %d; want %d", host, got, want)
		}
	}
}

func TestRoutesMatch(t *testing.T) {
	s := newStage(t)
	for _, v := range []string{"a", "b", "c", "d", "e", "z"} {
		s.node(v, "yelb", "http")
		s.pod(v, says(v, 200))
	}
	target := func(n string) string {
		return `action: {weightedTargets: [{virtualNodeRef: {name: ` + n + `}, weight: 1}]}`
	}
	s.router("app", "http", `
- {name: rest, httpRoute: {match: {prefix: /}, `+target("z")+`}}
- {name: insider, priority: 1, httpRoute: {match: {prefix: /, headers: [{name: x-canary, match: {exact: insider}}]}, `+target("a")+`}}
- {name: cookie, priority: 2, httpRoute: {match: {prefix: /, headers: [{name: cookie, match: {regex: "^(.*?;)?(canary=yes)(;.*)?$"}}]}, `+target("b")+`}}
- {name: long, httpRoute: {match: {prefix: /api/v2}, `+target("c")+`}}
- {name: post, priority: 3, httpRoute: {match: {prefix: /, method: POST}, `+target("d")+`}}
- {name: query, priority: 4, httpRoute: {match: {prefix: /, queryParameters: [{name: v, match: {exact: "5"}}], headers: [{name: x-no, invert: true}]}, `+target("e")+`}}
`)
	s.service("app")
	m := try(s)
	m.look()
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	path := func(p string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Path, r.URL.RawQuery, _ = strings.Cut(p, "?") }
	}
	for name, tt := range map[string]struct {
		change []func(*http.Request)
		want   string
	}{
		"nothing special":                     {nil, "z"},
		"a header":                            {[]func(*http.Request){set("X-Canary", "insider")}, "a"},
		"a header with another value":         {[]func(*http.Request){set("X-Canary", "insiders")}, "z"},
		"a cookie by expression":              {[]func(*http.Request){set("Cookie", "a=1;canary=yes;b=2")}, "b"},
		"priority before order":               {[]func(*http.Request){set("Cookie", "canary=yes"), set("X-Canary", "insider")}, "a"},
		"the longer prefix":                   {[]func(*http.Request){path("/api/v2/x")}, "c"},
		"a method":                            {[]func(*http.Request){func(r *http.Request) { r.Method = http.MethodPost }}, "d"},
		"a query parameter, a header missing": {[]func(*http.Request){path("/?v=5")}, "e"},
		"a header that must be missing":       {[]func(*http.Request){path("/?v=5"), set("X-No", "1")}, "z"},
	} {
		if got := m.call("app", tt.change...).Header.Get("X-Version"); got != tt.want {
			t.Errorf("%s went to %q; want %q", name, got, tt.want)
		}
	}
}

const retries = `[{name: r, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: app-1}, weight: 1}]},
	retryPolicy: {maxRetries: 2, perRetryTimeout: {unit: ms, value: 2000}, httpRetryEvents: [server-error, client-error, gateway-error]}}}]`

// flaky answers with the codes in turn, and the last one for ever.
func flaky(calls *atomic.Int64, codes ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Body", string(body))
		w.WriteHeader(codes[min(n, len(codes))-1])
	}
}

func TestRetries(t *testing.T) {
	for name, tt := range map[string]struct {
		codes     []int
		want      int
		wantCalls int64
	}{
		"a good answer is not repeated":    {[]int{200}, 200, 1},
		"a server error is":                {[]int{500, 200}, 200, 2},
		"two of them too":                  {[]int{503, 500, 200}, 200, 3},
		"three are one too many":           {[]int{500}, 500, 3},
		"a conflict is the client's error": {[]int{409, 200}, 200, 2},
		"another 4xx is the answer":        {[]int{404, 200}, 404, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.node("app-1", "yelb", "http")
			var calls atomic.Int64
			s.pod("app-1", flaky(&calls, tt.codes...))
			s.router("app", "http", retries)
			s.service("app")
			m := try(s)
			m.look()
			resp := m.call("app", func(r *http.Request) {
				r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader("vote")), 4
			})
			if resp.StatusCode != tt.want || calls.Load() != tt.wantCalls {
				t.Errorf("status %d after %d calls; want %d after %d", resp.StatusCode, calls.Load(), tt.want, tt.wantCalls)
			}
			if got := resp.Header.Get("X-Body"); got != "vote" {
				t.Errorf("the last call carried %q; want the whole body each time", got)
			}
		})
	}
}

func TestAttemptsAreCountedAtThePod(t *testing.T) {
	s := newStage(t)
	s.node("app-1", "yelb", "http")
	var calls atomic.Int64
	s.pod("app-1", flaky(&calls, 500, 500, 200))
	s.router("app", "http", retries)
	s.service("app")
	m := try(s)
	m.look()
	m.call("app")
	for code, want := range map[string]float64{"500": 2, "200": 1} {
		c := m.proxy.stats.requests.WithLabelValues(code, "cds_ingress_yelb_app-1-virtual-node_http_4567", "app-1", "yelb", "app-1-pod")
		if got := testutil.ToFloat64(c); got != want {
			t.Errorf("envoy_cluster_upstream_rq with code %s = %v; want %v", code, got, want)
		}
	}
	text, err := testutil.CollectAndFormat(m.proxy.stats.time, expfmt.TypeTextPlain, "envoy_cluster_upstream_rq_time")
	if err != nil {
		t.Fatal(err)
	}
	want := `envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="cds_ingress_yelb_app-1-virtual-node_http_4567",kubernetes_namespace="yelb",kubernetes_pod_name="app-1-pod",virtual_node="app-1",le="+Inf"} 3`
	if !strings.Contains(string(text), want) {
		t.Errorf("histogram lacks %s:\n%s", want, text)
	}
}

func TestFailuresAreEnvoys(t *testing.T) {
	for name, tt := range map[string]struct {
		build func(*stage)
		want  int
		text  string
	}{
		"no ready endpoint":  {func(*stage) {}, 503, "no healthy upstream"},
		"a pod that is gone": {func(s *stage) { s.pod("app-1", says("v1", 200)).Close() }, 503, "upstream connect error"},
		"a pod that hangs up": {func(s *stage) {
			s.pod("app-1", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}, 503, "upstream connect error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.node("app-1", "yelb", "http")
			tt.build(s)
			s.router("app", "http", weights(`{virtualNodeRef: {name: app-1}, weight: 1}`))
			s.service("app")
			m := try(s)
			m.look()
			resp := m.call("app")
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.want || !strings.Contains(string(body), tt.text) {
				t.Errorf("call = %d %q; want %d with %q", resp.StatusCode, body, tt.want, tt.text)
			}
		})
	}
}

func TestAllWeightsZeroServeNobody(t *testing.T) {
	m, r := twoVersions(t)
	m.routes(r, weights(`{virtualNodeRef: {name: app-1}, weight: 0}, {virtualNodeRef: {name: app-2}, weight: 0}`))
	m.look()
	if got := m.call("app").StatusCode; got != 503 {
		t.Errorf("call = %d; want 503", got)
	}
}

func TestASlowAnswerTimesOut(t *testing.T) {
	s := newStage(t)
	s.node("app-1", "yelb", "http")
	release := make(chan struct{})
	s.pod("app-1", func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	s.router("app", "http", `[{name: r, httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNodeRef: {name: app-1}, weight: 1}]}, timeout: {perRequest: {unit: ms, value: 20}}}}]`)
	s.service("app")
	m := try(s)
	m.look()
	if got := m.call("app").StatusCode; got != http.StatusGatewayTimeout {
		t.Errorf("call = %d; want 504", got)
	}
}

// tcpPod answers each line with its name.
func tcpPod(t *testing.T, name string) endpoint {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { fmt.Fprintln(c, name); c.Close() }()
		}
	}()
	return endpoint{ln.Addr().String(), name}
}

func TestTCPIsSplitAtTheClusterIP(t *testing.T) {
	s := newStage(t)
	for _, n := range []string{"db-1", "db-2"} {
		s.node(n, "yelb", "tcp")
		s.ready[key{"yelb", n}] = []endpoint{tcpPod(t, n)}
	}
	s.router("db", "tcp", `[{name: r, tcpRoute: {action: {weightedTargets: [{virtualNodeRef: {name: db-1}, weight: 75}, {virtualNodeRef: {name: db-2}, weight: 25}]}}}]`)
	s.service("db")
	s.clusters[key{"yelb", "db"}], s.ports[key{"yelb", "db"}] = "127.0.0.1", []int{4567, 9999}
	m := try(s)
	m.look()
	places := m.proxy.table.Load().places(m.world.address)
	if !places[place{key{"yelb", "db"}, "127.0.0.1", 4567, "tcp"}] || len(places) != 1 {
		t.Fatalf("places = %v; want the one port that Service and router share", places)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go m.proxy.accept(t.Context(), ln, place{service: key{"yelb", "db"}, port: 4567, protocol: "tcp"})
	got := map[string]int{}
	for range 100 {
		c, err := net.DialTimeout("tcp", ln.Addr().String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(c).ReadString('\n')
		got[strings.TrimSpace(line)]++
		c.Close()
	}
	if got["db-1"] != 75 || got["db-2"] != 25 {
		t.Errorf("connections = %v; want 75 and 25", got)
	}
}
