package prometheus_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/prometheus"
)

type counts = analysis.Counts

// serve gives the source's answer to a request without a network.
func serve(s *source, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// FuzzPrometheus feeds the meter answers that nobody wrote: it must not panic,
// must give counts that agree with themselves, and must never know anything
// about an interval that ends with a value that is no count.
func FuzzPrometheus(f *testing.F) {
	for _, v := range [][2]string{{"5", "9"}, {"9", "5"}, {"NaN", "1"}, {"1", "+Inf"}, {"-1", "-0"}, {"1e308", "0x1p-2"}, {"", "infinity"}} {
		f.Add([]byte(matrix(map[string][4]string{"200": {"1", v[0], v[1], "3"}, "500": {"", "", "1", "1"}})), v[0], v[1])
	}
	f.Add([]byte(`{"status":"success","data":{"resultType":"matrix","result":[{"metric":null,"values":[[1e400,"1"]]}]}}`), "1", "2")
	f.Add([]byte(`{"status":"success","data":{"resultType":"vector","result":[{"value":null}]}}`), "1", "2")
	f.Add([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"NaN"]}}`), "1", "2")
	bounded := two
	bounded.Bounds = []float64{0.1, 1}
	f.Fuzz(func(t *testing.T, body []byte, a, b string) {
		if len(body)+len(a)+len(b) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		m := meterOn(t, answering(http.StatusOK, string(body)), prometheus.Options{})
		ivs, err := m.Intervals(t.Context(), metrictest.Subject, bounded)
		if kind := fault.Of(err); err != nil && (kind != fault.Invalid && kind != fault.Transient || ivs != nil) {
			t.Errorf("Intervals(%s) = %v, %v; want an error of a kind, alone", body, ivs, err)
		}
		for _, iv := range ivs {
			agree(t, iv.Canary)
			agree(t, iv.Stable)
		}
		if v, known, err := m.Value(t.Context(), metrictest.Subject, "q", two); known && (err != nil || math.IsNaN(v) || math.IsInf(v, 0)) {
			t.Errorf("Value(%s) = %v, %v, %v", body, v, known, err)
		}
		written, err := json.Marshal([2]string{a, b})
		if err != nil || json.Unmarshal(written, &[2]string{}) != nil {
			return
		}
		ivs, err = meterOn(t, answering(http.StatusOK, matrix(map[string][4]string{"200": {"1", a, b, "3"}})), prometheus.Options{}).
			Intervals(t.Context(), metrictest.Subject, two)
		if err == nil && len(ivs) == 2 && ivs[0].Canary.Known && !(count(a) && count(b)) {
			t.Errorf("a canary's counter that goes from %q to %q is known: %+v", a, b, ivs[0])
		}
	})
}

// count tells whether a counter may have that value, or none.
func count(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	return err == nil && v >= 0 && !math.IsInf(v, 0)
}

func agree(t *testing.T, c counts) {
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
