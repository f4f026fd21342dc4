package cloudwatch_test

import (
	"math"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// told is a CloudWatch that tells the model by version-scoped metrics. Like the
// real one it has points only where something was counted.
func told(m metrictest.Model) *fake {
	f := &fake{}
	above := func(n int64) float64 {
		if n == 0 {
			return math.NaN()
		}
		return float64(n)
	}
	for _, version := range m.Names() {
		service := metrictest.Service(version)
		if version == "checkout-2-1" {
			service = "checkout"
		}
		dims := map[string]string{"ClusterName": "demo", "Namespace": "shop", "Service": service, "Version": version}
		for i, c := range m.Versions[version] {
			if !c.Known {
				continue
			}
			at := metrictest.Start.Add(time.Duration(i) * metrictest.Every)
			f.put(key("Stepcanary", "RequestCount", "Sum", dims), at, float64(c.Requests))
			f.put(key("Stepcanary", "ErrorCount", "Sum", dims), at, above(c.Errors))
			f.put(key("Stepcanary", "ResponseTime", "SampleCount", dims), at, above(c.Requests))
			f.put(key("Stepcanary", "ResponseTime", "TC(0.1:)", dims), at, above(c.Slow[0]))
			f.put(key("Stepcanary", "ResponseTime", "TC(1:)", dims), at, above(c.Slow[1]))
		}
	}
	return f
}

func opened(t *testing.T, f *fake, set string, now time.Time) *cloudwatch.Meter {
	t.Helper()
	q, err := queries.OpenCloudWatch(set)
	if err != nil {
		t.Fatal(err)
	}
	return cloudwatch.New(cloudwatch.Options{Client: f.client(), Queries: q, Clock: clock.NewVirtual(now)})
}

func TestMeter(t *testing.T) {
	for name, pageSize := range map[string]int{"in one page": 0, "in many pages": 1} {
		t.Run(name, func(t *testing.T) {
			metrictest.Run(t, func(t *testing.T, m metrictest.Model) metric.Meter {
				f := told(m)
				f.pageSize = pageSize
				return opened(t, f, "stepcanary", m.Now(cloudwatch.DefaultLag))
			})
		})
	}
}
