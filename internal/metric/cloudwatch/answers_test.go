package cloudwatch_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awscloudwatch "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

var canary = map[string]string{"ClusterName": "demo", "Namespace": "shop", "Service": "checkout", "Version": "checkout-2"}

// one is a window of one minute.
var one = metric.Window{From: metrictest.Start, To: metrictest.Start.Add(time.Minute), Every: time.Minute}

func TestWhatEachPointMeans(t *testing.T) {
	gap := math.NaN()
	for name, tt := range map[string]struct {
		requests, errors, timed, slow float64
		want                          analysis.Counts
	}{
		"requests and errors":            {100, 3, gap, gap, analysis.Counts{Requests: 100, Errors: 3, Known: true}},
		"no error point is no errors":    {100, gap, gap, gap, analysis.Counts{Requests: 100, Known: true}},
		"zero requests are known":        {0, gap, gap, gap, analysis.Counts{Known: true, Slow: []int64{0}}},
		"no request point is no data":    {gap, 3, 9, 9, analysis.Counts{}},
		"more errors than requests":      {3, 100, gap, gap, analysis.Counts{}},
		"a negative":                     {-1, gap, gap, gap, analysis.Counts{}},
		"negative errors":                {100, -1, gap, gap, analysis.Counts{}},
		"an infinity":                    {math.Inf(1), gap, gap, gap, analysis.Counts{}},
		"more than can be believed":      {1e300, gap, gap, gap, analysis.Counts{}},
		"slow requests":                  {100, gap, 100, 7, analysis.Counts{Requests: 100, Known: true, Slow: []int64{7}}},
		"no slow point is none slow":     {100, gap, 100, gap, analysis.Counts{Requests: 100, Known: true, Slow: []int64{0}}},
		"no response times are not zero": {100, gap, gap, gap, analysis.Counts{Requests: 100, Known: true}},
		"negative slow requests":         {100, gap, 100, -1, analysis.Counts{Requests: 100, Known: true}},
		"more slow ones than requests":   {100, gap, 101, 101, analysis.Counts{Requests: 100, Known: true, Slow: []int64{100}}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			f.put(key("Stepcanary", "RequestCount", "Sum", canary), one.From, tt.requests)
			f.put(key("Stepcanary", "ErrorCount", "Sum", canary), one.From, tt.errors)
			f.put(key("Stepcanary", "ResponseTime", "SampleCount", canary), one.From, tt.timed)
			f.put(key("Stepcanary", "ResponseTime", "TC(0.5:)", canary), one.From, tt.slow)
			w := one
			w.Bounds = []float64{0.5}
			got, err := opened(t, f, "stepcanary", one.To.Add(time.Hour)).Intervals(t.Context(), metrictest.Subject, w)
			if err != nil || len(got) != 1 {
				t.Fatalf("Intervals() = %v, %v", got, err)
			}
			if diff := cmp.Diff(tt.want, got[0].Canary); diff != "" {
				t.Errorf("canary (-want +got):\n%s", diff)
			}
			if len(f.calls) != 1 {
				t.Errorf("%d calls; want one for both versions", len(f.calls))
			}
		})
	}
}

func TestAPointThatIsNoNumberIsNotKnown(t *testing.T) {
	f := &fake{}
	f.put(key("Stepcanary", "RequestCount", "Sum", canary), one.From, 1)
	f.bend = func(out cbor.Map) {
		out["MetricDataResults"].(cbor.List)[0].(cbor.Map)["Values"] = cbor.List{cbor.Float64(math.NaN())}
	}
	got, err := opened(t, f, "stepcanary", one.To.Add(time.Hour)).Intervals(t.Context(), metrictest.Subject, one)
	if err != nil || got[0].Canary.Known {
		t.Errorf("Intervals() = %+v, %v; want the canary not known", got, err)
	}
}

func TestWhatEachAnswerMeans(t *testing.T) {
	status := func(code string) func(cbor.Map) {
		return func(out cbor.Map) {
			out["MetricDataResults"].(cbor.List)[1].(cbor.Map)["StatusCode"] = cbor.String(code)
		}
	}
	for name, tt := range map[string]struct {
		bend func(cbor.Map)
		kind fault.Kind
		want string
	}{
		"a series that may not be read": {status("Forbidden"), fault.Invalid, "metric ErrorCount: Canary.Invalid: CloudWatch answered Forbidden"},
		"a series in part":              {status("PartialData"), fault.Transient, "answered PartialData"},
		"a series that failed":          {status("InternalError"), fault.Transient, "answered InternalError"},
		"a status that is new":          {status("Tired"), fault.Transient, "answered Tired"},
		"a series left out": {func(out cbor.Map) {
			out["MetricDataResults"] = out["MetricDataResults"].(cbor.List)[1:]
		}, fault.Transient, "metric RequestCount: Canary.Transient: CloudWatch did not answer for it"},
		"a message": {func(out cbor.Map) {
			out["Messages"] = cbor.List{cbor.Map{"Code": cbor.String("Busy"), "Value": cbor.String("come again")}}
		}, fault.Transient, "in part: Busy: come again"},
		"moments without values": {func(out cbor.Map) {
			out["MetricDataResults"].(cbor.List)[0].(cbor.Map)["Values"] = cbor.List{}
		}, fault.Transient, "1 moments with 0 values"},
		"pages without end": {func(out cbor.Map) { out["NextToken"] = cbor.String("1") }, fault.Transient, "more than 50 pages"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{bend: tt.bend}
			f.put(key("Stepcanary", "RequestCount", "Sum", canary), one.From, 100)
			got, err := opened(t, f, "stepcanary", one.To.Add(time.Hour)).Intervals(t.Context(), metrictest.Subject, one)
			if got != nil || fault.Of(err) != tt.kind || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Intervals() = %v, %v; want %v with %q", got, err, tt.kind, tt.want)
			}
		})
	}
}

