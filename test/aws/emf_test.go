//go:build awse2e

package aws

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// embedded holds the lines that the functions wrote in CloudWatch's embedded metric format against what
// the dashboard and the alarms look at: namespace, names, no dimension.
func (w *world) embedded(t *testing.T) {
	data, err := os.ReadFile("../../infra/testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	if err := json.Unmarshal(data, &shown); err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for line := range strings.Lines(w.log.text()) {
		var e struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if !strings.Contains(line, `"_aws"`) || json.Unmarshal([]byte(line[max(0, strings.Index(line, "{")):]), &e) != nil {
			continue
		}
		for _, m := range e.AWS.CloudWatchMetrics {
			if diff := cmp.Diff([][]string{{}}, m.Dimensions); diff != "" || m.Namespace != "Stepcanary" {
				t.Errorf("namespace %q, dimensions (-want +got):\n%s", m.Namespace, diff)
			}
			for _, metric := range m.Metrics {
				written[metric.Name] = true
			}
		}
	}
	// The one end that a rollout does not come to here.
	shown = slices.DeleteFunc(shown, func(name string) bool { return name == "NeedsOperator" })
	if diff := cmp.Diff(shown, slices.Sorted(maps.Keys(written))); diff != "" {
		t.Errorf("metrics (-shown +written):\n%s", diff)
	}
}
