package analysis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A judge looks at a rollout's intervals so far and says whether to roll back.
type judge interface {
	look(step int, in []Interval) bool
}

// threshold is the usual judge: once a minute, did more than a percent of the
// canary's requests fail in it? The first failed check rolls back, or the fifth.
type threshold struct{ breaches, allowed int }

func (th *threshold) look(_ int, in []Interval) bool {
	if len(in)%2 == 1 {
		return false
	}
	var sum Total
	for _, iv := range in[len(in)-2:] {
		sum = sum.plus(iv.Canary.Requests, iv.Canary.Errors)
	}
	if sum.Rate() > 0.01 {
		th.breaches++
	}
	return th.breaches >= th.allowed
}

// byComparison is the comparison to stable.
type byComparison struct {
	policy Policy
	state  State
	held   bool
}

func (e *byComparison) look(step int, in []Interval) bool {
	for e.state.Step < step {
		e.state = e.state.NextStep()
	}
	var j Judgement
	e.state, j = e.policy.Look(e.state, in[len(in)-1:])
	e.held = e.held || j.Hold
	return j.Verdict == Unhealthy
}

// BenchmarkJudges plays whole rollouts (5, 10, 20, 30, 50 %, three minutes
// each, a look every 30 s, 0.5 % errors, four times as many on both versions in
// one interval of ten) before several judges, the same seeded streams for each.
// It reports how many were rolled back, after how many minutes (median), and
// how many requests the canary failed until then (mean over all rollouts).
//
//	go test ./internal/analysis -run '^$' -bench Judges -benchtime 1000x
func BenchmarkJudges(b *testing.B) {
	policy := byClock(0)
	policy.Comparison.IgnoreBelow, policy.SampleRatio.Off = 0, true
	judges := []struct {
		name string
		make func() judge
	}{
		{"evidence", func() judge { return &byComparison{policy: policy} }},
		{"threshold-1", func() judge { return &threshold{allowed: 1} }},
		{"threshold-5", func() judge { return &threshold{allowed: 5} }},
	}
	for _, rps := range []float64{10, 100, 1000} {
		for _, rate := range []float64{0.005, 0.01, 0.015, 0.05} {
			for _, j := range judges {
				b.Run(fmt.Sprintf("rps=%v/canary=%v/%s", rps, rate, j.name), func(b *testing.B) {
					u := users{perSecond: 3 * rps, canary: rate, stable: 0.005, incident: 0.1} // a look is of 30 s
					alarms, held, errors := 0, 0, int64(0)
					var minutes []float64
					for i := range b.N {
						one := j.make()
						at, failed := u.roll(one, policy.Steps, rand.New(rand.NewPCG(uint64(i), 9)))
						errors += failed
						if c, ok := one.(*byComparison); ok && c.held {
							held++
						}
						if at > 0 {
							alarms++
							minutes = append(minutes, at)
						}
					}
					slices.Sort(minutes)
					if len(minutes) > 0 {
						b.ReportMetric(minutes[len(minutes)/2], "minutes")
					}
					b.ReportMetric(100*float64(alarms)/float64(b.N), "%rolledback")
					b.ReportMetric(100*float64(held)/float64(b.N), "%held")
					b.ReportMetric(float64(errors)/float64(b.N), "errors")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

// roll plays one rollout and returns the minute of the roll-back, 0 for none,
// and the requests that the canary failed.
func (u users) roll(j judge, steps []int, rng *rand.Rand) (minute float64, failed int64) {
	var in []Interval
	for step, w := range steps {
		u.weight = w
		for range 6 {
			s := State{}
			if len(in) > 0 {
				s.Until = in[len(in)-1].To
			}
			in = append(in, u.intervals(rng, s, 1)...)
			failed += in[len(in)-1].Canary.Errors
			if j.look(step, in) {
				return float64(len(in)) / 2, failed
			}
		}
	}
	return 0, failed
}

// BenchmarkLook is one look at one interval with three measures and five limits.
func BenchmarkLook(b *testing.B) {
	p := fullPolicy()
	in := randomStream(rand.New(rand.NewPCG(1, 1)), 200)
	s, _ := p.Look(State{}, in)
	next := randomStream(rand.New(rand.NewPCG(2, 1)), 1)
	next[0].From, next[0].To = s.Until, s.Until.Add(10*time.Second)
	b.ReportAllocs()
	for b.Loop() {
		p.Look(s, next)
	}
}

// BenchmarkTimeToSee is the slowest cell of the table: hours of traffic.
func BenchmarkTimeToSee(b *testing.B) {
	for b.Loop() {
		alphaFive().TimeToSee(Traffic{PerSecond: 10, Weight: 1}, 0.01, 0.02)
	}
}

// A plan of a hundred steps is a hundred answers, and little traffic or a small rise makes none of them slow.
func BenchmarkTimeToSeeOfAPlan(b *testing.B) {
	p := Policy{Comparison: DefaultComparison()}
	for _, change := range [][2]float64{{0.05, 0.07}, {0.01, 0.013}, {0, 0.0006}, {0.1, 0.14}} {
		b.Run(fmt.Sprintf("%v to %v at a hundred weights", change[0], change[1]), func(b *testing.B) {
			for b.Loop() {
				for weight := range 100 {
					p.TimeToSee(Traffic{PerSecond: 1, Weight: weight}, change[0], change[1])
				}
			}
		})
	}
}
