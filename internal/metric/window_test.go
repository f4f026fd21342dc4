package metric_test

import (
	"math"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

func TestSpansCoverTheWindowUpToTheLastWholeInterval(t *testing.T) {
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		length time.Duration
		want   int
	}{
		"a window of whole intervals":          {30 * time.Second, 3},
		"a rest is left for later":             {39 * time.Second, 3},
		"a window shorter than an interval":    {9 * time.Second, 0},
		"an empty window":                      {0, 0},
		"a window that ends before it begins":  {-time.Hour, 0},
		"the largest window that may be asked": {metric.MaxSpans * 10 * time.Second, metric.MaxSpans},
	} {
		t.Run(name, func(t *testing.T) {
			spans, err := metric.Window{From: start, To: start.Add(tt.length), Every: 10 * time.Second}.Spans()
			if err != nil || len(spans) != tt.want {
				t.Fatalf("Spans() = %d spans, %v; want %d", len(spans), err, tt.want)
			}
			for i, s := range spans {
				if from := start.Add(time.Duration(i) * 10 * time.Second); !s.From.Equal(from) || !s.To.Equal(from.Add(10*time.Second)) {
					t.Fatalf("span %d = %v; want it to begin at %v and to last 10 s", i, s, from)
				}
			}
		})
	}
}

func TestSpansRefuseWhatCannotBeRead(t *testing.T) {
	for name, w := range map[string]metric.Window{
		"no interval":           {To: time.Unix(10, 0)},
		"too many intervals":    {From: time.Unix(0, 0), To: time.Unix(metric.MaxSpans+1, 0), Every: time.Second},
		"a bound of zero":       {Every: time.Second, Bounds: []float64{0}},
		"bounds that fall":      {Every: time.Second, Bounds: []float64{2, 1}},
		"a bound twice":         {Every: time.Second, Bounds: []float64{1, 1}},
		"a bound not a number":  {Every: time.Second, Bounds: []float64{math.NaN()}},
		"a bound without bound": {Every: time.Second, Bounds: []float64{1, math.Inf(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			if spans, err := w.Spans(); fault.Of(err) != fault.Invalid {
				t.Errorf("Spans() = %d spans, %v; want %v", len(spans), err, fault.Invalid)
			}
		})
	}
}
