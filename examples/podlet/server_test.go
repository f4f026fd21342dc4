package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func start(t *testing.T, env map[string]string) *service {
	t.Helper()
	c, err := parse(t, []string{"podlet"}, env)
	if err != nil {
		t.Fatal(err)
	}
	return newService(c, func(code int) { t.Errorf("exit(%d) was called", code) })
}

func call(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		env      map[string]string
		path     string
		wantCode int
		wantBody string
	}{
		"the front says version and role":       {path: "/", wantCode: 200, wantBody: "podlet v1 web\n"},
		"a text of one's own":                   {env: map[string]string{"ROLE": "http-echo", "TEXT": "hello", "STATUS": "503"}, path: "/x", wantCode: 503, wantBody: "hello\n"},
		"an echo is healthy whatever it says":   {env: map[string]string{"ROLE": "http-echo", "STATUS": "503"}, path: "/health", wantCode: 200, wantBody: "live\n"},
		"podinfo answers JSON":                  {env: map[string]string{"ROLE": "podinfo", "HOSTNAME": "pod-1"}, path: "/", wantCode: 200, wantBody: `{"hostname":"pod-1","message":"greetings from podinfo vv1","version":"v1"}` + "\n"},
		"podinfo answers with a status":         {env: map[string]string{"ROLE": "podinfo"}, path: "/status/418", wantCode: 418, wantBody: `{"status":418}` + "\n"},
		"the appserver says where it runs":      {env: map[string]string{"ROLE": "appserver", "HOSTNAME": "pod-1"}, path: "/api/hostname", wantCode: 200, wantBody: `{"hostname":"pod-1","version":"v1"}` + "\n"},
		"a vote counts":                         {env: map[string]string{"ROLE": "appserver"}, path: "/api/ihop", wantCode: 200, wantBody: "1\n"},
		"votes are listed":                      {env: map[string]string{"ROLE": "appserver"}, path: "/api/getvotes", wantCode: 200, wantBody: `[{"name":"outback","value":0},{"name":"bucadibeppo","value":0},{"name":"ihop","value":0},{"name":"chipotle","value":0}]` + "\n"},
		"a dead database is an error":           {env: map[string]string{"ROLE": "appserver", "DB_ADDR": "127.0.0.1:1"}, path: "/api/getvotes", wantCode: 500},
		"but the host name needs none":          {env: map[string]string{"ROLE": "appserver", "DB_ADDR": "127.0.0.1:1"}, path: "/api/hostname", wantCode: 200},
		"the back end's absence is a 502":       {env: map[string]string{"ROLE": "ui", "BACKEND_URL": "http://127.0.0.1:1"}, path: "/api/hostname", wantCode: 502},
		"an injected error has the code wanted": {env: map[string]string{"FAULT": "errors-100_code-503"}, path: "/", wantCode: 503, wantBody: "v1: injected 503\n"},
		"probes stay healthy under errors":      {env: map[string]string{"FAULT": "errors-100"}, path: "/readyz", wantCode: 200, wantBody: "ready\n"},
		"never ready":                           {env: map[string]string{"FAULT": "notready"}, path: "/readyz", wantCode: 503, wantBody: "not ready\n"},
		"never ready is still live":             {env: map[string]string{"FAULT": "notready"}, path: "/healthz", wantCode: 200, wantBody: "live\n"},
		"not live":                              {env: map[string]string{"FAULT": "notlive"}, path: "/healthz", wantCode: 503, wantBody: "not live\n"},
		"version as JSON":                       {env: map[string]string{"HOSTNAME": "pod-1"}, path: "/version", wantCode: 200, wantBody: `{"hostname":"pod-1","role":"web","version":"v1"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"VERSION": "v1"}
			for k, v := range tt.env {
				env[k] = v
			}
			w := call(start(t, env).handler(), "GET", tt.path, "")
			if w.Code != tt.wantCode || (tt.wantBody != "" && w.Body.String() != tt.wantBody) {
				t.Errorf("GET %s = %d %q; want %d %q", tt.path, w.Code, w.Body, tt.wantCode, tt.wantBody)
			}
		})
	}
}

func TestVersionHeaderStandsInBadAnswersToo(t *testing.T) {
	s := start(t, map[string]string{"VERSION": "v3_errors-100"})
	if got := call(s.handler(), "GET", "/", "").Header().Get("X-Version"); got != "v3_errors-100" {
		t.Errorf("X-Version = %q; want v3_errors-100", got)
	}
}

func TestBackEndsStatusAndVersionComeBack(t *testing.T) {
	back := start(t, map[string]string{"VERSION": "b1", "ROLE": "appserver", "FAULT": "errors-100_code-504"})
	var host string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		back.handler().ServeHTTP(w, r)
	}))
	defer srv.Close()
	front := start(t, map[string]string{"VERSION": "f1", "ROLE": "ui", "BACKEND_URL": srv.URL, "BACKEND_HOST": "yelb-appserver.yelb.svc.cluster.local"})
	w := call(front.handler(), "GET", "/api/hostname", "")
	if w.Code != 504 || w.Header().Get("X-Backend-Version") != "b1" || strings.Join(w.Header().Values("X-Version"), ",") != "f1" {
		t.Errorf("GET /api/hostname = %d, headers %v; want 504, X-Backend-Version b1, X-Version f1", w.Code, w.Header())
	}
	if host != "yelb-appserver.yelb.svc.cluster.local" {
		t.Errorf("the back end was called as %q; want BACKEND_HOST", host)
	}
}

func TestFaultAtRunTime(t *testing.T) {
	s := start(t, map[string]string{"VERSION": "v1"})
	h := s.handler()
	for _, tt := range []struct {
		method, body string
		code, front  int
	}{
		{"POST", `{"errors":100}`, 200, 500},
		{"POST", `{"errors":100,"code":503}`, 200, 503},
		{"POST", `{"error":100}`, 400, 503},
		{"POST", `{"errors":120}`, 400, 503},
		{"POST", `{"latency":"soon"}`, 400, 503},
		{"POST", `{"wrongport":true}`, 400, 503},
		{"GET", "", 200, 503},
		{"DELETE", "", 200, 200},
	} {
		if w := call(h, tt.method, "/admin/fault", tt.body); w.Code != tt.code {
			t.Errorf("%s /admin/fault %s = %d %s; want %d", tt.method, tt.body, w.Code, w.Body, tt.code)
		}
		if w := call(h, "GET", "/", ""); w.Code != tt.front {
			t.Errorf("after %s %s: GET / = %d; want %d", tt.method, tt.body, w.Code, tt.front)
		}
	}
}

func TestAdminOnItsOwnListener(t *testing.T) {
	s := start(t, map[string]string{"ADMIN_LISTEN": "127.0.0.1:9000"})
	call(s.handler(), "POST", "/admin/fault", `{"errors":100}`)
	if f := s.faults.get(); f != (fault{}) {
		t.Errorf("users set the fault %+v; want the users' listener to have no /admin", f)
	}
	call(s.adminHandler(), "POST", "/admin/fault", `{"errors":100}`)
	if f := s.faults.get(); f.Errors != 100 {
		t.Errorf("the admin listener set %+v; want errors 100", f)
	}
}

func TestLatencyIsAddedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, map[string]string{"VERSION": "v1", "FAULT": "latency-300ms"})
		before := time.Now()
		call(s.handler(), "GET", "/", "")
		if took := time.Since(before); took != 300*time.Millisecond {
			t.Errorf("GET / took %v; want 300ms", took)
		}
		call(s.handler(), "GET", "/readyz", "")
		body := call(s.handler(), "GET", "/metrics", "").Body.String()
		for _, want := range []string{
			`http_requests_total{code="200",status="200",version="v1"} 1` + "\n",
			`http_request_duration_seconds_bucket{code="200",status="200",version="v1",le="0.25"} 0` + "\n",
			`http_request_duration_seconds_bucket{code="200",status="200",version="v1",le="0.5"} 1` + "\n",
			`http_request_duration_seconds_bucket{code="200",status="200",version="v1",le="+Inf"} 1` + "\n",
			`http_request_duration_seconds_sum{code="200",status="200",version="v1"} 0.3` + "\n",
		} {
			if !strings.Contains(body, want) {
				t.Errorf("metrics lack %q:\n%s", want, body)
			}
		}
	})
}

func TestCrashEndsTheProcess(t *testing.T) {
	s := start(t, map[string]string{"FAULT": "crash-1"})
	var exits []int
	s.exit = func(code int) { exits = append(exits, code) }
	call(s.handler(), "GET", "/", "")
	if len(exits) != 0 {
		t.Fatalf("the first request ended the process; want it served")
	}
	call(s.handler(), "GET", "/", "")
	if len(exits) != 1 || exits[0] != 1 {
		t.Errorf("exits = %v; want one with 1", exits)
	}
}