// A wire answers the SDK's client.
type wire func(*http.Request) (*http.Response, error)

func (w wire) Do(r *http.Request) (*http.Response, error) { return w(r) }

func TestWhatEachErrorMeans(t *testing.T) {
	refusal := func(status int, code string) wire {
		return func(*http.Request) (*http.Response, error) {
			return reply(status, cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + code), "message": cbor.String("no")})), nil
		}
	}
	for name, tt := range map[string]struct {
		wire wire
		kind fault.Kind
	}{
		"throttling":         {refusal(400, "ThrottlingException"), fault.Transient},
		"another throttling": {refusal(400, "RequestLimitExceeded"), fault.Transient},
		"an internal error":  {refusal(500, "InternalServiceFault"), fault.Transient},
		"an outage":          {func(*http.Request) (*http.Response, error) { return reply(503, []byte("<html>")), nil }, fault.Transient},
		"no connection":      {func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("connection refused") }, fault.Transient},
		"a time-out":         {func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }, fault.Transient},
		"no protocol":        {func(*http.Request) (*http.Response, error) { return reply(200, []byte("\xff?")), nil }, fault.Transient},
		"no permission":      {refusal(403, "AccessDeniedException"), fault.Invalid},
		"an expired token":   {refusal(403, "ExpiredTokenException"), fault.Invalid},
		"a wrong signature": {func(*http.Request) (*http.Response, error) {
			return reply(403, cbor.Encode(cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#SignatureDoesNotMatch"), "message": cbor.String("you sent wJalrXUtnFEMI")})), nil
		}, fault.Invalid},
		"a bad query": {refusal(400, "InvalidParameterValueException"), fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := awscloudwatch.New(awscloudwatch.Options{
				Region: "eu-west-1", HTTPClient: tt.wire, Retryer: aws.NopRetryer{},
				Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", ""),
			})
			set, err := queries.OpenCloudWatch("stepcanary")
			if err != nil {
				t.Fatal(err)
			}
			m := cloudwatch.New(cloudwatch.Options{Client: client, Queries: set, Clock: clock.NewVirtual(one.To.Add(time.Hour))})
			got, err := m.Intervals(t.Context(), metrictest.Subject, one)
			if got != nil || fault.Of(err) != tt.kind || strings.Contains(fmt.Sprint(err), "wJalrXUtnFEMI") {
				t.Errorf("Intervals() = %v, %v; want %v", got, err, tt.kind)
			}
		})
	}
}

func TestAWindowBeginsAtAWholeMinute(t *testing.T) {
	f := &fake{}
	for i := range 6 {
		f.put(key("Stepcanary", "RequestCount", "Sum", canary), metrictest.Start.Add(time.Duration(i)*time.Minute), float64(10+i))
	}
	w := metric.Window{From: metrictest.Start.Add(20 * time.Second), To: metrictest.Start.Add(5*time.Minute + 20*time.Second), Every: 2 * time.Minute}
	got, err := opened(t, f, "stepcanary", metrictest.Start.Add(time.Hour)).Intervals(t.Context(), metrictest.Subject, w)
	if err != nil {
		t.Fatal(err)
	}
	want := []analysis.Interval{
		{From: metrictest.Start.Add(time.Minute), To: metrictest.Start.Add(3 * time.Minute), Canary: analysis.Counts{Requests: 23, Known: true}},
		{From: metrictest.Start.Add(3 * time.Minute), To: metrictest.Start.Add(5 * time.Minute), Canary: analysis.Counts{Requests: 27, Known: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Intervals() (-want +got):\n%s", diff)
	}
	w.Every = 90 * time.Second
	if _, err := opened(t, f, "stepcanary", metrictest.Start).Intervals(t.Context(), metrictest.Subject, w); fault.Of(err) != fault.Invalid {
		t.Errorf("Intervals(every 90 s) = %v; want %v", err, fault.Invalid)
	}
}

func TestTheAncestorsMetricsStandForTheWholeService(t *testing.T) {
	f := &fake{}
	f.put(key("EnvoyPrometheus/ResponseCode", "2xx-checkout", "Sum", nil), one.From, 90)
	f.put(key("EnvoyPrometheus/ResponseCode", "5xx-checkout", "Sum", nil), one.From, 10)
	m := opened(t, f, "ancestor", one.To.Add(time.Hour))
	got, err := m.Intervals(t.Context(), metrictest.Subject, one)
	want := []analysis.Interval{{From: one.From, To: one.To, Canary: analysis.Counts{Requests: 100, Errors: 10, Known: true}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" || !m.Unscoped() {
		t.Errorf("Intervals() = %v, unscoped %v (-want +got):\n%s", err, m.Unscoped(), diff)
	}
}

func TestTheLagIsTwoMinutes(t *testing.T) {
	f := &fake{}
	f.put(key("Stepcanary", "RequestCount", "Sum", canary), one.From, 100)
	for age, known := range map[time.Duration]bool{2 * time.Minute: true, 2*time.Minute - time.Second: false} {
		got, err := opened(t, f, "stepcanary", one.To.Add(age)).Intervals(t.Context(), metrictest.Subject, one)
		if err != nil || got[0].Canary.Known != known {
			t.Errorf("Intervals() %v after the minute = %+v, %v; want known %v", age, got, err, known)
		}
	}
}
