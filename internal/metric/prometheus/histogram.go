package prometheus

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// A histogram is the buckets of both versions, by version and upper bound.
type histogram struct {
	tracks map[string]map[float64][]track
	// cuts has the bucket for each bound that was asked for, in the source's unit;
	// NaN where the buckets begin above it.
	cuts []float64
	all  []track
}

// histogram sorts the buckets. Both versions are cut at the same bounds, so
// only those that both have are used.
func (m *Meter) histogram(buckets []track, s metric.Subject, bounds []float64) histogram {
	h := histogram{tracks: map[string]map[float64][]track{}, all: buckets}
	for _, name := range []string{s.Canary, s.Stable} {
		mine := m.queries.Version(s, name)
		for _, t := range buckets {
			le, err := strconv.ParseFloat(t.labels["le"], 64)
			if err != nil || math.IsNaN(le) || !mine(t.labels) {
				continue
			}
			if h.tracks[name] == nil {
				h.tracks[name] = map[float64][]track{}
			}
			h.tracks[name][le] = append(h.tracks[name][le], t)
		}
	}
	h.cuts = m.cuts(common(h.tracks), bounds)
	return h
}

// common are the finite bounds that every version has which has any, rising.
func common(tracks map[string]map[float64][]track) []float64 {
	seen := map[float64]int{}
	for _, byBound := range tracks {
		for le := range byBound {
			if !math.IsInf(le, 0) {
				seen[le]++
			}
		}
	}
	var les []float64
	for le, n := range seen {
		if n == len(tracks) {
			les = append(les, le)
		}
	}
	slices.Sort(les)
	return les
}

// cuts finds the bucket for each bound in seconds: its own, or the next below. By the next
// above, a version that breaks its bound would be seen as keeping it.
func (m *Meter) cuts(les, bounds []float64) []float64 {
	cuts := make([]float64, len(bounds))
	for i, b := range bounds {
		cuts[i] = math.NaN()
		wanted := b / m.queries.Unit
		for _, le := range les {
			// 0.1 s and 100 ms are the same bound, whatever floating point makes of it.
			if le > 0 && le <= wanted*(1+1e-9) {
				cuts[i] = le
			}
		}
	}
	return cuts
}

// slow counts a version's requests above each cut, nil where that cannot be
// told. Counters and buckets may be read a moment apart, so there are never
// more slow requests than requests.
func (h histogram) slow(name string, from int, requests int64) []int64 {
	if len(h.cuts) == 0 || len(h.tracks[name]) == 0 {
		return nil
	}
	alive := aliveAt(h.all, from)
	all, ok := risen(h.tracks[name][math.Inf(1)], from, alive)
	if !ok {
		return nil
	}
	out := make([]int64, len(h.cuts))
	for i, cut := range h.cuts {
		// A cut that is NaN has no bucket.
		below, ok := risen(h.tracks[name][cut], from, alive)
		n, fits := whole(all - below)
		if !ok || !fits {
			return nil
		}
		out[i] = min(n, requests)
	}
	return out
}

// risen adds up the rises of one bucket's series. It is false where there is none.
func risen(tracks []track, from int, alive bool) (float64, bool) {
	sum, any := 0.0, false
	for _, t := range tracks {
		n, state := t.rise(from, alive)
		switch state {
		case contradiction:
			return 0, false
		case present:
			sum += n
			any = true
		}
	}
	return sum, any
}

// Bounds tells at which seconds slower requests are counted when the wanted
// bounds are asked for, by the buckets that the source has now.
func (m *Meter) Bounds(ctx context.Context, s metric.Subject, wanted []float64) ([]float64, error) {
	if err := queries.Check(s); err != nil {
		return nil, err
	}
	if _, err := (metric.Window{Every: 1, Bounds: wanted}).Spans(); err != nil {
		return nil, err
	}
	if m.queries.Buckets == "" {
		return nil, fmt.Errorf("latency bounds: %w: queries %q have no histogram", fault.Invalid, m.queries.Name)
	}
	query := "count by (le) (" + m.queries.Select(m.queries.Buckets, s) + ")"
	d, err := m.ask(ctx, "/api/v1/query", url.Values{"query": {query}, "time": {seconds(m.options.Clock.Now())}})
	if err != nil {
		return nil, fmt.Errorf("read bounds of %s: %w", m.queries.Buckets, err)
	}
	var les []float64
	for _, series := range d.series {
		if le, err := strconv.ParseFloat(series.Metric["le"], 64); err == nil && !math.IsInf(le, 0) && !math.IsNaN(le) {
			les = append(les, le)
		}
	}
	slices.Sort(les)
	var out []float64
	for _, cut := range m.cuts(les, wanted) {
		if !math.IsNaN(cut) {
			out = append(out, cut*m.queries.Unit)
		}
	}
	return slices.Compact(out), nil
}
