package e2e_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// TestFigures measures one rollout of each kind at the settings of docs/figures.md: four steps of
// 10 s at 10, 20, 30 and 50 %, 100 requests a second. It needs a bed with --audit to itself.
func TestFigures(t *testing.T) {
	if os.Getenv("STEPCANARY_FIGURES") != "1" {
		t.Skip("figures are taken by scripts/bench")
	}
	limits := map[string]any{
		"min_requests": 10, "compare": false, "limits": []any{map[string]any{"metric": "error-rate", "max": "1%"}},
	}
	both := maps.Clone(limits)
	delete(both, "compare")
	for _, tt := range []struct {
		name, image string
		analysis    map[string]any
		ends        asl.Status
	}{
		{"good", "podlet:v2", limits, asl.Succeeded},
		{"bad20", "podlet:v2_errors-20", limits, asl.Failed},
		{"bad100", "podlet:v2_errors-100", limits, asl.Failed},
		{"crash", "podlet:v2_crash-210", limits, asl.Failed},
		{"bad20-compared", "podlet:v2_errors-20", both, asl.Failed},
		{"bad100-compared", "podlet:v2_errors-100", both, asl.Failed},
		{"bad20-default", "podlet:v2_errors-20", nil, asl.Failed},
		{"bad100-default", "podlet:v2_errors-100", nil, asl.Failed},
		{"good-compared", "podlet:v2", both, asl.Succeeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			service := "figure-" + tt.name
			host, fields := b.serve(service)
			const hold, bake, drain = 10 * time.Second, time.Second, 2 * time.Second
			fields["steps"], fields["wait_time"] = []any{10, 20, 30, 50, 100}, hold.String()
			fields["bake"], fields["drain"] = bake.String(), drain.String()
			if delete(fields, "analysis"); tt.analysis != nil {
				fields["analysis"] = tt.analysis
			}
			u := b.visit(host)
			time.Sleep(time.Second) // of users on version 1
			began := time.Now()
			d := b.end(b.begin(service, tt.image, fields))
			took := time.Since(began)
			time.Sleep(time.Second) // of users after it
			failed, all, lasted := u.leave()
			requests := b.requests(began, began.Add(took))
			if d.Status != tt.ends {
				t.Errorf("%s (%s), want %s", d.Status, cause(d), tt.ends)
			}
			over, whole := "-", "-" // whole is when all users were on the new version
			if d.Status == asl.Succeeded {
				whole = u.lastOf["v1"].Sub(began).Round(100 * time.Millisecond).String()
				over = (took - 4*hold - bake - drain).Round(100 * time.Millisecond).String()
			}
			t.Logf("| %s | %s | %.1f s | %s | %s | %.1f s | %d of %d | %d (%d) |", tt.name, d.Status, took.Seconds(), over,
				whole, lasted.Seconds(), failed, all, requests.all, requests.writes)
			t.Logf("%s: %s", tt.name, cause(d))
		})
	}
}

// asked are the engine's requests to the API server.
type asked struct{ all, writes int }

// requests counts in the bed's audit log what the engine asked between two times, watches left out.
func (b *bed) requests(from, to time.Time) (n asked) {
	b.Helper()
	file, err := os.Open(filepath.Join(os.Getenv("TESTBED_DIR"), "audit.log"))
	if err != nil {
		b.Fatal("no audit log: ", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e struct {
			Stage, Verb, UserAgent   string
			RequestReceivedTimestamp time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			b.Fatal(err)
		}
		if e.Stage != "ResponseComplete" || !strings.HasPrefix(e.UserAgent, "stepcanary/") || e.Verb == "watch" ||
			e.RequestReceivedTimestamp.Before(from) || e.RequestReceivedTimestamp.After(to) {
			continue
		}
		n.all++
		if e.Verb != "get" && e.Verb != "list" {
			n.writes++
		}
	}
	return n
}
