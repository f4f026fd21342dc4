package metrictest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

var nothing analysis.Counts

// Run puts a driver through the suite.
func Run(t *testing.T, open Open) {
	for name, m := range models() {
		t.Run(name, func(t *testing.T) {
			check(t, m, open(t, m))
		})
	}
	t.Run("the first deployment has no stable", func(t *testing.T) { first(t, open) })
	t.Run("an interval within the lag is not known", func(t *testing.T) { young(t, open) })
	t.Run("a part of the window tells the same", func(t *testing.T) { part(t, open) })
	t.Run("several may read at once", func(t *testing.T) { together(t, open) })
	t.Run("a window without an interval is empty", func(t *testing.T) { short(t, open) })
	t.Run("what cannot be read is refused", func(t *testing.T) { refused(t, open) })
	t.Run("a cancelled read is an error", func(t *testing.T) { cancelled(t, open) })
	t.Run("the pace can be kept", func(t *testing.T) { pace(t, open) })
}

// models are what may happen, by the sentence that the meter must keep.
func models() map[string]Model {
	steady := Row(4, Some(900, 9, 50, 3))
	with := func(versions map[string][]analysis.Counts) Model {
		return Model{Subject: Subject, Versions: versions}
	}
	return map[string]Model{
		"counts are exact": with(map[string][]analysis.Counts{
			"checkout-1": steady,
			"checkout-2": {Some(100, 0, 0, 0), Some(101, 1, 7, 1), Some(7, 7, 7, 7), Some(100000, 3, 5, 0)},
		}),
		"no requests are not the same as no data": with(map[string][]analysis.Counts{
			"checkout-1": steady,
			"checkout-2": {Some(5, 0), Some(0, 0), Some(0, 0), Some(5, 1)},
		}),
		"a silent version is not known": with(map[string][]analysis.Counts{
			"checkout-1": Row(8, Some(900, 9, 50, 3)),
			"checkout-2": {Some(100, 1), Some(100, 2), Some(100, 3), nothing, nothing, Some(100, 4), Some(100, 5), Some(100, 6)},
		}),
		"a version never seen is not known": with(map[string][]analysis.Counts{
			"checkout-1": steady,
		}),
		"a source without any data says so without an error": with(map[string][]analysis.Counts{
			"checkout-1": Row(3, nothing), "checkout-2": Row(3, nothing),
		}),
		"a version's first requests are counted": with(map[string][]analysis.Counts{
			"checkout-1": steady,
			"checkout-2": {nothing, nothing, Some(3, 3, 2, 1), Some(4, 0)},
		}),
		"names that are much alike are kept apart": with(map[string][]analysis.Counts{
			"checkout-1": steady, "checkout-2": Row(4, Some(100, 1)),
			"checkout-12": Row(4, Some(5000, 5000)), "checkout-20": Row(4, Some(5000, 5000)),
			"checkout-admin-2": Row(4, Some(7000, 7000)), "my-checkout-2": Row(4, Some(7000, 7000)),
			"checkout-2-1": Row(4, Some(7000, 7000)),
		}),
	}
}

func read(t *testing.T, meter metric.Meter, s metric.Subject, w metric.Window) []analysis.Interval {
	t.Helper()
	got, err := meter.Intervals(t.Context(), s, w)
	if err != nil {
		t.Fatalf("Intervals(%v, %v) = %v", s, w, err)
	}
	return got
}

func (m Model) window() metric.Window {
	return metric.Window{From: Start, To: m.End(), Every: Every, Bounds: Bounds}
}

// want is the model as a meter has to tell it.
func (m Model) want() []analysis.Interval {
	out := make([]analysis.Interval, m.Intervals())
	for i := range out {
		from := Start.Add(time.Duration(i) * Every)
		out[i] = analysis.Interval{From: from, To: from.Add(Every), Canary: m.at(m.Subject.Canary, i), Stable: m.at(m.Subject.Stable, i)}
	}
	return out
}

func (m Model) at(version string, i int) analysis.Counts {
	if row := m.Versions[version]; version != "" && i < len(row) {
		return row[i]
	}
	return nothing
}

