package spec_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/meters"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/specfiles"
)

// What the document says about metrics is what package meters reads.
func TestMetricsAreWhatMetersRead(t *testing.T) {
	f, err := spec.Load("../../specfiles/checkout")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(f.Spec.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	c, err := meters.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := meters.Check(c); err != nil {
		t.Errorf("Check(%s) = %v", data, err)
	}
	if c.Auth.SigV4 == nil || c.Auth.SigV4.Service != "aps" || time.Duration(c.Lag) != 20*time.Second {
		t.Errorf("meters read %+v from %s", c, data)
	}
	empty, err := json.Marshal(spec.Metrics{})
	if err != nil || string(empty) != "{}" {
		t.Errorf("metrics without a word are %s, %v; want {}", empty, err)
	}
}

// The schema names every set of queries that there is, and no other.
func TestQuerySets(t *testing.T) {
	var schema struct {
		Defs struct {
			Metrics struct {
				Properties struct {
					Queries struct{ Enum []string }
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(specfiles.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	named := schema.Defs.Metrics.Properties.Queries.Enum
	var known []string
	_, err1 := queries.OpenPrometheus("?")
	_, err2 := queries.OpenCloudWatch("?")
	for _, err := range []error{err1, err2} {
		if err == nil {
			t.Fatal("the set ? is known")
		}
		_, list, _ := strings.Cut(err.Error(), " knows ")
		known = append(known, strings.Split(list, ", ")...)
	}
	slices.Sort(named)
	slices.Sort(known)
	if !slices.Equal(named, known) {
		t.Errorf("the schema names %v; package queries knows %v", named, known)
	}
}

// Parse takes the variables that queries.Fill fills in, and no other.
func TestQueryVariables(t *testing.T) {
	subject := metric.Subject{Cluster: "c", Namespace: "n", Service: "s", Route: "r", Canary: "s-2", Stable: "s-1"}
	window := metric.Window{From: time.Unix(0, 0), To: time.Unix(60, 0)}
	for _, name := range []string{"CLUSTER", "NAMESPACE", "SERVICE", "ROUTE", "VERSION", "STABLE", "WINDOW", "CANARY", "version", "", "FROM"} {
		query := "x{a=\"${" + name + "}\"}"
		_, fill := queries.Fill(query, subject, window)
		_, parse := spec.Parse("deploy.json", fmt.Appendf(nil, `{%s, "percentage_step": 10, "wait_time": 60, "metrics": {"query": {"q": %q}}}`, head, query))
		if (fill == nil) != (parse == nil) {
			t.Errorf("${%s}: Fill says %v, Parse says %v", name, fill, parse)
		}
	}
}
