package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// How long it takes to see a regression, simulated interval by interval when
// the method was chosen: alpha 0.05, nothing tolerated, a look every 10 s, for
// 10, 100 and 1000 requests a second, in seconds. Where the table was written
// down in whole minutes, half a minute is open.
var seenAfter = []struct {
	stable, canary float64
	weight         int
	requests       [2]float64 // over the three rates of traffic
	seconds        [3]float64
}{
	{0.001, 0.01, 1, [2]float64{517, 600}, [3]float64{86 * 60, 9 * 60, 60}},
	{0.001, 0.01, 5, [2]float64{515, 600}, [3]float64{17 * 60, 2 * 60, 20}},
	{0.001, 0.01, 10, [2]float64{580, 700}, [3]float64{10 * 60, 70, 10}},
	{0.001, 0.01, 25, [2]float64{775, 1000}, [3]float64{5 * 60, 40, 10}},
	{0.01, 0.02, 1, [2]float64{1760, 1760}, [3]float64{294 * 60, 29 * 60, 3 * 60}},
	{0.01, 0.02, 5, [2]float64{1790, 1900}, [3]float64{60 * 60, 6 * 60, 50}},
	{0.01, 0.02, 10, [2]float64{1940, 2000}, [3]float64{32 * 60, 3 * 60, 30}},
	{0.01, 0.02, 25, [2]float64{2500, 3000}, [3]float64{17 * 60, 2 * 60, 20}},
}

// alphaFive is the policy of that table.
func alphaFive() Policy {
	return Policy{Comparison: Comparison{Enabled: true, Tolerated: 1, RollbackAt: 20}, SampleRatio: SampleRatio{Off: true}}
}

func TestTimeToSeeIsWithinATenthOfTheTable(t *testing.T) {
	for _, row := range seenAfter {
		for i, rps := range []float64{10, 100, 1000} {
			name := fmt.Sprintf("%v to %v at %d %% of %v rps", row.stable, row.canary, row.weight, rps)
			got, ok := alphaFive().TimeToSee(Traffic{PerSecond: rps, Weight: row.weight}, row.stable, row.canary)
			if !ok {
				t.Errorf("%s: never seen", name)
				continue
			}
			perInterval := rps * float64(row.weight) / 100 * 10
			requests, low, high := float64(got.Requests), row.requests[0]*0.9, row.requests[1]*1.1
			if requests < low-perInterval || requests > high+perInterval {
				t.Errorf("%s: seen after %v requests; want %.0f to %.0f, to one interval", name, requests, low, high)
			}
			want, rounding := row.seconds[i], 10.0
			if math.Mod(want, 60) == 0 && want > 60 {
				rounding = 30
			}
			if off := math.Abs(got.After.Seconds() - want); off > want/10+rounding {
				t.Errorf("%s: seen after %v; want %v s within a tenth and %v s", name, got.After, want, rounding)
			}
		}
	}
}

func TestTimeToSeeAddsTheSourcesLag(t *testing.T) {
	near, _ := alphaFive().TimeToSee(Traffic{PerSecond: 100, Weight: 10}, 0.01, 0.03)
	far, _ := alphaFive().TimeToSee(Traffic{PerSecond: 100, Weight: 10, Lag: 2 * time.Minute}, 0.01, 0.03)
	if far.After-near.After != 2*time.Minute {
		t.Errorf("with a lag of 2m seen after %v, without after %v; want two minutes between them", far.After, near.After)
	}
}

