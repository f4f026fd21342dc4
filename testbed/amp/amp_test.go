package amp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// signing is how a client signs.
type signing struct {
	key, secret, service, region string
	at                           time.Time
}

var right = signing{"AKIDEXAMPLE", "secret", Service, "eu-west-1", now}

// request makes a signed POST of a query; change may alter it afterwards.
func request(t *testing.T, base string, s signing, change func(*http.Request)) *http.Request {
	t.Helper()
	form := url.Values{"query": {`sum(rate(a{b="c d"}[1m]))`}}.Encode()
	r, err := http.NewRequest(http.MethodPost, base+"/workspaces/ws-1/api/v1/query?timeout=1s", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(form))
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret}, r,
		hex.EncodeToString(sum[:]), s.service, s.region, s.at)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	return r
}

func TestProxy(t *testing.T) {
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, body, r.Header.Get("Authorization"))
	}))
	defer prometheus.Close()
	handler, err := New(Options{Prometheus: prometheus.URL, Workspace: "ws-1", Region: right.region, AccessKey: right.key,
		SecretKey: right.secret, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(handler)
	defer proxy.Close()
	for name, tt := range map[string]struct {
		sign   signing
		change func(*http.Request)
		status int
		want   string
	}{
		"a rightly signed query passes": {sign: right, status: 200, want: "/api/v1/query query=sum"},
		"a header added on the way is no harm": {sign: right, status: 200, want: "/api/v1/query",
			change: func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.1") }},
		"no signature": {sign: right, status: 403, want: "Missing Authentication Token",
			change: func(r *http.Request) { r.Header.Del("Authorization") }},
		"a bearer token": {sign: right, status: 403, want: "not a Signature",
			change: func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") }},
		"another secret":  {sign: signing{right.key, "wrong", Service, right.region, now}, status: 403, want: "does not match"},
		"another key":     {sign: signing{"AKIDOTHER", right.secret, Service, right.region, now}, status: 403, want: "security token"},
		"another service": {sign: signing{right.key, right.secret, "es", right.region, now}, status: 403, want: "correct service"},
		"another region":  {sign: signing{right.key, right.secret, Service, "us-east-1", now}, status: 403, want: "valid region"},
		"an old signature": {sign: signing{right.key, right.secret, Service, right.region, now.Add(-6 * time.Minute)},
			status: 403, want: "expired"},
		"a changed query": {sign: right, status: 403, want: "does not match",
			change: func(r *http.Request) { r.URL.RawQuery = "timeout=2s" }},
		"a changed body": {sign: right, status: 403, want: "does not match",
			change: func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader("query=up")), int64(len("query=up"))
			}},
		"another workspace": {sign: right, status: 403, want: "does not match",
			change: func(r *http.Request) { r.URL.Path = "/workspaces/ws-2/api/v1/query" }},
	} {
		t.Run(name, func(t *testing.T) {
			answer, err := http.DefaultClient.Do(request(t, proxy.URL, tt.sign, tt.change))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s; want %d with %q", answer.StatusCode, body, tt.status, tt.want)
			}
			if strings.Contains(string(body), "AWS4-HMAC") {
				t.Errorf("%s: the signature went on to Prometheus", body)
			}
		})
	}
}
