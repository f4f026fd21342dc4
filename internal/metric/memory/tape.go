package memory

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
)

// A tape is what happened on one route: a script, and how the traffic was split.
type tape struct {
	script Script
	shares []share
	bounds []float64
}

// counts gives one version's counts of an interval, unknown where the source is
// silent in any part of it.
func (t tape) counts(version string, from, to time.Duration) analysis.Counts {
	phases := t.script.Versions[version]
	if version == "" || from < 0 || silent(phases, from, to) {
		return analysis.Counts{}
	}
	before, after := t.expected(version, from), t.expected(version, to)
	c := analysis.Counts{Known: true}
	if len(t.bounds) > 0 {
		c.Slow = make([]int64, len(t.bounds))
	}
	if t.script.Seed != 0 {
		t.draw(&c, version, from, before, after)
		return c
	}
	c.Requests = whole(after[0]) - whole(before[0])
	c.Errors = min(whole(after[1])-whole(before[1]), c.Requests)
	for i := range c.Slow {
		c.Slow[i] = min(whole(after[2+i])-whole(before[2+i]), c.Requests)
	}
	return c
}

// whole is the number of events that are complete: what is expected, less the
// rounding of floating point.
func whole(expected float64) int64 { return int64(math.Floor(expected + 1e-6)) }

// expected adds up, from time zero to t, a version's requests, errors, and
// requests above each bound.
func (t tape) expected(version string, until time.Duration) []float64 {
	sum := make([]float64, 2+len(t.bounds))
	phases := t.script.Versions[version]
	edges := t.edges(phases, until)
	for i := 1; i < len(edges); i++ {
		from, seconds := edges[i-1], (edges[i] - edges[i-1]).Seconds()
		load, _ := at(t.script.Load, from, Load.from)
		requests := load.RPS * t.share(version, from) * seconds
		phase, _ := at(phases, from, Phase.from)
		sum[0] += requests
		sum[1] += requests * phase.ErrorRate
		for j, bound := range t.bounds {
			sum[2+j] += requests * phase.slow(bound)
		}
	}
	return sum
}

// edges are the moments up to a given one at which anything changes.
func (t tape) edges(phases []Phase, until time.Duration) []time.Duration {
	edges := []time.Duration{0, until}
	for _, l := range t.script.Load {
		edges = append(edges, l.From)
	}
	for _, p := range phases {
		edges = append(edges, p.From)
	}
	for _, s := range t.shares {
		edges = append(edges, s.from)
	}
	edges = slices.DeleteFunc(edges, func(e time.Duration) bool { return e < 0 || e > until })
	slices.Sort(edges)
	return slices.Compact(edges)
}

// share is the part of the route's requests that a version had, 0 to 1.
func (t tape) share(version string, moment time.Duration) float64 {
	s, _ := at(t.shares, moment, share.at)
	all := 0.0
	for _, w := range s.weights {
		all += float64(w)
	}
	if all <= 0 {
		return 0
	}
	return float64(s.weights[version]) / all
}

// draw fills the counts at random. The same seed, version and interval give
// the same counts, in whatever order they are asked for.
func (t tape) draw(c *analysis.Counts, version string, from time.Duration, before, after []float64) {
	h := fnv.New64a()
	h.Write([]byte(version + " " + strconv.FormatInt(int64(from), 10)))
	r := rand.New(rand.NewPCG(t.script.Seed, h.Sum64()))
	requests := after[0] - before[0]
	if requests <= 0 {
		return
	}
	c.Requests = poisson(r, requests)
	chance := func(i int) float64 { return (after[i] - before[i]) / requests }
	c.Errors = binomial(r, c.Requests, chance(1))
	for i := range c.Slow {
		// Each bound draws from the requests that were above the one below it, so
		// that the counts fall as the bounds rise.
		above, share := c.Requests, chance(2+i)
		if i > 0 {
			above, share = c.Slow[i-1], share/max(chance(1+i), 1e-12)
		}
		c.Slow[i] = binomial(r, above, share)
	}
}

// many is the number of events above which a draw is made from the normal
// distribution, which is near enough there and takes no longer for more events.
const many = 1000

func poisson(r *rand.Rand, mean float64) int64 {
	if mean > many {
		return max(0, int64(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	n := int64(0)
	for left := r.ExpFloat64(); left < mean; left += r.ExpFloat64() {
		n++
	}
	return n
}

func binomial(r *rand.Rand, n int64, p float64) int64 {
	p = min(max(p, 0), 1)
	if mean := float64(n) * p; mean > many && float64(n)-mean > many {
		x := math.Round(mean + math.Sqrt(mean*(1-p))*r.NormFloat64())
		return min(max(0, int64(x)), n)
	}
	hits := int64(0)
	for range n {
		if r.Float64() < p {
			hits++
		}
	}
	return hits
}

// silent tells whether the source has no data in any part of the interval.
func silent(phases []Phase, from, to time.Duration) bool {
	first, ok := at(phases, from, Phase.from)
	if !ok || first.Silent {
		return true
	}
	return slices.ContainsFunc(phases, func(p Phase) bool { return p.Silent && p.From > from && p.From < to })
}
