package main

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// buckets are the histogram's upper bounds in seconds, those of Prometheus' clients.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// metrics counts user requests by status. Probes, metrics and admin calls are
// left out, because a verdict is about what users get.
type metrics struct {
	version string

	mu     sync.Mutex
	byCode map[int]*series
}

type series struct {
	count   uint64
	sum     float64 // seconds
	buckets []uint64
}

func newMetrics(version string) *metrics {
	return &metrics{version: version, byCode: map[int]*series{}}
}

func (m *metrics) observe(code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.byCode[code]
	if s == nil {
		s = &series{buckets: make([]uint64, len(buckets))}
		m.byCode[code] = s
	}
	s.count++
	s.sum += took.Seconds()
	if i, _ := slices.BinarySearch(buckets, took.Seconds()); i < len(buckets) {
		s.buckets[i]++
	}
}

// write gives Prometheus' text format. The status stands under both its usual
// label names, code and status, so that queries made for other samples fit.
func (m *metrics) write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	codes := make([]int, 0, len(m.byCode))
	for c := range m.byCode {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	fmt.Fprint(w, "# HELP http_requests_total User requests answered.\n# TYPE http_requests_total counter\n")
	for _, c := range codes {
		fmt.Fprintf(w, "http_requests_total{code=\"%d\",status=\"%d\",version=%q} %d\n", c, c, m.version, m.byCode[c].count)
	}
	const name = "http_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s Time from a user request to its answer.\n# TYPE %s histogram\n", name, name)
	for _, c := range codes {
		s := m.byCode[c]
		labels := fmt.Sprintf("code=\"%d\",status=\"%d\",version=%q", c, c, m.version)
		var below uint64
		for i, le := range buckets {
			below += s.buckets[i]
			fmt.Fprintf(w, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, le, below)
		}
		fmt.Fprintf(w, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, s.count)
		fmt.Fprintf(w, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, s.sum, name, labels, s.count)
	}
}
