package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

func (b *bed) template() []byte {
	b.Helper()
	text, err := os.ReadFile("../../specfiles/podlet/kubernetes_template.yml")
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestAGoodVersionIsPromotedAndNoRequestFails(t *testing.T) {
	b := newBed(t)
	host, fields := b.serve("good")
	u := b.visit(host)
	d := b.end(b.begin("good", "podlet:v2", fields))
	time.Sleep(time.Second) // of real users
	failed, all, _ := u.leave()
	if d.Status != asl.Succeeded || failed > 0 || u.count["v2 200"] == 0 {
		t.Errorf("%s (%s), %d of %d requests failed: %v", d.Status, cause(d), failed, all, u.count)
	}
}

func TestABadVersionIsRolledBack(t *testing.T) {
	for name, tt := range map[string]struct {
		image, says string // what the reason has, or the other
		most        int    // failed requests of those 100 a second
	}{
		"errors":      {"podlet:v2_errors-20", "failed", 40},
		"only errors": {"podlet:v2_errors-100", "failed", 99},
		// Its pods end together or one after the other.
		"crash loop":   {"podlet:v2_crash-120", "no ready pod|CrashLoopBackOff", 204},
		"never ready":  {"podlet:v2_notready", "0 of 2 pods ready", 0},
		"unknown name": {"nosuch:v2", "ImagePull", 0},
		"wrong port":   {"podlet:v2_wrongport", "pods ready", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			service := strings.ReplaceAll(name, " ", "-")
			host, fields := b.serve(service)
			fields["deadlines"] = map[string]any{"ready": "10s"}
			if name == "crash loop" { // requests that break with a pod must not speak before Kubernetes does
				fields["analysis"] = map[string]any{"compare": false, "limits": []any{map[string]any{"metric": "error-rate", "max": "100%"}}}
			}
			u := b.visit(host)
			d := b.end(b.begin(service, tt.image, fields))
			time.Sleep(time.Second) // of real users
			failed, all, lasted := u.leave()
			if d.Status != asl.Failed || d.Error == nil || *d.Error != "Canary.RolledBack" || !regexp.MustCompile(tt.says).MatchString(cause(d)) {
				t.Errorf("%s, %q; want it rolled back for %q", d.Status, cause(d), tt.says)
			}
			if failed > tt.most {
				t.Errorf("%d of %d requests failed in %v; at most %d are expected: %v", failed, all, lasted, tt.most, u.count)
			}
			t.Logf("%s: %d of %d requests failed, from first to last %v", cause(d), failed, all, lasted.Round(10*time.Millisecond))
		})
	}
}

// hold waits until the execution holds at a weight, and gives what finds its token.
func (b *bed) hold(arn string) func() string {
	b.Helper()
	find := func() (state, token string) {
		events, err := b.engine.History(arn, 0, 1000, false, true)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			switch {
			case strings.HasSuffix(e.Type, "StateEntered"):
				state, token = e.Details.Name, ""
			case e.Type == "TaskScheduled":
				var p struct{ Payload struct{ Token string } }
				_ = json.Unmarshal([]byte(e.Details.Parameters), &p)
				token = p.Payload.Token
			}
		}
		return state, token
	}
	for range 300 {
		if state, token := find(); token != "" && (state == "HealthCheck" || state == "Hold") {
			return func() string { _, token := find(); return token }
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.Fatal("the rollout does not hold")
	return nil
}
