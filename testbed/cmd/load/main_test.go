package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/testbed/load"
)

func TestFlagsReachTheRequests(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v1")
		if r.Host != "shop.example" || r.Method != "POST" || r.Header.Get("X-Canary") != "insider" || r.Header.Get("Cookie") != "a=1; b=2" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer srv.Close()
	var out strings.Builder
	code, err := run([]string{"-n", "10", "-host", "shop.example", "-method", "POST", "-H", "X-Canary: insider", "-cookie", "a=1", "-cookie", "b=2", "-o", "json", srv.URL}, &out)
	if code != 0 || err != nil {
		t.Fatalf("run = %d, %v", code, err)
	}
	var r load.Result
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if r.Sent != 10 || r.Failed != 0 || r.Versions["v1"].Status[200] != 10 {
		t.Errorf("result = %s; want 10 good answers of v1", out.String())
	}
}

func TestExitCodes(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer srv.Close()
	for name, tt := range map[string]struct {
		args []string
		code int
		err  string
	}{
		"bad answers are a result":         {[]string{"-n", "3", srv.URL}, 0, ""},
		"more failures than are allowed":   {[]string{"-n", "3", "-max-failed", "2", srv.URL}, 2, ""},
		"as many as are allowed":           {[]string{"-n", "3", "-max-failed", "3", srv.URL}, 0, ""},
		"no target":                        {[]string{"-n", "3"}, 1, "targets"},
		"another machine":                  {[]string{"-n", "3", "http://192.0.2.1/"}, 1, "loopback"},
		"a header without a value":         {[]string{"-H", "X", srv.URL}, 1, "expected Name: value"},
		"a form of output that is unknown": {[]string{"-o", "yaml", srv.URL}, 1, "expected text or json"},
	} {
		var out strings.Builder
		code, err := run(tt.args, &out)
		if code != tt.code || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: run(%q) = %d, %v; want %d, %q", name, tt.args, code, err, tt.code, tt.err)
		}
	}
}
