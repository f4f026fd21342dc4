package cloudwatch_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// A bench is a stand-in with a clock of its own and the real client.
type bench struct {
	*cloudwatch.Server
	client *sdk.Client
	clock  atomic.Pointer[time.Time]
}

func newBench(t *testing.T, o cloudwatch.Options, options ...func(*sdk.Options)) *bench {
	t.Helper()
	b := &bench{}
	b.set(noon)
	o.Now = func() time.Time { return *b.clock.Load() }
	b.Server = cloudwatch.New(o)
	srv := httptest.NewServer(b.Server)
	t.Cleanup(srv.Close)
	b.client = sdk.New(sdk.Options{
		BaseEndpoint: aws.String(srv.URL), Region: "eu-west-1", RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
	}, options...)
	return b
}

func (b *bench) set(now time.Time) { b.clock.Store(&now) }

// put publishes values of one metric at a time after noon.
func (b *bench) put(t *testing.T, name string, after time.Duration, values ...float64) {
	t.Helper()
	b.set(noon.Add(after))
	for _, v := range values {
		_, err := b.client.PutMetricData(t.Context(), &sdk.PutMetricDataInput{
			Namespace:  aws.String("EnvoyPrometheus/ResponseCode"),
			MetricData: []types.MetricDatum{{MetricName: aws.String(name), Timestamp: aws.Time(noon.Add(after)), Value: aws.Float64(v)}},
		})
		if err != nil {
			t.Fatalf("PutMetricData: %v", err)
		}
	}
}

func query(id, name, stat string, dims ...types.Dimension) types.MetricDataQuery {
	namespace := cloudwatch.AncestorNamespace
	if len(dims) == 4 { // those of a version
		namespace = cloudwatch.VersionNamespace
	}
	return types.MetricDataQuery{Id: aws.String(id), MetricStat: &types.MetricStat{
		Metric: &types.Metric{Namespace: aws.String(namespace), MetricName: aws.String(name), Dimensions: dims},
		Period: aws.Int32(60), Stat: aws.String(stat)}}
}

func (b *bench) get(t *testing.T, queries ...types.MetricDataQuery) (*sdk.GetMetricDataOutput, error) {
	t.Helper()
	return b.client.GetMetricData(t.Context(), &sdk.GetMetricDataInput{MetricDataQueries: queries,
		StartTime: aws.Time(noon.Add(-10 * time.Minute)), EndTime: aws.Time(noon.Add(10 * time.Minute)), ScanBy: types.ScanByTimestampAscending})
}

// values gives a series as minute after noon -> value.
func values(r types.MetricDataResult) map[float64]float64 {
	out := map[float64]float64{}
	for i, at := range r.Timestamps {
		out[at.Sub(noon).Minutes()] = r.Values[i]
	}
	return out
}

func TestStatisticsPerMinute(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	b.put(t, "5xx-yelb", 10*time.Second, 1, 2, 6)
	b.put(t, "5xx-yelb", 59*time.Second, 3)
	b.put(t, "5xx-yelb", 60*time.Second, 7)
	for stat, want := range map[string]map[float64]float64{
		"Sum":         {0: 12, 1: 7},
		"SampleCount": {0: 4, 1: 1},
		"Average":     {0: 3, 1: 7},
		"Minimum":     {0: 1, 1: 7},
		"Maximum":     {0: 6, 1: 7},
		"p50":         {0: 2, 1: 7},
		"p99":         {0: 6, 1: 7},
		"TC(2:)":      {0: 2, 1: 1},
		"TC(1:3)":     {0: 2, 1: 0},
		"TC(:1)":      {0: 1, 1: 0},
	} {
		out, err := b.get(t, query("q", "5xx-yelb", stat))
		if err != nil {
			t.Fatalf("%s: %v", stat, err)
		}
		if d := cmp.Diff(want, values(out.MetricDataResults[0])); d != "" {
			t.Errorf("%s (-want +got):\n%s", stat, d)
		}
		if got := out.MetricDataResults[0].StatusCode; got != types.StatusCodeComplete {
			t.Errorf("%s: status %q; want Complete", stat, got)
		}
	}
}

