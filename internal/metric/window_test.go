package metric_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestPaceWindow(t *testing.T) {
	since := time.Date(2026, 11, 21, 9, 0, 12, 0, time.UTC)
	at := func(d time.Duration) time.Time { return since.Add(d) }
	second := metric.Pace{Every: time.Second, Lag: 2 * time.Second}
	minute := metric.Pace{Every: time.Minute, Lag: 2 * time.Minute, Grid: time.Minute}
	for name, tt := range map[string]struct {
		pace           metric.Pace
		age, every     time.Duration
		from, to, next time.Duration
		length         time.Duration
	}{
		"all that is closed":               {second, 10 * time.Second, 0, 0, 8 * time.Second, 11 * time.Second, time.Second},
		"nothing is closed yet":            {second, 2900 * time.Millisecond, 0, 0, 0, 3 * time.Second, time.Second},
		"longer intervals where asked for": {second, 13 * time.Second, 5 * time.Second, 0, 10 * time.Second, 17 * time.Second, 5 * time.Second},
		"never shorter than the source's":  {minute, 6 * time.Minute, time.Second, 48 * time.Second, 228 * time.Second, 408 * time.Second, time.Minute},
		"a multiple of the source's":       {minute, 6 * time.Minute, 90 * time.Second, 48 * time.Second, 168 * time.Second, 408 * time.Second, 2 * time.Minute},
		"by the source's grid":             {minute, 3 * time.Minute, 0, 48 * time.Second, 48 * time.Second, 228 * time.Second, time.Minute},
		"no more than may be asked for":    {second, time.Hour, 0, 0, 20 * time.Second, 23 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w, next, ok := tt.pace.Window(since, at(tt.age), tt.every, 20)
			want := metric.Window{From: at(tt.from), To: at(tt.to), Every: tt.length}
			if diff := cmp.Diff(want, w); diff != "" || !next.Equal(at(tt.next)) || ok != (tt.to > tt.from) {
				t.Errorf("Window() = %v, %v (-want +got):\n%s", next.Sub(since), ok, diff)
			}
			spans, err := w.Spans()
			if (len(spans) > 0) != ok || err != nil {
				t.Errorf("Spans() = %d, %v; want %v", len(spans), err, ok)
			}
		})
	}
}
