package load

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteText writes the result in a few lines for people:
//
//	2000 requests in 10.0 s (200.0/s), 43 failed, 0 dropped
//	v2             1800  90.0 %  200=1800           p50 0.6  p90 0.9  p99 2.1  max 7.3 ms
//	v3              200  10.0 %  200=157 500=43     p50 0.6  p90 0.9  p99 1.8  max 2.0 ms
//	first failed after 2.314 s (v3: 500), last after 4.120 s (v3: 500)
func (r Result) WriteText(w io.Writer) error {
	var b strings.Builder
	seconds := r.Elapsed.Duration().Seconds()
	fmt.Fprintf(&b, "%d requests in %.1f s (%.1f/s), %d failed, %d dropped\n",
		r.Sent, seconds, float64(r.Sent)/max(seconds, 1e-9), r.Failed, r.Dropped)
	for _, v := range slices.Sorted(maps.Keys(r.Versions)) {
		c := r.Versions[v]
		fmt.Fprintf(&b, "%-12s %7d %5.1f %%  %-18s p50 %.1f  p90 %.1f  p99 %.1f  max %.1f ms\n",
			cmp.Or(v, "(no version)"), c.Requests, 100*r.Share(v), statuses(c.Status), c.Latency.P50, c.Latency.P90, c.Latency.P99, c.Latency.Max)
	}
	for _, e := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(&b, "%d without an answer: %s\n", r.Errors[e], e)
	}
	if r.FirstBad != nil {
		fmt.Fprintf(&b, "first failed after %.3f s (%s), last after %.3f s (%s)\n",
			r.FirstBad.At.Duration().Seconds(), r.FirstBad, r.LastBad.At.Duration().Seconds(), r.LastBad)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String names the version and what it did.
func (b Bad) String() string {
	what := b.Error
	if what == "" {
		what = fmt.Sprint(b.Status)
	}
	return cmp.Or(b.Version, "no version") + ": " + what
}

func statuses(m map[int]int) string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(m)) {
		name := fmt.Sprint(s)
		if s == 0 {
			name = "none"
		}
		parts = append(parts, fmt.Sprintf("%s=%d", name, m[s]))
	}
	return strings.Join(parts, " ")
}