func TestPublishedSetsAndDimensions(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	dims := []types.Dimension{{Name: aws.String("Service"), Value: aws.String("yelb")}, {Name: aws.String("Version"), Value: aws.String("yelb-2")}}
	_, err := b.client.PutMetricData(t.Context(), &sdk.PutMetricDataInput{Namespace: aws.String("EnvoyPrometheus/ResponseCode"), MetricData: []types.MetricDatum{
		{MetricName: aws.String("m"), Dimensions: dims, Values: []float64{1, 5}, Counts: []float64{3, 2}},
		{MetricName: aws.String("m"), Dimensions: dims, StatisticValues: &types.StatisticSet{SampleCount: aws.Float64(4), Sum: aws.Float64(10), Minimum: aws.Float64(0), Maximum: aws.Float64(9)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.get(t, query("sum", "m", "Sum", dims[1], dims[0]), query("count", "m", "SampleCount", dims...), query("max", "m", "Maximum", dims...),
		query("p99", "m", "p99", dims...), query("other", "m", "Sum", dims[0]), query("bare", "m", "Sum"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[float64]float64{}
	for _, r := range out.MetricDataResults {
		got[*r.Id] = values(r)
	}
	want := map[string]map[float64]float64{"sum": {0: 23}, "count": {0: 9}, "max": {0: 9},
		"p99": {}, "other": {}, "bare": {}} // no percentile of statistics; no merging over dimensions
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("series (-want +got):\n%s", d)
	}
}

func TestDataAreSeenAfterTheDelay(t *testing.T) {
	b := newBench(t, cloudwatch.Options{Delay: 2 * time.Minute})
	b.put(t, "m", 0, 1)
	b.put(t, "m", 30*time.Second, 1)
	for after, want := range map[time.Duration]map[float64]float64{
		119 * time.Second: {}, 120 * time.Second: {0: 1}, 150 * time.Second: {0: 2},
	} {
		b.set(noon.Add(after))
		out, err := b.get(t, query("q", "m", "Sum"))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, values(out.MetricDataResults[0])); d != "" {
			t.Errorf("%v after noon (-want +got):\n%s", after, d)
		}
	}
}

func TestWindowBeginsInclusiveAndEndsExclusive(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	for m := range 4 {
		b.put(t, "m", time.Duration(m)*time.Minute, float64(m))
	}
	out, err := b.client.GetMetricData(t.Context(), &sdk.GetMetricDataInput{MetricDataQueries: []types.MetricDataQuery{query("q", "m", "Sum")},
		StartTime: aws.Time(noon.Add(90 * time.Second)), EndTime: aws.Time(noon.Add(3 * time.Minute))})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float64{2, 1}, out.MetricDataResults[0].Values); d != "" {
		t.Errorf("newest first by default, start cut to the minute, end exclusive (-want +got):\n%s", d)
	}
}

func TestShortResolution(t *testing.T) {
	b := newBench(t, cloudwatch.Options{Resolution: time.Second})
	b.put(t, "m", 3*time.Second, 1)
	b.put(t, "m", 4*time.Second, 1)
	q := query("q", "m", "Sum")
	q.MetricStat.Period = aws.Int32(1)
	out, err := b.get(t, q)
	if err != nil || len(out.MetricDataResults[0].Values) != 2 {
		t.Fatalf("period 1: %+v, %v; want two points", out, err)
	}
	b = newBench(t, cloudwatch.Options{})
	b.put(t, "m", 3*time.Second, 1)
	b.put(t, "m", 4*time.Second, 1)
	out, err = b.get(t, q)
	if err != nil || len(out.MetricDataResults[0].Values) != 1 {
		t.Fatalf("period 1 of a standard metric: %+v, %v; want its one minute", out, err)
	}
}

func TestPages(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	for m := range 5 {
		b.put(t, "a", time.Duration(m)*time.Minute, float64(m))
		b.put(t, "b", time.Duration(m)*time.Minute, float64(10+m))
	}
	p := sdk.NewGetMetricDataPaginator(b.client, &sdk.GetMetricDataInput{MaxDatapoints: aws.Int32(3), ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{query("a", "a", "Sum"), query("b", "b", "Sum")},
		StartTime:         aws.Time(noon), EndTime: aws.Time(noon.Add(10 * time.Minute))})
	got, statuses := map[string][]float64{}, map[string][]types.StatusCode{}
	for p.HasMorePages() {
		out, err := p.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			got[*r.Id] = append(got[*r.Id], r.Values...)
			statuses[*r.Id] = append(statuses[*r.Id], r.StatusCode)
		}
	}
	if d := cmp.Diff(map[string][]float64{"a": {0, 1, 2, 3, 4}, "b": {10, 11, 12, 13, 14}}, got); d != "" {
		t.Errorf("all pages (-want +got):\n%s", d)
	}
	if s := statuses["b"]; len(s) != 4 || s[0] != types.StatusCodePartialData || s[3] != types.StatusCodeComplete {
		t.Errorf("b's statuses = %v; want PartialData until the fourth and last page", s)
	}
}

func TestLargeRequestsAreCompressed(t *testing.T) {
	b := newBench(t, cloudwatch.Options{}, func(o *sdk.Options) { o.RequestMinCompressSizeBytes = 10 })
	b.put(t, "m", 0, 4)
	out, err := b.get(t, query("q", "m", "Sum"))
	if err != nil || len(out.MetricDataResults[0].Values) != 1 {
		t.Errorf("after a compressed PutMetricData: %+v, %v; want its value", out, err)
	}
}

func TestUnsignedAndUnknownCallsAreRefused(t *testing.T) {
	s := cloudwatch.New(cloudwatch.Options{})
	for name, tt := range map[string]struct {
		path, target, auth string
		want               int
	}{
		"without a signature":    {"/service/GraniteServiceVersion20100801/operation/GetMetricData", "", "", 403},
		"for another service":    {"/service/GraniteServiceVersion20100801/operation/GetMetricData", "", "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/sts/aws4_request", 403},
		"an unknown operation":   {"/service/GraniteServiceVersion20100801/operation/ListMetrics", "", "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/monitoring/aws4_request", 404},
		"awsQuery":               {"/", "", "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/monitoring/aws4_request", 404},
		"JSON that is not there": {"/", "GraniteServiceVersion20100801.GetMetricData", "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/monitoring/aws4_request", 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, tt.path, nil)
			r.Header.Set("X-Amz-Target", tt.target)
			r.Header.Set("Authorization", tt.auth)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("POST %s = %d %q; want %d", tt.path, w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestAWSJSON(t *testing.T) {
	b := newBench(t, cloudwatch.Options{}, func(o *sdk.Options) { o.Protocol = awsjson.New10(schemas.GraniteServiceVersion20100801) })
	b.put(t, "m", 0, 2.5)
	out, err := b.get(t, query("q", "m", "Sum"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[float64]float64{0: 2.5}, values(out.MetricDataResults[0])); d != "" {
		t.Errorf("over awsJson1_0 (-want +got):\n%s", d)
	}
	if err := b.Inject(cloudwatch.Fault{Kind: cloudwatch.Throttle}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.get(t, query("q", "m", "Sum")); !strings.HasPrefix(code(err), "Throttling") {
		t.Errorf("throttled: %v; want Throttling", err)
	}
}

func TestStartListensOnLoopbackOnly(t *testing.T) {
	if _, err := cloudwatch.Start(t.Context(), "0.0.0.0:0", cloudwatch.Options{}); err == nil {
		t.Error("Start(0.0.0.0:0) was let through; want a refusal")
	}
	s, err := cloudwatch.Start(t.Context(), "127.0.0.1:0", cloudwatch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(s.URL+"/", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}
