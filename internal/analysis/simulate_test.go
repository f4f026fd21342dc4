package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// long asks for the slow forms of the simulations: STEPCANARY_LONG=1, as scripts/test does.
var long = os.Getenv("STEPCANARY_LONG") != ""

// side is which side of a rate the truth is on.
type side string

const (
	below side = "below"
	above side = "above"
)

// decide repeats seeded runs until it is certain which side of rate q the
// chance of a hit is on, and fails if it is the other than wanted. It stops by
// a confidence sequence (Robbins 1970; Ding, Gandy and Hahn 2020), which errs
// with a probability of 1e-5 (1e-9 in the long form) however long it runs. The
// seeds are fixed as well: no flakes, and no more runs than the answer needs.
func decide(t *testing.T, want side, q float64, run func(*rand.Rand) bool) {
	t.Helper()
	epsilon := 1e-5
	if long {
		epsilon = 1e-9
	}
	hits := int64(0)
	for n := int64(1); n <= 50_000; n++ {
		if run(rand.New(rand.NewPCG(uint64(n), 7))) {
			hits++
		}
		if math.Log(float64(n+1))+math.Log(binomial(hits, n, q)) >= math.Log(epsilon) {
			continue
		}
		got := below
		if float64(hits) > q*float64(n) {
			got = above
		}
		if got != want {
			t.Errorf("%d of %d runs: the chance is %s %v; want %s", hits, n, got, q, want)
		}
		t.Logf("%d of %d runs, %s %v", hits, n, got, q)
		return
	}
	t.Fatalf("undecided between below and above %v", q)
}

// users makes traffic to two versions.
type users struct {
	perSecond      float64
	weight         int
	canary, stable float64 // chance to fail
	// incident is how often an interval has four times the failures on both.
	incident float64
	// noise is the spread (of the logarithm) of the canary's rate between minutes.
	noise float64
}

const every = 10 * time.Second

// intervals continues from a state's end.
func (u users) intervals(rng *rand.Rand, s State, n int) []Interval {
	at := s.Until
	if at.IsZero() {
		at = start
	}
	w := float64(u.weight) / 100
	out, drift := make([]Interval, n), 1.0
	for i := range out {
		factor := 1.0
		if u.incident > 0 && rng.Float64() < u.incident {
			factor = 4
		}
		if i%6 == 0 && u.noise > 0 {
			drift = math.Exp(u.noise * rng.NormFloat64())
		}
		out[i] = Interval{From: at, To: at.Add(every), Weight: u.weight,
			Canary: counted(rng, u.perSecond*w*every.Seconds(), u.canary*factor*drift),
			Stable: counted(rng, u.perSecond*(1-w)*every.Seconds(), u.stable*factor),
		}
		at = out[i].To
	}
	return out
}

// counted draws requests and the errors among them.
func counted(rng *rand.Rand, mean, rate float64) Counts {
	c := Counts{Requests: int64(newPoisson(mean).draw(rng)), Known: true}
	c.Errors = drawBinomial(rng, c.Requests, min(rate, 1))
	return c
}

// drawBinomial jumps from hit to hit, or from miss to miss if these are rarer.
func drawBinomial(rng *rand.Rand, n int64, p float64) int64 {
	if p > 0.5 {
		return n - drawBinomial(rng, n, 1-p)
	}
	if p <= 0 {
		return 0
	}
	miss, hits := math.Log1p(-p), int64(0)
	for at := int64(0); ; hits++ {
		jump := math.Log(1-rng.Float64()) / miss
		if jump >= float64(n-at) {
			return hits
		}
		if at += int64(jump) + 1; at > n {
			return hits
		}
	}
}

// rolledBack says whether the judge convicts within n intervals.
func (u users) rolledBack(p Policy, rng *rand.Rand, n int) bool {
	s, _ := p.Look(State{}, u.intervals(rng, State{}, n))
	return s.Failed != nil
}

