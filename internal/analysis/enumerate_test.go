package analysis

import (
	"math"
	"testing"
)

// binomial is the probability of k out of n at p.
func binomial(k, n int64, p float64) float64 {
	return math.Exp(logChoose(n, k) + logRate(p, k, n))
}

// hypergeometric is the probability that k of the bad ones are among c drawn from c+n.
func hypergeometric(k, c, n, bad int64) float64 {
	return math.Exp(logChoose(c, k) + logChoose(n, bad-k) - logChoose(c+n, bad))
}

func logChoose(n, k int64) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// factors are the e-values of one interval against each null under test.
func factors(p Policy, e events) (bad, hold, good float64) {
	var proc Process
	proc.add(1)
	proc.fold(p.Comparison, e, p.grid())
	return math.Exp(evidence(proc.Bad, 0)), math.Exp(evidence(proc.Hold, 0)), math.Exp(proc.good(p.grid(), p.Comparison.GoodRatio))
}

// rounding is what summing thousands of terms may add to an exact 1.
const rounding = 1e-9

// The promise behind every bound on false alarms: whatever the error rate, the
// split and the number of requests, an interval's factor is worth at most 1 on
// average as long as the null holds. It is summed up over every outcome.
func TestFactorIsFairOverAllOutcomes(t *testing.T) {
	for _, r0 := range []float64{1, 1.25, 1.5, 2} {
		p := Policy{Comparison: Comparison{Enabled: true, Tolerated: r0, GoodRatio: r0 * 1.5}}.withDefaults()
		for _, size := range [][2]int64{{1, 1}, {1, 40}, {5, 5}, {12, 3}, {20, 60}, {40, 10}} {
			table := outcomes(p, size[0], size[1])
			for _, q := range []float64{0.001, 0.01, 0.1, 0.3, 0.45} {
				for _, r := range []float64{0, 0.5, 1, r0, r0 * 1.5, r0 * 2} {
					if q*r >= 1 {
						continue
					}
					bad, hold, good := expect(table, size[0], size[1], q*r, q)
					if r <= r0 && bad > 1+rounding {
						t.Errorf("r0 %v, %v requests, rate %v, ratio %v: expectation of bad = %.12f, want at most 1", r0, size, q, r, bad)
					}
					if r <= 1 && hold > 1+rounding {
						t.Errorf("%v requests, rate %v, ratio %v: expectation of hold = %.12f, want at most 1", size, q, r, hold)
					}
					if r >= r0*1.5 && good > 1+rounding {
						t.Errorf("%v requests, rate %v, ratio %v: expectation of good = %.12f, want at most 1", size, q, r, good)
					}
				}
			}
		}
	}
}

func outcomes(p Policy, c, n int64) [][][3]float64 {
	table := make([][][3]float64, c+1)
	for e := range c + 1 {
		table[e] = make([][3]float64, n+1)
		for f := range n + 1 {
			table[e][f][0], table[e][f][1], table[e][f][2] = factors(p, events{canary: c, canaryBad: e, stable: n, stableBad: f})
		}
	}
	return table
}

func expect(table [][][3]float64, c, n int64, canary, stable float64) (bad, hold, good float64) {
	for e := range c + 1 {
		for f := range n + 1 {
			w := binomialAt(e, c, canary) * binomialAt(f, n, stable)
			bad += w * table[e][f][0]
			hold += w * table[e][f][1]
			good += w * table[e][f][2]
		}
	}
	return bad, hold, good
}

func binomialAt(k, n int64, p float64) float64 {
	if p == 0 {
		if k == 0 {
			return 1
		}
		return 0
	}
	return binomial(k, n, p)
}

// Canary and stable that fail alike share out a given number of errors
// hypergeometrically, whatever the rate was: no model of it is needed.
func TestFactorIsFairGivenTheErrors(t *testing.T) {
	p := Policy{Comparison: Comparison{Enabled: true, Tolerated: 1}}.withDefaults()
	for _, size := range [][2]int64{{1, 9}, {5, 45}, {30, 300}, {60, 60}} {
		c, n := size[0], size[1]
		for bad := int64(0); bad <= min(c+n, 60); bad += 3 {
			sum := 0.0
			for e := max(0, bad-n); e <= min(c, bad); e++ {
				f, _, _ := factors(p, events{canary: c, canaryBad: e, stable: n, stableBad: bad - e})
				sum += hypergeometric(e, c, n, bad) * f
			}
			if sum > 1+rounding {
				t.Errorf("%d of %d+%d failed: expectation = %.12f, want at most 1", bad, c, n, sum)
			}
		}
	}
}

// Restarts, a bake's growing mass and a canary alone keep the promise too.
func TestSharedOutEvidenceIsFair(t *testing.T) {
	p := Policy{Comparison: Comparison{Enabled: true, GoodBelow: 0.1}, Steps: []int{20, 50}, SampleRatio: SampleRatio{Off: true}}.withDefaults()
	const c, n, q = 4, 6, 0.2
	sum := 0.0
	for e := range int64(c + 1) {
		for f := range int64(n + 1) {
			first, _ := p.Look(State{}, stream(20, [4]int64{c, e, n, f}))
			for g := range int64(c + 1) {
				for h := range int64(n + 1) {
					next := first.NextStep()
					next, _ = p.Look(next, later(next, stream(50, [4]int64{c, g, n, h})))
					w := binomial(e, c, q) * binomial(f, n, q) * binomial(g, c, q) * binomial(h, n, q)
					sum += w * math.Exp(evidence(next.Processes[0].Bad, p.reserve(next)))
				}
			}
		}
	}
	if sum > 1+rounding || sum < 0.5 {
		t.Errorf("two steps: expectation = %.12f, want at most 1 and not far from it", sum)
	}

	for _, rate := range []float64{0.001, 0.03, 0.1} {
		bad := 0.0
		for e := range int64(51) {
			var proc Process
			proc.add(1)
			proc.fold(p.Comparison, events{canary: 50, canaryBad: e, alone: true}, p.grid())
			bad += binomial(e, 50, rate) * math.Exp(evidence(proc.Bad, 0))
		}
		if bad > 1+rounding {
			t.Errorf("alone at rate %v: expectation = %.12f, want at most 1", rate, bad)
		}
	}
	for _, rate := range []float64{0.1, 0.2, 0.7} {
		good := 0.0
		for e := range int64(51) {
			good += binomial(e, 50, rate) * math.Exp(rateEvidence(0.1, better, e, 50))
		}
		if good > 1+rounding {
			t.Errorf("proof below 0.1 at rate %v: expectation = %.12f, want at most 1", rate, good)
		}
	}
}

func TestShareOfRequestsIsFairWithinTolerance(t *testing.T) {
	r := DefaultSampleRatio()
	for _, weight := range []int{1, 5, 30, 50, 80, 95, 100} {
		for _, f := range []float64{0.8, 1, 1.2} {
			share := min(float64(weight)/100*f, 0.999999)
			sum := 0.0
			for k := range int64(101) {
				var s Share
				s.fold(r, k, 100-k, weight)
				sum += binomial(k, 100, share) * math.Exp(s.evidence())
			}
			if sum > 1+1e-6 {
				t.Errorf("weight %d, share %v: expectation = %.9f, want at most 1", weight, share, sum)
			}
		}
	}
}