func TestWhatIsNeverSeen(t *testing.T) {
	harmless := DefaultComparison()
	for name, tt := range map[string]struct {
		policy         Policy
		traffic        Traffic
		stable, canary float64
	}{
		"a difference that is tolerated":      {Policy{Comparison: harmless}, Traffic{PerSecond: 100, Weight: 10}, 0.01, 0.0125},
		"a bit more than is tolerated":        {Policy{Comparison: harmless}, Traffic{PerSecond: 100, Weight: 30}, 0.1, 0.13},
		"that with next to no traffic":        {Policy{Comparison: harmless}, Traffic{PerSecond: 1, Weight: 5}, 0.05, 0.065},
		"a bit more than does no harm":        {Policy{Comparison: harmless}, Traffic{PerSecond: 100, Weight: 10}, 0, 0.00055},
		"what a lifetime is too short for":    {Policy{Comparison: harmless}, Traffic{PerSecond: 1e-6, Weight: 10}, 0.01, 0.02},
		"a rate that does no harm":            {Policy{Comparison: harmless}, Traffic{PerSecond: 100, Weight: 10}, 0.00001, 0.0004},
		"a rate that is no number":            {alphaFive(), Traffic{PerSecond: 100, Weight: 10}, 0.01, math.NaN()},
		"anything beside a rate that is none": {alphaFive(), Traffic{PerSecond: 100, Weight: 10}, math.NaN(), 0.5},
		"anything with traffic that is none":  {alphaFive(), Traffic{PerSecond: math.NaN(), Weight: 10}, 0.01, 0.5},
		"anything without traffic":            {alphaFive(), Traffic{Weight: 10}, 0.01, 0.5},
		"anything without a canary share":     {alphaFive(), Traffic{PerSecond: 100}, 0.01, 0.5},
		"anything without stable":             {alphaFive(), Traffic{PerSecond: 100, Weight: 100}, 0.01, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := tt.policy.TimeToSee(tt.traffic, tt.stable, tt.canary); ok {
				t.Errorf("TimeToSee(%+v, %v, %v) = %+v; want never", tt.traffic, tt.stable, tt.canary, got)
			}
		})
	}
}

// The judge itself rolls back in about 80 % of rollouts by the time that is told, near the edge
// of what it can see and beside its floor of harm too.
func TestTheJudgeSeesItInThatTime(t *testing.T) {
	const rollouts = 300
	p := Policy{Comparison: DefaultComparison(), SampleRatio: SampleRatio{Off: true}}
	for _, tt := range []struct {
		traffic        Traffic
		stable, canary float64
	}{
		{Traffic{PerSecond: 100, Weight: 30}, 0.1, 0.145},
		{Traffic{PerSecond: 1000, Weight: 10}, 0, 0.001},
		{Traffic{PerSecond: 10, Weight: 50}, 0.01, 0.05},
	} {
		seen, ok := p.TimeToSee(tt.traffic, tt.stable, tt.canary)
		if !ok {
			t.Errorf("%+v, %v to %v: never seen", tt.traffic, tt.stable, tt.canary)
			continue
		}
		requests := tt.traffic.PerSecond * 10
		canary := int64(requests * float64(tt.traffic.Weight) / 100)
		stable := int64(requests) - canary
		rng, rolledBack := rand.New(rand.NewPCG(5, 6)), 0
		for range rollouts {
			rows := make([][4]int64, int(seen.After/(10*time.Second)))
			for i := range rows {
				rows[i] = [4]int64{canary, int64(newPoisson(float64(canary) * tt.canary).draw(rng)), stable, int64(newPoisson(float64(stable) * tt.stable).draw(rng))}
			}
			if _, j := p.Look(State{}, stream(tt.traffic.Weight, rows...)); j.Verdict == Unhealthy {
				rolledBack++
			}
		}
		if share := float64(rolledBack) / rollouts; math.Abs(share-chance) > 0.07 {
			t.Errorf("%+v, %v to %v: rolled back in %.2f of rollouts by %v; want %v", tt.traffic, tt.stable, tt.canary, share, seen.After, chance)
		}
	}
}

