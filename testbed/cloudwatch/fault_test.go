package cloudwatch_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/smithy-go"

	"github.com/stepcanary/stepcanary/testbed/cloudwatch"
)

func TestFaults(t *testing.T) {
	for kind, check := range map[string]func(*sdk.GetMetricDataOutput, error) bool{
		cloudwatch.Throttle:   func(_ *sdk.GetMetricDataOutput, err error) bool { return code(err) == "Throttling" },
		cloudwatch.Internal:   func(_ *sdk.GetMetricDataOutput, err error) bool { return code(err) == "InternalServiceError" },
		cloudwatch.Denied:     func(_ *sdk.GetMetricDataOutput, err error) bool { return code(err) == "AccessDenied" },
		cloudwatch.Unavail:    func(_ *sdk.GetMetricDataOutput, err error) bool { return err != nil },
		cloudwatch.Garbage:    func(_ *sdk.GetMetricDataOutput, err error) bool { return err != nil },
		cloudwatch.Silent:     func(out *sdk.GetMetricDataOutput, err error) bool { return err == nil && is(out, "Complete", 0) },
		cloudwatch.SeriesFail: func(out *sdk.GetMetricDataOutput, err error) bool { return err == nil && is(out, "InternalError", 0) },
		cloudwatch.Partial:    func(out *sdk.GetMetricDataOutput, err error) bool { return err == nil && is(out, "PartialData", 1) },
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t, cloudwatch.Options{})
			b.put(t, "m", 0, 1)
			b.put(t, "m", time.Minute, 1)
			if err := b.Inject(cloudwatch.Fault{Operation: "GetMetricData", Kind: kind, Times: 1}); err != nil {
				t.Fatal(err)
			}
			if out, err := b.get(t, query("q", "m", "Sum")); !check(out, err) {
				t.Errorf("first call: %+v, %v; want the fault", out, err)
			}
			if out, err := b.get(t, query("q", "m", "Sum")); err != nil || !is(out, "Complete", 2) {
				t.Errorf("second call: %+v, %v; want the fault spent", out, err)
			}
		})
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func is(out *sdk.GetMetricDataOutput, status string, n int) bool {
	r := out.MetricDataResults[0]
	return string(r.StatusCode) == status && len(r.Values) == n
}

func TestFaultsOverHTTP(t *testing.T) {
	b := newBench(t, cloudwatch.Options{})
	for body, want := range map[string]int{
		`{"kind":"slow","for":"1ms"}`:                     200,
		`{"kind":"slow"}`:                                 400,
		`{"kind":"slow","for":"2"}`:                       400,
		`{"kind":"sloow"}`:                                400,
		`{"kind":"throttle","times":-1}`:                  400,
		`{"kind":"silent","operation":"PutMetricData"}`:   400,
		`{"kind":"throttle","oops":1}`:                    400,
		`{"kind":"throttle","operation":"GetMetricData"}`: 200,
	} {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest("POST", "/testbed/fault", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("POST /testbed/fault %s = %d %s; want %d", body, w.Code, w.Body, want)
		}
	}
	b.Heal()
	if _, err := b.get(t, query("q", "m", "Sum")); err != nil {
		t.Errorf("after Heal: %v", err)
	}
}
