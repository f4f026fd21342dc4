// Package prometheus is the meter for sources that speak Prometheus' HTTP API:
// Prometheus itself, Amazon Managed Service for Prometheus, Thanos, Mimir.
//
// It asks for raw counters at the ends of the intervals and adds up in Go. It
// never asks for rate or increase, because these extrapolate to fractions of
// requests. One HTTP request reads one metric family for both versions.
//
// What each answer means:
//
//	a counter that fell            counts from zero: its process began anew
//	a series that is new           counts from zero, if its source was read before
//	a series that went or came     is left out of that interval whole
//	NaN, an infinity, a negative   makes the version not Known in that interval
//	nothing                        not Known
//	400, 401, 403, 404, 422        fault.Invalid
//	429, 5xx, time-outs, bad JSON  fault.Transient, after a few tries
//	an answer in part (warnings)   fault.Transient
//	more than fits into memory     fault.Transient: 8 MB, 20,000 series, 2^20 points
//
// Reference: https://prometheus.io/docs/prometheus/latest/querying/api/.
package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// Options of a meter. Only Address, Queries and Clock have no default.
type Options struct {
	// Address is the API's base, such as https://prometheus.example/prefix.
	Address string
	Queries queries.Prometheus
	// Scrape is how often the source reads its targets, 15 s if zero.
	Scrape time.Duration
	// Lag is how long a scraped value takes to be readable. If zero it is a quarter of
	// Scrape and at most 1 s: a target that takes longer to answer loses the requests
	// of that time for both versions alike, and shifts none from one to the other.
	Lag time.Duration
	// Authorize puts credentials on a request; nil for none.
	Authorize Authorize
	// Secrets are taken out of every error's text.
	Secrets []string
	// Timeout of one try, 10 s if zero. There are three tries.
	Timeout time.Duration
	// Transport carries the requests, [http.DefaultTransport] if nil.
	Transport http.RoundTripper
	Clock     clock.Clock
}

// A Meter reads one source.
type Meter struct {
	base    *url.URL
	queries queries.Prometheus
	pace    metric.Pace
	options Options
	client  *http.Client
}

var (
	_ metric.Meter   = (*Meter)(nil)
	_ metric.Valuer  = (*Meter)(nil)
	_ metric.Bounder = (*Meter)(nil)
)

// New is a meter for the source at the options' address. It sends nothing.
// Errors are of kind fault.Invalid.
func New(o Options) (*Meter, error) {
	base, err := url.Parse(o.Address)
	switch {
	case err != nil:
		return nil, fmt.Errorf("metrics address: %w: it is not a URL", fault.Invalid)
	case base.User != nil:
		return nil, fmt.Errorf("metrics address: %w: it holds credentials; auth with a reference to a secret is expected", fault.Invalid)
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "":
		return nil, fmt.Errorf("metrics address %q: %w: a URL such as https://prometheus.example is expected", o.Address, fault.Invalid)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	pace := PaceOf(o)
	o.Scrape, o.Lag = pace.Settle, pace.Lag
	return &Meter{
		base: base, queries: o.Queries, options: o, pace: pace,
		client: &http.Client{
			Transport: o.Transport,
			// Following would send the credentials, or the question, to somebody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// PaceOf is the pace of a meter with these options, before there is one: one scrape, or two where the
// versions are scraped apart.
func PaceOf(o Options) metric.Pace {
	if o.Scrape <= 0 {
		o.Scrape = 15 * time.Second
	}
	if o.Lag <= 0 {
		o.Lag = min(time.Second, o.Scrape/4)
	}
	every := o.Scrape
	if !o.Queries.Together {
		// Two pods are read at moments of their own. Two scrapes in an interval let
		// most of it be the same time for both.
		every *= 2
	}
	return metric.Pace{Every: every, Lag: o.Lag, Settle: o.Scrape}
}

// Pace is that of its options.
func (m *Meter) Pace() metric.Pace { return m.pace }

// Intervals reads the counters of both versions. A latency bound that is no
// bucket's is counted by the next bucket below, so that no slow request is missed; Bounds tells
// which. Below the first bucket nothing is known.
func (m *Meter) Intervals(ctx context.Context, s metric.Subject, w metric.Window) ([]analysis.Interval, error) {
	if err := queries.Check(s); err != nil {
		return nil, err
	}
	g, err := newGrid(w)
	if err != nil || len(g.spans) == 0 {
		return nil, err
	}
	requests, err := m.series(ctx, m.queries.Requests, s, g)
	if err != nil {
		return nil, err
	}
	var buckets []track
	if len(w.Bounds) > 0 && m.queries.Buckets != "" {
		if buckets, err = m.series(ctx, m.queries.Buckets, s, g); err != nil {
			return nil, err
		}
	}
	closed := m.options.Clock.Now().Add(-m.pace.Lag)
	r := m.sort(requests, buckets, s, w.Bounds)
	out := make([]analysis.Interval, len(g.spans))
	for i, span := range g.spans {
		out[i] = analysis.Interval{From: span.From, To: span.To}
		if span.To.After(closed) {
			continue
		}
		out[i].Canary = r.counts(s.Canary, g.first+i)
		out[i].Stable = r.counts(s.Stable, g.first+i)
	}
	return out, nil
}

// A reading is the answers for both versions, sorted.
type reading struct {
	requests  []track
	versions  map[string][]track
	failed    queries.Series
	histogram histogram
}

func (m *Meter) sort(requests, buckets []track, s metric.Subject, bounds []float64) reading {
	r := reading{
		requests: requests, versions: map[string][]track{},
		failed: m.queries.Errors(), histogram: m.histogram(buckets, s, bounds),
	}
	for _, name := range []string{s.Canary, s.Stable} {
		mine := m.queries.Version(s, name)
		for _, t := range requests {
			if mine(t.labels) {
				r.versions[name] = append(r.versions[name], t)
			}
		}
	}
	return r
}

// counts adds up one version's series from a point of the grid to the next.
func (r reading) counts(version string, from int) analysis.Counts {
	alive := aliveAt(r.requests, from)
	known, all, bad := false, 0.0, 0.0
	for _, t := range r.versions[version] {
		n, state := t.rise(from, alive)
		switch state {
		case contradiction:
			return analysis.Counts{}
		case absent:
			continue
		}
		known = true
		all += n
		if r.failed(t.labels) {
			bad += n
		}
	}
	requests, ok1 := whole(all)
	errors, ok2 := whole(bad)
	if !known || !ok1 || !ok2 {
		return analysis.Counts{}
	}
	return analysis.Counts{
		Requests: requests, Errors: min(errors, requests), Known: true,
		Slow: r.histogram.slow(version, from, requests),
	}
}

// series reads one family at every point of the grid.
func (m *Meter) series(ctx context.Context, family string, s metric.Subject, g grid) ([]track, error) {
	data, err := m.ask(ctx, "/api/v1/query_range", url.Values{
		"query": {m.queries.Select(family, s)},
		"start": {seconds(g.start)}, "end": {seconds(g.start.Add(time.Duration(g.points-1) * g.step))},
		"step": {fmt.Sprintf("%.3f", g.step.Seconds())},
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", family, err)
	}
	tracks, err := g.tracks(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", family, err)
	}
	return tracks, nil
}