// The smallest canary error rate seen with a chance of 80 % at 5 % weight and
// alpha 0.05, from the same simulations: what a judgement says would have been seen.
func TestSmallestSeenIsNearTheSimulatedTable(t *testing.T) {
	requests := []float64{100, 300, 1000, 3000, 10000}
	for stable, rates := range map[float64][]float64{
		0.0001: {0.030, 0.0104, 0.0038, 0.0016, 0.00072},
		0.001:  {0.036, 0.0155, 0.0078, 0.0040, 0.0025},
		0.01:   {0.071, 0.040, 0.025, 0.018, 0.0144},
	} {
		l := lineup{0.05, stable, 1, math.Log(20)}
		for i, want := range rates {
			if got := l.smallestSeen(requests[i]); math.Abs(got/want-1) > 0.25 {
				t.Errorf("stable %v, %v canary requests: smallest seen = %.5f; want %v within a quarter", stable, requests[i], got, want)
			}
		}
	}
	if got := (lineup{0.01, 0.01, 1, math.Log(20)}).smallestSeen(0.1); got != 0 {
		t.Errorf("a tenth of a request shows a rate of %v; want nothing to be seen", got)
	}
}

// What PaceTime says of undecided rollouts is what the judge itself leaves undecided: here the clock's pace,
// with ten minutes of patience, and proof wanted beyond 50 %.
func TestUndecidedAreAsManyAsTheJudgeLeaves(t *testing.T) {
	const rollouts, rps, rate = 200, 10, 0.01
	p := Policy{Comparison: DefaultComparison(), Steps: []int{25, 50, 75}, SampleRatio: SampleRatio{Off: true}}
	within := Stretch{Least: time.Minute, Most: 11 * time.Minute}
	rng, left := rand.New(rand.NewPCG(7, 8)), 0
	// step is false where it stays undecided.
	step := func(s *State, weight int) bool {
		canary, stable := newPoisson(rps*10*float64(weight)/100*rate), newPoisson(rps*10*float64(100-weight)/100*rate)
		for took := 10 * time.Second; took <= within.Most; took += 10 * time.Second {
			row := [4]int64{rps * int64(weight) / 10, int64(canary.draw(rng)), rps * int64(100-weight) / 10, int64(stable.draw(rng))}
			var j Judgement
			*s, j = p.Look(*s, later(*s, stream(weight, row)))
			if took >= within.Least && j.Enough && j.Verdict == Healthy {
				return true
			}
		}
		return false
	}
	for range rollouts {
		var s State
		for _, weight := range p.Steps {
			if !step(&s, weight) {
				left++
				break
			}
			s = s.NextStep()
		}
	}
	got := p.PaceTime(Traffic{PerSecond: rps}, rate, within, within, within)
	if share := float64(left) / rollouts; math.Abs(got.Undecided-share) > 0.1 || got.Stuck != 1 {
		t.Errorf("%v are undecided, most in step %d; the judge leaves %v, most in step 1", got.Undecided, got.Stuck, share)
	}
}

// Rollouts of 5, 10, 20, 30, 50 % with a healthy canary, 0.5 % errors, at least
// a minute a step and an hour at most, from the same simulations.
func TestPaceTimeIsNearTheSimulatedTable(t *testing.T) {
	p := Policy{Comparison: Comparison{Enabled: true}, Pace: DefaultPace(), Steps: []int{5, 10, 20, 30, 50}}
	for rps, want := range map[float64]struct{ median, slow, off float64 }{
		10:   {18.5, 43.5, 0.15},
		100:  {5, 6.7, 0.15},
		1000: {5, 5, 0.01},
	} {
		got := p.PaceTime(Traffic{PerSecond: rps}, 0.005)
		if math.Abs(got.Median.Minutes()/want.median-1) > want.off || math.Abs(got.Slow.Minutes()/want.slow-1) > want.off || got.Undecided > 0.04 {
			t.Errorf("%v rps: %v, nine of ten %v, undecided %v; want %v and %v minutes within %v",
				rps, got.Median, got.Slow, got.Undecided, want.median, want.slow, want.off)
		}
		if len(got.Steps) != 5 || got.Steps[0] < time.Minute {
			t.Errorf("%v rps: steps %v; want five of a minute at least", rps, got.Steps)
		}
	}
}
