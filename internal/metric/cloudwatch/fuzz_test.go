package cloudwatch_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// A body answers every request with the same bytes.
type body []byte

func (b body) Do(*http.Request) (*http.Response, error) { return reply(http.StatusOK, b), nil }

// FuzzCloudWatch feeds the meter answers that CloudWatch never gave, and points of any value: it
// must not panic, must give errors that have a kind, and counts that agree with themselves.
func FuzzCloudWatch(f *testing.F) {
	complete := func(status string, values ...float64) []byte {
		var times, list cbor.List
		for _, v := range values {
			times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(float64(one.From.Unix()))})
			list = append(list, cbor.Float64(v))
		}
		return cbor.Encode(cbor.Map{"MetricDataResults": cbor.List{cbor.Map{
			"Id": cbor.String("m0"), "StatusCode": cbor.String(status), "Timestamps": times, "Values": list,
		}}})
	}
	f.Add(complete("Complete", 5), 100.0, 3.0)
	f.Add(complete("PartialData", 5, 6), -1.0, math.Inf(1))
	f.Add(complete("Forbidden"), math.NaN(), 0.0)
	f.Add(cbor.Encode(cbor.Map{"NextToken": cbor.String("again")}), 1e300, 1e300)
	f.Add([]byte{0xff, 0xa1}, 0.1, 0.2)
	bounded := one
	bounded.Bounds = []float64{0.5}
	f.Fuzz(func(t *testing.T, answer []byte, requests, failed float64) {
		if len(answer) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		client := awscloudwatch.New(awscloudwatch.Options{
			Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", ""),
			HTTPClient: body(answer), Retryer: aws.NopRetryer{},
		})
		counted := &fake{}
		counted.put(key("Stepcanary", "RequestCount", "Sum", canary), one.From, requests)
		counted.put(key("Stepcanary", "ErrorCount", "Sum", canary), one.From, failed)
		for _, client := range []*awscloudwatch.Client{client, counted.client()} {
			ivs, err := meterOf(t, client).Intervals(t.Context(), metrictest.Subject, bounded)
			if kind := fault.Of(err); err != nil && (kind != fault.Invalid && kind != fault.Transient || ivs != nil) {
				t.Errorf("Intervals() = %v, %v; want an error of a kind, alone", ivs, err)
			}
			for _, iv := range ivs {
				agree(t, iv.Canary)
				agree(t, iv.Stable)
			}
		}
	})
}

func meterOf(t *testing.T, c *awscloudwatch.Client) *cloudwatch.Meter {
	t.Helper()
	set, err := queries.OpenCloudWatch("stepcanary")
	if err != nil {
		t.Fatal(err)
	}
	return cloudwatch.New(cloudwatch.Options{Client: c, Queries: set, Clock: clock.NewVirtual(one.To.Add(time.Hour))})
}

func agree(t *testing.T, c analysis.Counts) {
	t.Helper()
	if !c.Known && (c.Requests != 0 || c.Errors != 0 || c.Slow != nil) {
		t.Errorf("%+v is not known, and has counts", c)
	}
	if c.Requests < 0 || c.Errors < 0 || c.Errors > c.Requests {
		t.Errorf("%+v contradicts itself", c)
	}
	for _, n := range c.Slow {
		if n < 0 || n > c.Requests {
			t.Errorf("%+v contradicts itself", c)
		}
	}
}
