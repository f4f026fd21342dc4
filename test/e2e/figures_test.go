package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// TestFigures measures rollouts of each kind at the settings of docs/figures.md: four steps of 10 s at
// 10, 20, 30 and 50 %, 100 requests a second. Each kind but the long ones runs five times, one after the other, and its
// row has the medians, with the least and the most of what matters. It needs a bed with --audit to itself.
func TestFigures(t *testing.T) {
	if os.Getenv("STEPCANARY_FIGURES") != "1" {
		t.Skip("figures are taken by scripts/bench")
	}
	limits := map[string]any{
		"min_requests": 10, "compare": false, "limits": []any{map[string]any{"metric": "error-rate", "max": "1%"}},
	}
	for _, tt := range []struct {
		name, image string
		analysis    map[string]any
		ends        asl.Status
		runs        int
	}{
		{"good", "podlet:v2", limits, asl.Succeeded, 1},
		{"good-default", "podlet:v2", nil, asl.Succeeded, 1},
		{"bad20", "podlet:v2_errors-20", limits, asl.Failed, 5},
		{"bad20-default", "podlet:v2_errors-20", nil, asl.Failed, 5},
		{"bad100", "podlet:v2_errors-100", limits, asl.Failed, 5},
		{"bad100-default", "podlet:v2_errors-100", nil, asl.Failed, 5},
		{"crash", "podlet:v2_crash-210", limits, asl.Failed, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t)
			var all []figure
			for i := range tt.runs {
				service := fmt.Sprintf("figure-%s-%d", tt.name, i+1)
				f := b.measure(service, tt.image, tt.analysis)
				if f.status != tt.ends {
					t.Errorf("%s (%s), want %s", f.status, f.cause, tt.ends)
				}
				t.Logf("%s: %.1f s, bad for %.1f s, %d failed: %s", service, f.took, f.lasted, int(f.failed), f.cause)
				all = append(all, f)
			}
			took, lasted := spread(all, func(f figure) float64 { return f.took }), spread(all, func(f figure) float64 { return f.lasted })
			failed := spread(all, func(f figure) float64 { return f.failed })
			over, whole := "-", "-"
			if tt.ends == asl.Succeeded {
				over = spread(all, func(f figure) float64 { return f.over }) + " s"
				whole = spread(all, func(f figure) float64 { return f.whole }) + " s"
			}
			t.Logf("| %s | %s | %s s | %s | %s | %s s | %s | %s (%s) |", tt.name, tt.ends, took, over, whole, lasted, failed,
				spread(all, func(f figure) float64 { return f.asked }), spread(all, func(f figure) float64 { return f.wrote }))
		})
	}
}

// A figure is what one rollout took, in seconds, cost users, in requests, and asked of the API server.
type figure struct {
	status                                          asl.Status
	cause                                           string
	took, over, whole, lasted, failed, asked, wrote float64
}

// measure deploys version 1 of a service and takes the figure of the rollout of an image after it.
func (b *bed) measure(service, image string, analysis map[string]any) figure {
	b.Helper()
	host, fields := b.serve(service)
	const hold, bake, drain = 10 * time.Second, time.Second, 2 * time.Second
	fields["steps"], fields["wait_time"] = []any{10, 20, 30, 50, 100}, hold.String()
	fields["bake"], fields["drain"] = bake.String(), drain.String()
	if delete(fields, "analysis"); analysis != nil {
		fields["analysis"] = analysis
	}
	u := b.visit(host)
	time.Sleep(time.Second) // of users on version 1
	began := time.Now()
	d := b.end(b.begin(service, image, fields))
	took := time.Since(began)
	time.Sleep(time.Second) // of users after it
	failed, _, lasted := u.leave()
	requests := b.requests(began, began.Add(took))
	return figure{
		status: d.Status, cause: cause(d), took: took.Seconds(), over: (took - 4*hold - bake - drain).Seconds(),
		whole:  u.lastOf["v1"].Sub(began).Seconds(), // when all users were on the new version
		lasted: lasted.Seconds(), failed: float64(failed), asked: float64(requests.all), wrote: float64(requests.writes),
	}
}

// spread is the median, with the least and the most where there are several: "1.2 (0.8-1.9)".
func spread(all []figure, of func(figure) float64) string {
	var v []float64
	for _, f := range all {
		v = append(v, of(f))
	}
	slices.Sort(v)
	short := func(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }
	if len(v) == 1 || v[0] == v[len(v)-1] {
		return short(v[len(v)/2])
	}
	return fmt.Sprintf("%s (%s-%s)", short(v[len(v)/2]), short(v[0]), short(v[len(v)-1]))
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
