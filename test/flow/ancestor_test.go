package flow_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// filters are the metric filters of the pipeline before: in each minute the answers of all versions
// together, by their class.
type filters struct {
	*scene
	versions []string
}

func (f filters) GetMetricData(ctx context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	out := &cloudwatch.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		m := q.MetricStat.Metric
		class, service, _ := strings.Cut(aws.ToString(m.MetricName), "-")
		if ns := aws.ToString(m.Namespace); ns != "EnvoyPrometheus/ResponseCode" || service != "checkout" || len(m.Dimensions) > 0 {
			return nil, fmt.Errorf("nobody counts %s/%s %v", ns, aws.ToString(m.MetricName), m.Dimensions)
		}
		r := types.MetricDataResult{Id: q.Id, StatusCode: types.StatusCodeComplete}
		for from := *in.StartTime; from.Before(*in.EndTime); from = from.Add(time.Minute) {
			requests, errors := f.counted(ctx, from)
			value := errors
			if class == "2xx" {
				value = requests - errors
			}
			r.Timestamps, r.Values = append(r.Timestamps, from), append(r.Values, float64(value))
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
	}
	return out, nil
}

func (f filters) counted(ctx context.Context, from time.Time) (requests, errors int64) {
	for _, v := range f.versions {
		subject := metric.Subject{Namespace: service.Namespace, Service: service.Name, Route: route.Route, Canary: v}
		w := metric.Window{From: from, To: from.Add(time.Minute), Every: time.Minute}
		intervals, err := f.meter.Intervals(ctx, subject, w)
		if err != nil {
			f.Error(err)
		}
		for _, i := range intervals {
			requests, errors = requests+i.Canary.Requests, errors+i.Canary.Errors
		}
	}
	return requests, errors
}

// The seven fields of the pipeline before, judged by its metrics, which is where CloudWatch looks unless
// told otherwise: limits judge, and nothing waits for a stable version that nobody counts.
func TestAnAncestorsFileOnTheAncestorsMetrics(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors      float64
		fields      fields
		want, cause string
		serves      string
	}{
		"a good canary": {want: toReady + steps(4) + promoted, serves: "checkout-2"},
		"a bad canary": {
			errors: 0.2, want: toReady + steps(1) + back, serves: "checkout-1", cause: "failed",
		},
		"errors within its threshold": {
			errors: 0.001, fields: fields{"failure_threshold_value": 1000}, want: toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"a comparison alone, which nothing could answer": {
			fields: fields{"analysis": fields{}}, want: "Prepare Refused", serves: "checkout-1", cause: "limits alone",
		},
		"pace by evidence, which there is none of": {
			fields: fields{"pace": "evidence"}, want: "Prepare Refused", serves: "checkout-1", cause: "pace evidence",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			set, err := queries.OpenCloudWatch("")
			if err != nil {
				t.Fatal(err)
			}
			s.Source = meter.New(meter.Options{Client: filters{s, []string{"checkout-1", "checkout-2"}}, Queries: set, Clock: s.clock})
			doc := fields{"metrics": nil, "failure_threshold_value": 0, "failure_threshold_time": 300}
			if tt.fields["analysis"] != nil {
				doc = fields{"metrics": nil}
			}
			for k, v := range tt.fields {
				doc[k] = v
			}
			e := s.run(doc)
			if e.path != tt.want || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s (%s)\nwant %s (%s)", e.path, e.cause, tt.want, tt.cause)
			}
			s.settled(tt.serves)
		})
	}
}