// At most one healthy rollout in twenty is rolled back by a judge that is
// allowed one in twenty and looks 500 times, with no tolerance to help it.
func TestAlikeVersionsAreSeldomRolledBack(t *testing.T) {
	for _, rps := range []float64{10, 30, 100, 300, 1000} {
		t.Run(fmt.Sprintf("%v rps", rps), func(t *testing.T) {
			u := users{perSecond: rps, weight: 10, canary: 0.005, stable: 0.005}
			decide(t, below, 0.05, func(rng *rand.Rand) bool { return u.rolledBack(alphaFive(), rng, 500) })
		})
	}
}

// The usual policy, through a whole rollout with rising weights and incidents
// common to both versions, or with pods that differ from minute to minute.
func TestWeightsIncidentsAndNoiseDoNotRollBack(t *testing.T) {
	most := 0.05
	if long {
		most = 0.01
	}
	p := byClock(0)
	p.Comparison.IgnoreBelow = 0
	for name, u := range map[string]users{
		"incidents at 10 rps":   {perSecond: 10, canary: 0.005, stable: 0.005, incident: 0.1},
		"incidents at 100 rps":  {perSecond: 100, canary: 0.005, stable: 0.005, incident: 0.1},
		"incidents at 1000 rps": {perSecond: 1000, canary: 0.005, stable: 0.005, incident: 0.1},
		"noise at 100 rps":      {perSecond: 100, canary: 0.005, stable: 0.005, noise: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			decide(t, below, most, func(rng *rand.Rand) bool {
				var s State
				for _, w := range p.Steps {
					u.weight = w
					s, _ = p.Look(s, u.intervals(rng, s, 18))
					s = s.NextStep()
				}
				return s.Failed != nil
			})
		})
	}
}

// An hour at 100 % with the errors just within the objective, six times as
// long as the bake that the policy reckons with.
func TestBakeSeldomRollsBackWithinTheObjective(t *testing.T) {
	u := users{perSecond: 100, weight: 100, canary: 0.01}
	decide(t, below, 0.06, func(rng *rand.Rand) bool {
		s, _ := byClock(0).Look(State{}.Bake(), u.intervals(rng, State{}, 360))
		return s.Failed != nil
	})
}

// At the time that `plan` names, the judge itself has rolled back at least 80 % of the canaries. 500 runs scatter by
// 1.8 points (one standard deviation) and the 4000 of TimeToSee by 0.6: three of both together are allowed. That the
// time is not longer than it need be is held by TestTimeToSeeIsWithinATenthOfTheTable.
func TestRegressionsAreFoundInTime(t *testing.T) {
	const simulated = 500
	tolerance := 3 * math.Sqrt(chance*(1-chance)*(1./simulated+1./runs))
	for _, row := range seenAfter {
		for _, rps := range []float64{10, 100, 1000} {
			name := fmt.Sprintf("%v to %v at %d %% of %v rps", row.stable, row.canary, row.weight, rps)
			u := users{perSecond: rps, weight: row.weight, canary: row.canary, stable: row.stable}
			seen, _ := alphaFive().TimeToSee(Traffic{PerSecond: rps, Weight: row.weight}, row.stable, row.canary)
			if seen.After > 200*every && !long {
				continue // hours of traffic
			}
			found := 0
			for n := range uint64(simulated) {
				if u.rolledBack(alphaFive(), rand.New(rand.NewPCG(n, 7)), int(seen.After/every)) {
					found++
				}
			}
			share := float64(found) / simulated
			t.Logf("%s: after %v %.1f %%", name, seen.After, 100*share)
			if share < chance-tolerance {
				t.Errorf("%s: after %v %.1f %% are rolled back; want %.0f %%, to %.1f points", name, seen.After, 100*share, 100*chance, 100*tolerance)
			}
		}
	}
}

// promoted paces one rollout by evidence to its end.
func promoted(p Policy, u users, rng *rand.Rand) bool {
	var s State
	for _, w := range p.Steps {
		u.weight = w
		for {
			var j Judgement
			s, j = p.Look(s, u.intervals(rng, s, 1))
			if j.Verdict == Unhealthy || j.Overdue {
				return false
			}
			if j.Verdict == Healthy && j.Enough {
				break
			}
		}
		s = s.NextStep()
	}
	return true
}

