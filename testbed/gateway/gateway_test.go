package gateway_test

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/testbed/gateway"
	"github.com/stepcanary/stepcanary/testbed/layout"
)

// The bed counts answers at the very limit of the service that it shows, not at a bucket near by.
func TestTheSamplesLatencyLimitIsABucket(t *testing.T) {
	data, err := os.ReadFile("../../specfiles/podlet/deploy.json")
	if err != nil {
		t.Fatal(err)
	}
	var sample struct {
		Analysis struct {
			Limits []struct {
				Metric string
				Max    any
			}
		}
	}
	if err := json.Unmarshal(data, &sample); err != nil {
		t.Fatal(err)
	}
	var buckets []string
	for _, a := range gateway.Arguments(&layout.Layout{}) {
		if list, ok := strings.CutPrefix(a, "--metrics.prometheus.buckets="); ok {
			buckets = strings.Split(list, ",")
		}
	}
	seen := 0
	for _, l := range sample.Analysis.Limits {
		if l.Metric != "latency" {
			continue
		}
		seen++
		limit, err := time.ParseDuration(l.Max.(string))
		if err != nil {
			t.Fatal(err)
		}
		if want := strconv.FormatFloat(limit.Seconds(), 'f', -1, 64); !slices.Contains(buckets, want) {
			t.Errorf("the limit %v is none of the buckets %v", limit, buckets)
		}
	}
	if seen == 0 {
		t.Error("the sample has no latency limit")
	}
}
