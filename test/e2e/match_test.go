package e2e_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// versions sends n requests with these headers and counts the versions that answer; "bad" are
// those without an answer of the service.
func (b *bed) versions(n int, host string, headers ...string) map[string]int {
	b.Helper()
	seen := map[string]int{}
	for range n {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, b.gateway, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Host = host
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Add(name, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			seen["bad"]++
			continue
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			seen["bad"]++
			continue
		}
		seen[resp.Header.Get("X-Version")]++
	}
	return seen
}

// At 1 % all requests with the header or the cookie reach the canary, and next to none without; when
// the rollout has ended, either way, the header makes no difference any more.
func TestChosenRequestsReachTheCanary(t *testing.T) {
	chosen := map[string][]string{
		"the header": {"X-Canary: always"}, "the cookie among others": {"Cookie: theme=dark; beta=yes; lang=de"},
	}
	others := map[string][]string{
		"nothing": nil, "another value": {"X-Canary: never"}, "another cookie": {"Cookie: alphabeta=yes; beta=yesterday"},
	}
	for name, tt := range map[string]struct {
		kind, request string // what the person sends
		status        asl.Status
		serves        string
	}{
		"aborted":  {"Canary.Aborted", "by a test", asl.Failed, "v1"},
		"promoted": {"Canary.Asked", `{"id":"1","request":"promote"}`, asl.Succeeded, "v2"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			host, fields := b.serve("chosen-" + name)
			fields["steps"], fields["wait_time"], fields["bake"] = []any{1, 100}, "1m", "3s"
			fields["match"] = []any{
				map[string]any{"headers": []any{map[string]any{"name": "X-Canary", "value": "always"}}},
				map[string]any{"cookies": []any{map[string]any{"name": "beta", "regex": "yes|on"}}},
			}
			u := b.visit(host)
			arn := b.begin("chosen-"+name, "podlet:v2", fields)
			token := b.hold(arn)
			time.Sleep(time.Second) // the gateway may take up the route a moment after its status says so
			for what, headers := range chosen {
				if seen := b.versions(50, host, headers...); seen["v2"] != 50 {
					t.Errorf("with %s %v answered; want v2 alone", what, seen)
				}
			}
			for what, headers := range others {
				if seen := b.versions(100, host, headers...); seen["v2"] > 15 || seen["v1"]+seen["v2"] != 100 {
					t.Errorf("with %s %v answered; want v1, and about one v2", what, seen)
				}
			}
			if err := b.engine.SendTaskFailure(token(), asl.Failure{Error: &tt.kind, Cause: &tt.request}); err != nil {
				t.Fatal(err)
			}
			d := b.end(arn)
			if d.Status != tt.status {
				t.Errorf("%s (%s); want %s", d.Status, cause(d), tt.status)
			}
			time.Sleep(time.Second) // of real users
			for what, headers := range chosen {
				if seen := b.versions(20, host, headers...); seen[tt.serves] != 20 {
					t.Errorf("in the end, with %s, %v answered; want %s", what, seen, tt.serves)
				}
			}
			if failed, all, _ := u.leave(); failed > 0 {
				t.Errorf("%d of %d requests failed: %v", failed, all, u.count)
			}
		})
	}
}