func TestEvidencePacing(t *testing.T) {
	p := Policy{Comparison: Comparison{Enabled: true}, Pace: DefaultPace(), Steps: []int{5, 10, 20, 30, 50}}
	for _, tt := range []struct {
		name  string
		rps   float64
		worse float64
		want  side
		q     float64
		slow  bool
	}{
		{"healthy at 100 rps is promoted", 100, 1, above, 0.9, false},
		{"healthy at 10 rps is promoted", 10, 1, above, 0.9, true},
		{"twice as bad at 100 rps is not", 100, 2, below, 0.05, false},
		{"twice as bad at 10 rps is not", 10, 2, below, 0.08, true},
		{"three times as bad at 10 rps is not", 10, 3, below, 0.05, false},
		{"ten times as bad at 10 rps is not", 10, 10, below, 0.05, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && !long {
				t.Skip("takes ten seconds: STEPCANARY_LONG=1")
			}
			u := users{perSecond: tt.rps, canary: 0.005 * tt.worse, stable: 0.005}
			decide(t, tt.want, tt.q, func(rng *rand.Rand) bool { return promoted(p, u, rng) })
		})
	}
}

// latencyUsers answers in log-normal time, median 50 ms and p99 320 ms.
type latencyUsers struct {
	slower float64 // factor on all of the canary's requests
	extra  float64 // share of the canary's requests that take a second more
}

var latencyBounds = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
}

func (l latencyUsers) draw(rng *rand.Rand, requests int64, canary bool) Counts {
	c := Counts{Requests: requests, Slow: make([]int64, len(latencyBounds)), Known: true}
	sigma := math.Log(320./50) / 2.3263
	for range requests {
		took := 0.05 * math.Exp(sigma*rng.NormFloat64())
		if canary {
			took *= l.slower
			if rng.Float64() < l.extra {
				took++
			}
		}
		for i, b := range latencyBounds {
			if took > b.Seconds() {
				c.Slow[i]++
			}
		}
	}
	return c
}

// Looks are of 20 canary requests beside 180 of stable.
func (l latencyUsers) rolledBack(p Policy, rng *rand.Rand, requests int) bool {
	var in []Interval
	for i := range requests / 20 {
		at := start.Add(time.Duration(i) * every)
		in = append(in, Interval{From: at, To: at.Add(every), Weight: 10, Canary: l.draw(rng, 20, true), Stable: l.draw(rng, 180, false)})
	}
	s, _ := p.Look(State{}, in)
	return s.Failed != nil
}

func TestLatencyIsCompared(t *testing.T) {
	p := alphaFive()
	p.Comparison.LatencyBounds = latencyBounds
	for _, tt := range []struct {
		name     string
		users    latencyUsers
		requests int
		want     side
		q        float64
	}{
		{"unchanged is not rolled back", latencyUsers{slower: 1}, 800, below, 0.05},
		{"half as slow again is seen in 300 requests", latencyUsers{slower: 1.5}, 300, above, 2. / 3},
		{"a fifth slower is seen in 1300 requests", latencyUsers{slower: 1.2}, 1300, above, 2. / 3},
		{"a second more for 2 % is seen in 400 requests", latencyUsers{slower: 1, extra: 0.02}, 400, above, 2. / 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			decide(t, tt.want, tt.q, func(rng *rand.Rand) bool { return tt.users.rolledBack(p, rng, tt.requests) })
		})
	}
}

func TestRouterThatDoesAsToldIsNotAccused(t *testing.T) {
	for share, want := range map[int]side{10: below, 11: below, 5: above, 20: above} {
		decide(t, want, map[side]float64{below: 0.05, above: 0.9}[want], func(rng *rand.Rand) bool {
			u := users{perSecond: 50, weight: share, canary: 0.005, stable: 0.005}
			in := u.intervals(rng, State{}, 60)
			for i := range in {
				in[i].Weight = 10
			}
			_, j := byClock(0).Look(State{}, in)
			return j.Verdict == Inconclusive
		})
	}
}