func check(t *testing.T, m Model, meter metric.Meter) {
	t.Helper()
	got, want := read(t, meter, m.Subject, m.window()), m.want()
	// A source that keeps totals cannot tell what happened right after a gap.
	for i := range min(len(got), len(want)) {
		if after(m, m.Subject.Canary, i) && !got[i].Canary.Known {
			want[i].Canary = nothing
		}
		if after(m, m.Subject.Stable, i) && !got[i].Stable.Known {
			want[i].Stable = nothing
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Intervals() (-want +got):\n%s", diff)
	}
}

// after tells whether the interval follows, or precedes, a gap in what was
// known of the version.
func after(m Model, version string, i int) bool {
	known := func(i int) bool { return m.at(version, i).Known }
	earlier := slices.ContainsFunc(m.Versions[version][:min(i, len(m.Versions[version]))], func(c analysis.Counts) bool { return c.Known })
	return known(i) && earlier && i > 0 && !known(i-1) || known(i) && i+1 < m.Intervals() && !known(i+1)
}

func first(t *testing.T, open Open) {
	s := Subject
	s.Stable = ""
	m := Model{Subject: s, Versions: map[string][]analysis.Counts{
		"checkout-1": Row(3, Some(900, 900)), "checkout-2": Row(3, Some(100, 2, 5, 1)),
	}}
	check(t, m, open(t, m))
}

func young(t *testing.T, open Open) {
	m := Model{Subject: Subject, Age: -time.Second, Versions: map[string][]analysis.Counts{
		"checkout-1": Row(3, Some(900, 9)), "checkout-2": Row(3, Some(100, 1)),
	}}
	got := read(t, open(t, m), m.Subject, m.window())
	if len(got) != 3 || !got[1].Canary.Known || !got[1].Stable.Known || got[2].Canary.Known || got[2].Stable.Known {
		t.Errorf("Intervals() = %+v; want the last of 3 not known", got)
	}
}

func part(t *testing.T, open Open) {
	m := models()["counts are exact"]
	meter := open(t, m)
	w := m.window()
	whole := read(t, meter, m.Subject, w)
	for i := range whole {
		w.From, w.To = whole[i].From, whole[i].To
		if diff := cmp.Diff(whole[i:i+1], read(t, meter, m.Subject, w)); diff != "" {
			t.Errorf("interval %d, asked for alone (-in the whole +alone):\n%s", i, diff)
		}
	}
}

func together(t *testing.T, open Open) {
	m := models()["counts are exact"]
	meter := open(t, m)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			got, err := meter.Intervals(t.Context(), m.Subject, m.window())
			if diff := cmp.Diff(m.want(), got); err != nil || diff != "" {
				t.Errorf("Intervals() = %v (-want +got):\n%s", err, diff)
			}
		})
	}
	readers.Wait()
}

func short(t *testing.T, open Open) {
	m := models()["counts are exact"]
	meter := open(t, m)
	for _, to := range []time.Time{Start, Start.Add(Every - time.Second), Start.Add(-time.Hour)} {
		w := metric.Window{From: Start, To: to, Every: Every}
		if got := read(t, meter, m.Subject, w); len(got) != 0 {
			t.Errorf("Intervals(until %v) = %v; want none", to, got)
		}
	}
}

func refused(t *testing.T, open Open) {
	m := models()["counts are exact"]
	meter := open(t, m)
	for name, w := range map[string]metric.Window{
		"no interval":         {From: Start, To: m.End()},
		"a negative interval": {From: Start, To: m.End(), Every: -Every},
		"falling bounds":      {From: Start, To: m.End(), Every: Every, Bounds: []float64{1, 0.1}},
		"too many intervals":  {From: Start.Add(-1000 * 24 * time.Hour), To: m.End(), Every: Every},
	} {
		if got, err := meter.Intervals(t.Context(), m.Subject, w); fault.Of(err) != fault.Invalid || got != nil {
			t.Errorf("%s: Intervals() = %v, %v; want nothing and %v", name, got, err, fault.Invalid)
		}
	}
}

func cancelled(t *testing.T, open Open) {
	m := models()["counts are exact"]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := open(t, m).Intervals(ctx, m.Subject, m.window()); err == nil || got != nil {
		t.Errorf("Intervals() = %v, %v; want an error alone", got, err)
	}
}

func pace(t *testing.T, open Open) {
	p := open(t, models()["counts are exact"]).Pace()
	if p.Every <= 0 || p.Every > Every || p.Lag < 0 || p.Settle < 0 {
		t.Errorf("Pace() = %+v; want intervals of at most %v", p, Every)
	}
}
