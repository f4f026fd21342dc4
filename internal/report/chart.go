package report

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/story"
)

// The chart's size in its own units, and the frame around the plot.
const (
	width, height = 760.0, 150.0
	left, right   = 48.0, 12.0
	top, bottom   = 14.0, 22.0
)

// A chart draws values over the time of a rollout.
type chart struct {
	Title, Unit string
	from, to    time.Time
	high        float64
	series      []series
}

// A series is one line; it breaks where there is no value.
type series struct {
	name, class string
	steps       bool
	points      []point
}

type point struct {
	at    time.Time
	value float64
	gap   bool
}

// charts are weight, success rate and, where it was measured, latency: those that have something to show.
func (r Report) charts() []chart {
	s := r.Story
	to := s.Ended
	if to.IsZero() && len(s.Moments) > 0 {
		to = s.Moments[len(s.Moments)-1].At
	}
	base := chart{from: s.Began, to: to}
	var out []chart
	if r.moved() {
		out = append(out, base.weight(s))
	}
	intervals := r.Intervals()
	if len(intervals) == 0 {
		return out
	}
	out = append(out, base.success(intervals))
	for i, bound := range bounds(s) {
		out = append(out, base.slow(intervals, i, bound))
	}
	return out
}

func (c chart) weight(s *story.Story) chart {
	c.Title, c.Unit, c.high = "Weight in force", "%", 100
	line := series{name: "canary", class: "canary", steps: true, points: []point{{at: c.from}}}
	for _, m := range s.Moments {
		line.points = append(line.points, point{at: m.At, value: float64(m.Weight)})
	}
	c.series = []series{line}
	return c
}

// bounds are the latency bounds that were counted.
func bounds(s *story.Story) []time.Duration {
	if s.Rollout == nil {
		return nil
	}
	return s.Rollout.Policy.Comparison.LatencyBounds
}

func (c chart) success(ivs []analysis.Interval) chart {
	c.Title, c.Unit, c.high = "Success rate", "%", 100
	c.series = []series{
		{name: "stable", class: "stable", points: shares(ivs, stableOf, func(n analysis.Counts) int64 { return n.Requests - n.Errors })},
		{name: "canary", class: "canary", points: shares(ivs, canaryOf, func(n analysis.Counts) int64 { return n.Requests - n.Errors })},
	}
	return c
}

func (c chart) slow(ivs []analysis.Interval, i int, bound time.Duration) chart {
	c.Title, c.Unit, c.high = fmt.Sprintf("Slower than %v", bound), "%", 100
	slow := func(n analysis.Counts) int64 {
		if i < len(n.Slow) {
			return n.Slow[i]
		}
		return 0
	}
	c.series = []series{
		{name: "stable", class: "stable", points: shares(ivs, stableOf, slow)},
		{name: "canary", class: "canary", points: shares(ivs, canaryOf, slow)},
	}
	return c
}

func canaryOf(iv analysis.Interval) analysis.Counts { return iv.Canary }
func stableOf(iv analysis.Interval) analysis.Counts { return iv.Stable }

// shares gives for each interval the share in percent of a version's requests; nothing
// where there were none.
func shares(ivs []analysis.Interval, of func(analysis.Interval) analysis.Counts, n func(analysis.Counts) int64) []point {
	var out []point
	for _, iv := range ivs {
		c := of(iv)
		p := point{at: iv.To, gap: !c.Known || c.Requests == 0}
		if !p.gap {
			p.value = 100 * float64(n(c)) / float64(c.Requests)
		}
		out = append(out, p)
	}
	return out
}

// Both tells that the chart has a line for stable too.
func (c chart) Both() bool { return len(c.series) > 1 }

// SVG draws the chart.
func (c chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, template.HTMLEscapeString(c.Title))
	for _, share := range []float64{0, 0.5, 1} {
		y := c.y(share * c.high)
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" class="axis" text-anchor="end">%g</text>`,
			left, width-right, y, y, left-6, y+4, share*c.high)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" class="axis">0:00</text><text x="%g" y="%g" class="axis" text-anchor="end">%s</text>`,
		left, height-6, width-right, height-6, clock(c.to.Sub(c.from)))
	for _, s := range c.series {
		for _, path := range c.paths(s) {
			fmt.Fprintf(&b, `<path class="%s" d="%s"/>`, s.class, path)
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // made of numbers and of the escaped title
}

// paths are the unbroken pieces of a line.
func (c chart) paths(s series) []string {
	var out []string
	var b strings.Builder
	last := point{gap: true}
	for _, p := range s.points {
		switch {
		case p.gap:
			if b.Len() > 0 {
				out = append(out, piece(b.String()))
				b.Reset()
			}
		case b.Len() == 0:
			fmt.Fprintf(&b, "M%.1f %.1f", c.x(p.at), c.y(p.value))
		default:
			if s.steps {
				fmt.Fprintf(&b, "L%.1f %.1f", c.x(p.at), c.y(last.value))
			}
			fmt.Fprintf(&b, "L%.1f %.1f", c.x(p.at), c.y(p.value))
		}
		last = p
	}
	if b.Len() > 0 {
		out = append(out, piece(b.String()))
	}
	return out
}

// piece is a piece of a line; one of a single point gets a little length, to be seen.
func piece(path string) string {
	if !strings.Contains(path, "L") {
		path += "h3"
	}
	return path
}

func (c chart) x(at time.Time) float64 {
	span := max(c.to.Sub(c.from), time.Millisecond)
	return left + (width-left-right)*min(1, max(0, float64(at.Sub(c.from))/float64(span)))
}

func (c chart) y(v float64) float64 {
	return height - bottom - (height-top-bottom)*min(1, max(0, v/c.high))
}

// clock writes 1:02 or 1:02:03.
func clock(d time.Duration) string {
	s := int(max(0, d).Round(time.Second).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
