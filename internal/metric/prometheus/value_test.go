package prometheus_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/prometheus"
)

func TestValue(t *testing.T) {
	vector := func(values ...string) string {
		var series []string
		for _, v := range values {
			series = append(series, `{"metric":{},"value":[1,"`+v+`"]}`)
		}
		return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(series, ",") + `]}}`
	}
	data := func(kind, result string) string {
		return `{"status":"success","data":{"resultType":"` + kind + `","result":` + result + `}}`
	}
	for name, tt := range map[string]struct {
		body  string
		value float64
		known bool
		kind  fault.Kind
	}{
		"one series":                 {body: vector("0.25"), value: 0.25, known: true},
		"a scalar":                   {body: data("scalar", `[1,"3"]`), value: 3, known: true},
		"a range of one series":      {body: data("matrix", `[{"metric":{},"values":[[1,"3"],[2,"4"]]}]`), value: 4, known: true},
		"nothing":                    {body: vector()},
		"an empty range":             {body: data("matrix", `[{"metric":{},"values":[]}]`)},
		"NaN":                        {body: vector("NaN")},
		"an infinity":                {body: vector("+Inf")},
		"a scalar that is no number": {body: data("scalar", `[1,"NaN"]`)},
		"several series":             {body: vector("1", "1"), kind: fault.Invalid},
		"a string":                   {body: data("string", `[1,"3"]`), kind: fault.Invalid},
		"something else":             {body: `{}`, kind: fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			value, known, err := meterOn(t, answering(http.StatusOK, tt.body), prometheus.Options{}).Value(t.Context(), metrictest.Subject, "q", two)
			if value != tt.value || known != tt.known || tt.kind == "" && err != nil || tt.kind != "" && fault.Of(err) != tt.kind {
				t.Errorf("Value() = %v, %v, %v; want %v, %v, %v", value, known, err, tt.value, tt.known, tt.kind)
			}
		})
	}
}

func TestValueFillsInTheNames(t *testing.T) {
	asked := ""
	w := wire(func(r *http.Request) (*http.Response, error) {
		_ = r.ParseForm()
		asked = r.Form.Get("query") + " at " + r.Form.Get("time")
		return response(http.StatusOK, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`), nil
	})
	m := meterOn(t, w, prometheus.Options{})
	if _, _, err := m.Value(t.Context(), metrictest.Subject, `sum(increase(lag{pod=~"${VERSION}-.+"}[${WINDOW}]))`, two); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`sum(increase(lag{pod=~"checkout-2-.+"}[120s])) at %d.000`, two.To.Unix())
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	asked = ""
	if _, _, err := m.Value(t.Context(), metrictest.Subject, "${PASSWORD}", two); fault.Of(err) != fault.Invalid || asked != "" {
		t.Errorf("Value(an unknown placeholder) = %v, asked %q; want %v and no question", err, asked, fault.Invalid)
	}
}

func TestBoundsAreBuckets(t *testing.T) {
	m := metrictest.Model{Versions: map[string][]counts{"checkout-1": metrictest.Row(3, metrictest.Some(10, 0))}}
	s := told(m)
	w := wire(func(r *http.Request) (*http.Response, error) {
		r.URL.Path = "/prefix" + r.URL.Path
		return serve(s, r), nil
	})
	meter := meterOn(t, w, prometheus.Options{Clock: clock.NewVirtual(m.End())})
	got, err := meter.Bounds(t.Context(), metrictest.Subject, []float64{0.05, 0.1, 0.3, 0.7, 2})
	if diff := cmp.Diff([]float64{0.1, 0.5, 1}, got); err != nil || diff != "" {
		t.Errorf("Bounds() = %v (-want +got):\n%s", err, diff)
	}
}

// A canary that answers slower than its limit must not pass because the source cuts elsewhere: a
// bound without a bucket counts by the one below, and below the first one nothing is known.
func TestABoundWithoutABucketCountsNoSlowRequestAsFast(t *testing.T) {
	m := metrictest.Model{Subject: metrictest.Subject, Versions: map[string][]counts{
		"checkout-1": metrictest.Row(3, metrictest.Some(10, 0)), "checkout-2": metrictest.Row(3, metrictest.Some(10, 0, 7, 3)),
	}}
	s := told(m)
	w := wire(func(r *http.Request) (*http.Response, error) {
		r.URL.Path = "/prefix" + r.URL.Path
		return serve(s, r), nil
	})
	for name, tt := range map[string]struct {
		bounds []float64
		slow   []int64
	}{
		"at a bucket":                       {[]float64{0.1}, []int64{7}},
		"0.7 s counts above 0.5 s, not 1 s": {[]float64{0.7}, []int64{7}},
		"30 s counts above 1 s, the last":   {[]float64{30}, []int64{3}},
		"50 ms is below the first":          {[]float64{0.05}, nil},
		"one that tells nothing tells all":  {[]float64{0.05, 1}, nil},
	} {
		window := two
		window.Bounds = tt.bounds
		got, err := meterOn(t, w, prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, window)
		if err != nil || got[0].Canary.Requests != 10 {
			t.Errorf("%s: Intervals() = %+v, %v; want 10 requests", name, got, err)
			continue
		}
		if diff := cmp.Diff(tt.slow, got[0].Canary.Slow); diff != "" {
			t.Errorf("%s: slow requests (-want +got):\n%s", name, diff)
		}
	}
}

func TestVersionsAreCutAtBoundsThatBothHave(t *testing.T) {
	bucket := func(version, le string, values [4]string) string {
		return strings.Replace(one(version, "200", values), `"code"`, `"le":"`+le+`","code"`, 1)
	}
	zero := [4]string{"0", "0", "10", "20"}
	body := `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join([]string{
		bucket("checkout-1", "0.5", zero), bucket("checkout-1", "1", zero), bucket("checkout-1", "+Inf", zero),
		bucket("checkout-2", "1.5", [4]string{"0", "0", "9", "9"}), bucket("checkout-2", "1", [4]string{"0", "0", "7", "7"}), bucket("checkout-2", "+Inf", zero),
	}, ",") + `]}}`
	w := two
	w.Bounds = []float64{2}
	got, err := meterOn(t, answering(http.StatusOK, body), prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, w)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]int64{{3}, {0}}, [][]int64{got[0].Canary.Slow, got[0].Stable.Slow}); diff != "" {
		t.Errorf("slow above 1 s, the highest bound of both (-want +got):\n%s", diff)
	}
}
