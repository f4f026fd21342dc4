package cloudwatch

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A series is one number as it was scraped: a counter, or with bound one bucket
// of a histogram.
type series struct {
	key      string // unique in the source
	requests Requests
	bound    float64 // upper bound of the bucket in seconds; 0 for a counter
	value    float64
}

const scrapeTimeout = 2 * time.Second

var scraper = http.Client{Timeout: scrapeTimeout, Transport: &http.Transport{DialContext: dialLoopback, MaxIdleConnsPerHost: 4}}

// dialLoopback keeps the bed's traffic on the machine.
func dialLoopback(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", host)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// get fetches a page of metrics or targets.
func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return resp.Body, nil
}

// scrape reads the source's counter and histogram.
func (s Source) scrape(ctx context.Context) ([]series, error) {
	body, err := get(ctx, s.URL)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.URL, err)
	}
	var out []series
	for _, m := range families[s.Counter].GetMetric() {
		if r, ok := s.Read(labelsOf(m)); ok {
			out = append(out, series{key: fmt.Sprint(labelsOf(m)), requests: r, value: valueOf(m)})
		}
	}
	for _, m := range families[s.Histogram].GetMetric() {
		if r, ok := s.Read(labelsOf(m)); ok {
			out = append(out, s.buckets(m, r)...)
		}
	}
	return out, nil
}

// buckets makes a histogram's cumulative buckets counters of their own. What is
// beyond the last bound counts at twice that bound.
func (s Source) buckets(m *dto.Metric, r Requests) []series {
	var out []series
	below, last := 0.0, 0.0
	for _, b := range m.GetHistogram().GetBucket() {
		if math.IsInf(b.GetUpperBound(), 1) {
			continue
		}
		n := float64(b.GetCumulativeCount())
		last = b.GetUpperBound() * s.Unit
		out = append(out, series{key: fmt.Sprint(labelsOf(m), last), requests: r, bound: last, value: n - below})
		below = n
	}
	beyond := float64(m.GetHistogram().GetSampleCount()) - below
	return append(out, series{key: fmt.Sprint(labelsOf(m), "beyond"), requests: r, bound: 2 * last, value: beyond})
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

// valueOf reads a counter, also one whose exporter declares no type.
func valueOf(m *dto.Metric) float64 {
	if m.GetCounter() != nil {
		return m.GetCounter().GetValue()
	}
	return m.GetUntyped().GetValue()
}
