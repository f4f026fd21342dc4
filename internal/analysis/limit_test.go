package analysis

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// valued gives each interval one value.
func valued(in []Interval, name string, v ...float64) []Interval {
	for i := range in {
		in[i].Values = map[string]float64{name: v[min(i, len(v)-1)]}
	}
	return in
}

// slowed gives each interval's canary the same counts per latency bound.
func slowed(in []Interval, slow ...int64) []Interval {
	for i := range in {
		in[i].Canary.Slow = slow
	}
	return in
}

func TestLimits(t *testing.T) {
	ok, bad := [4]int64{100, 0, 900, 0}, [4]int64{100, 3, 900, 0}
	mixed := append(repeat(1, 10, bad), repeat(11, 10, ok)...)
	for i := range mixed {
		mixed[i].From, mixed[i].To = start.Add(time.Duration(i)*10*time.Second), start.Add(time.Duration(i+1)*10*time.Second)
	}
	gap := without(repeat(3, 10, [4]int64{100, 30, 900, 0}), 1, 2)
	gap[0].Canary.Errors = 0
	bounds := []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second}
	for name, tt := range map[string]struct {
		limit   Limit
		in      []Interval
		verdict Verdict
		reason  string
	}{
		"no failure is within a threshold of 0":           {FailureThreshold(0, 5*time.Minute), repeat(6, 10, ok), Healthy, "0 failed requests on the canary in 1m, allowed are 0."},
		"one interval's failures pass a threshold":        {FailureThreshold(2, 5*time.Minute), repeat(1, 10, bad), Unhealthy, "3 failed requests on the canary in 10s, allowed are 2."},
		"the threshold itself is allowed":                 {FailureThreshold(3, 5*time.Minute), mixed, Healthy, ""},
		"failures add up over the window":                 {FailureThreshold(8, time.Minute), repeat(3, 10, bad), Unhealthy, "9 failed requests on the canary in 30s, allowed are 8."},
		"failures leave the window":                       {FailureThreshold(3, 20*time.Second), repeat(1, 10, bad), Healthy, ""},
		"a window forgets":                                {FailureThreshold(6, 20*time.Second), repeat(12, 10, bad), Healthy, ""},
		"missing data cannot hide failures":               {FailureThreshold(2, 5*time.Minute), without(repeat(6, 10, bad), 1, 6), Unhealthy, ""},
		"missing data are not zero failures":              {FailureThreshold(9, 5*time.Minute), without(repeat(6, 10, bad), 1, 6), Inconclusive, "Failure_threshold can't be told: no data for 50s of the last 1m."},
		"no requests are not zero failures":               {FailureThreshold(0, time.Minute), repeat(6, 10, [4]int64{0, 0, 0, 0}), Inconclusive, "Failure_threshold can't be told: 0 canary requests in 1m, needs 1."},
		"too few requests can't tell":                     {Limit{Name: "errors", Kind: ErrorRate, Bound: 0.01, MinRequests: 1000}, repeat(2, 10, bad), Inconclusive, "Errors can't be told: 200 canary requests in 20s, needs 1000."},
		"what no more requests could mend is broken":      {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, MinRequests: 200}, repeat(1, 10, bad), Unhealthy, "3 of 100 requests (3 %) on the canary failed in 10s, allowed is 1 %; 100 more that are fine would not change that."},
		"what more requests could mend is not":            {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, MinRequests: 300}, repeat(1, 10, bad), Inconclusive, "E can't be told: 100 canary requests in 10s, needs 300."},
		"a success rate that no more requests could mend": {Limit{Name: "s", Kind: SuccessRate, Bound: 0.99, MinRequests: 200}, repeat(1, 10, bad), Unhealthy, "97 % of the canary's 100 requests in 10s succeeded, wanted are at least 99 %; 100 more that are fine would not change that."},
		"a percentile that no more requests could mend":   {Limit{Name: "p90", Kind: LatencyPercentile, Percentile: 90, Bound: 0.2, MinRequests: 110}, slowed(repeat(1, 10, ok), 20, 0, 0), Unhealthy, "The canary's p90 over 10s is 300ms, allowed is 200ms; 10 more that are fine would not change that."},
		"a percentile that more requests could mend":      {Limit{Name: "p90", Kind: LatencyPercentile, Percentile: 90, Bound: 0.2, MinRequests: 210}, slowed(repeat(1, 10, ok), 20, 0, 0), Inconclusive, "P90 can't be told: 100 canary requests in 10s, needs 210."},
		"too few requests that are fine pass nothing":     {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, MinRequests: 200}, repeat(1, 10, ok), Inconclusive, "E can't be told: 100 canary requests in 10s, needs 200."},
		"missing data may hold what would mend it":        {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, MinRequests: 1000}, gap, Inconclusive, "E can't be told: no data for 10s of the last 30s."},
		"an error rate passes its bound":                  {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01}, repeat(6, 10, bad), Unhealthy, "3 of 100 requests (3 %) on the canary failed in 10s, allowed is 1 %."},
		"an error rate within its bound":                  {Limit{Name: "e", Kind: ErrorRate, Bound: 0.03}, repeat(6, 10, bad), Healthy, ""},
		"a success rate below its bound":                  {Limit{Name: "s", Kind: SuccessRate, Bound: 0.99}, repeat(6, 10, bad), Unhealthy, "97 % of the canary's 100 requests in 10s succeeded, wanted are at least 99 %."},
		"a success rate within its bound":                 {Limit{Name: "s", Kind: SuccessRate, Bound: 0.97}, repeat(6, 10, bad), Healthy, ""},
		"failures are allowed up to a number":             {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, Window: 10 * time.Second, FailuresAllowed: 6}, repeat(6, 10, bad), Inconclusive, "3 of 100 requests (3 %) on the canary failed in 10s, allowed is 1 %; failed check 6 of 6 allowed."},
		"and not beyond":                                  {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, Window: 10 * time.Second, FailuresAllowed: 6}, repeat(7, 10, bad), Unhealthy, ""},
		"checks keep their distance":                      {Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, Every: 30 * time.Second, FailuresAllowed: 2}, repeat(6, 10, bad), Inconclusive, ""},
		"a latency percentile within its bound":           {Limit{Name: "p99", Kind: LatencyPercentile, Percentile: 99, Bound: 0.5}, slowed(repeat(6, 10, ok), 20, 1, 0), Healthy, "The canary's p99 over 1m is 500ms, allowed is 500ms."},
		"a latency percentile between two bounds":         {Limit{Name: "p90", Kind: LatencyPercentile, Percentile: 90, Bound: 0.2}, slowed(repeat(6, 10, ok), 20, 0, 0), Unhealthy, "The canary's p90 over 10s is 300ms, allowed is 200ms."},
		"a latency percentile beyond all bounds":          {Limit{Name: "p50", Kind: LatencyPercentile, Percentile: 50, Bound: 1}, slowed(repeat(6, 10, ok), 99, 98, 97), Unhealthy, "The canary's p50 over 10s is more than 1s, allowed is 1s."},
		"a latency percentile without data":               {Limit{Name: "p50", Kind: LatencyPercentile, Percentile: 50, Bound: 1}, repeat(6, 10, ok), Inconclusive, "P50 can't be told: the source has no latency counts for the canary."},
		"a share of slow requests passes its bound":       {Limit{Name: "slow", Kind: SlowRatio, Above: 500 * time.Millisecond, Bound: 0.01}, slowed(repeat(6, 10, ok), 20, 2, 0), Unhealthy, "2 % of the canary's 100 requests in 10s took longer than 500ms, allowed is 1 %."},
		"a value within its bound":                        {Limit{Name: "queue", Kind: Value, Bound: 10}, valued(repeat(6, 10, ok), "queue", 50, 9), Inconclusive, ""},
		"a value beyond its bound":                        {Limit{Name: "queue", Kind: Value, Bound: 10}, valued(repeat(6, 10, ok), "queue", 11), Unhealthy, "Queue is 11, wanted is at most 10."},
		"a value below its least":                         {Limit{Name: "hits", Kind: Value, Bound: 0.9, AtLeast: true}, valued(repeat(6, 10, ok), "hits", 0.5), Unhealthy, "Hits is 0.5, wanted is at least 0.9."},
		"a value of another name is no data":              {Limit{Name: "queue", Kind: Value, Bound: 10}, valued(repeat(6, 10, ok), "other", 1), Inconclusive, "Queue can't be told: no value in the last 1m."},
		"a value that is no number is no data":            {Limit{Name: "queue", Kind: Value, Bound: 10}, valued(repeat(6, 10, ok), "queue", 1, math.NaN()), Inconclusive, ""},
		"an old value leaves the window":                  {Limit{Name: "queue", Kind: Value, Bound: 10, Window: 20 * time.Second}, valued(repeat(6, 10, ok), "queue", 1, math.Inf(1)), Inconclusive, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := onlyLimits(tt.limit)
			p.Comparison.LatencyBounds = bounds
			if tt.limit.Name == "queue" && tt.in[0].Values["queue"] == 50 {
				p.Limits[0].FailuresAllowed, tt.verdict = 1, Healthy
			}
			if name == "failures leave the window" {
				tt.in = append(tt.in, later(State{Until: tt.in[0].To}, repeat(6, 10, ok))...)
			}
			_, j := p.Look(State{}, tt.in)
			if j.Verdict != tt.verdict {
				t.Errorf("verdict = %v (%s); want %v", j.Verdict, j.Reason, tt.verdict)
			}
			if tt.reason != "" && j.Reason != tt.reason {
				t.Errorf("reason = %q\n            want %q", j.Reason, tt.reason)
			}
		})
	}
}

func TestValueWithoutWindowMustBeNew(t *testing.T) {
	p := onlyLimits(Limit{Name: "queue", Kind: Value, Bound: 10}, FailureThreshold(0, time.Hour))
	in := valued(repeat(20, 10, [4]int64{100, 0, 900, 0}), "queue", 1)
	for i := 10; i < 20; i++ {
		in[i].Values = nil
	}
	if _, j := p.Look(State{}, in[:10]); j.Verdict != Healthy {
		t.Errorf("with a new value: %v, %s; want healthy", j.Verdict, j.Reason)
	}
	if _, j := p.Look(State{}, in); j.Verdict != Inconclusive {
		t.Errorf("with a value of 100 s ago: %v; want inconclusive", j.Verdict)
	}
}

func TestEachLimitHasItsOwnWindow(t *testing.T) {
	p := onlyLimits(
		Limit{Name: "long", Kind: ErrorCount, Bound: 3, Window: time.Hour},
		Limit{Name: "short", Kind: ErrorCount, Bound: 2, Window: 20 * time.Second, FailuresAllowed: 100},
	)
	s, _ := p.Look(State{}, repeat(1, 10, [4]int64{100, 3, 900, 0}))
	s, _ = p.Look(s, later(s, repeat(5, 10, [4]int64{100, 0, 900, 0})))
	for i, want := range []int64{3, 0} {
		if m := s.Checks[i].Last; m.Canary.Errors != want || m.Verdict != Healthy {
			t.Errorf("%s: %d errors, %v; want %d and healthy", m.Name, m.Canary.Errors, m.Verdict, want)
		}
	}
}

func TestMoreSlowThanRequestsIsNoData(t *testing.T) {
	p := onlyLimits(Limit{Name: "slow", Kind: SlowRatio, Above: time.Second, Bound: 1})
	p.Comparison.LatencyBounds = []time.Duration{time.Second}
	if _, j := p.Look(State{}, slowed(repeat(3, 10, [4]int64{100, 0, 900, 0}), 101)); j.Verdict != Inconclusive {
		t.Errorf("101 slow ones of 100: %v, %s; want inconclusive", j.Verdict, j.Reason)
	}
}

func TestLimitWithoutDataExhaustsItsPatience(t *testing.T) {
	p := onlyLimits(Limit{Name: "e", Kind: ErrorRate, Bound: 0.01, InconclusiveAllowed: 3})
	in := without(repeat(5, 10, [4]int64{100, 0, 900, 0}), 0, 5)
	if _, j := p.Look(State{}, in[:3]); j.Exhausted {
		t.Error("exhausted after 3 inconclusive checks; want not yet")
	}
	if _, j := p.Look(State{}, in[:4]); !j.Exhausted || j.Verdict != Inconclusive {
		t.Errorf("after 4 inconclusive checks: exhausted %v, %v; want exhausted and still inconclusive", j.Exhausted, j.Verdict)
	}
	s, _ := p.Look(State{}, in[:3])
	p.MissingTolerated = 1
	if s, _ = p.Look(s, later(s, repeat(1, 10, [4]int64{100, 0, 900, 0}))); s.Checks[0].Inconclusive != 0 {
		t.Errorf("inconclusive in a row = %d after a check with data; want 0", s.Checks[0].Inconclusive)
	}
}

func TestNextStepForgetsTheLimitsCounts(t *testing.T) {
	p := onlyLimits(FailureThreshold(5, time.Hour))
	s, j := p.Look(State{}, repeat(1, 10, [4]int64{100, 4, 900, 0}))
	if j.Verdict != Healthy {
		t.Fatalf("4 failures: %v; want healthy", j.Verdict)
	}
	s = s.NextStep()
	if _, j = p.Look(s, later(s, repeat(1, 10, [4]int64{100, 4, 900, 0}))); j.Verdict != Healthy {
		t.Errorf("4 failures in the next step: %v, %s; want healthy, the window is the step's", j.Verdict, j.Reason)
	}
}

func TestAdvisoryLimitDecidesNothing(t *testing.T) {
	p := onlyLimits(FailureThreshold(5, time.Hour), Limit{Name: "hint", Kind: ErrorRate, Bound: 0, Advisory: true})
	_, j := p.Look(State{}, repeat(1, 10, [4]int64{100, 4, 900, 0}))
	if j.Verdict != Healthy || find(t, j, "hint").Verdict != Unhealthy {
		t.Errorf("verdict = %v, hint %v; want healthy with an unhealthy hint", j.Verdict, find(t, j, "hint").Verdict)
	}
	p.Limits = p.Limits[1:]
	if _, j = p.Look(State{}, repeat(1, 10, [4]int64{100, 0, 900, 0})); j.Verdict != Inconclusive {
		t.Errorf("hints alone: %v; want inconclusive", j.Verdict)
	}
}

func TestValidateNamesTheFirstWrongSetting(t *testing.T) {
	for want, p := range map[string]Policy{
		`limits[0] "a": kind is "", expected one of`:         onlyLimits(Limit{Name: "a"}),
		`limits[0] "a": bound is NaN`:                        onlyLimits(Limit{Name: "a", Kind: Value, Bound: math.NaN()}),
		`limits[0] "a": bound is -1, expected a count`:       onlyLimits(Limit{Name: "a", Kind: ErrorCount, Bound: -1}),
		`limits[0] "a": above is 1s, expected one of`:        onlyLimits(Limit{Name: "a", Kind: SlowRatio, Above: time.Second}),
		`limits[0] "a": percentile is 100`:                   {Limits: []Limit{{Name: "a", Kind: LatencyPercentile, Percentile: 100, Bound: 1}}},
		`limits[0] "a": there are no latency bounds`:         {Limits: []Limit{{Name: "a", Kind: LatencyPercentile, Percentile: 99, Bound: 1}}},
		`at most the last latency bound 1s`:                  {Limits: []Limit{{Name: "a", Kind: LatencyPercentile, Percentile: 99, Bound: 2}}, Comparison: Comparison{LatencyBounds: []time.Duration{time.Second}}},
		`limits[1]: name "failure_threshold" is there twice`: onlyLimits(FailureThreshold(0, 0), FailureThreshold(1, 0)),
		`limits[0] "a": a time or count is negative`:         onlyLimits(Limit{Name: "a", Kind: Value, MinRequests: -1}),
		`comparison: tolerated is 0.5, expected 1 to 100`:    {Comparison: Comparison{Tolerated: 0.5}},
		`comparison: good below is NaN`:                      {Comparison: Comparison{GoodBelow: math.NaN()}},
		`comparison: latency bounds[1] is 1s`:                {Comparison: Comparison{LatencyBounds: []time.Duration{time.Second, time.Second}}},
		`pace: evidence needs the comparison`:                {Pace: DefaultPace()},
		`pace: ratios[1] is 3, expected falling`:             {Pace: Pace{Ratios: []float64{2, 3}}},
		`pace: min dwell -1s`:                                {Pace: Pace{MinDwell: -time.Second}},
		`sample ratio: tolerance is 2`:                       {SampleRatio: SampleRatio{Tolerance: 2}},
		`missing tolerated is 1.5`:                           {MissingTolerated: 1.5},
		`steps[0] is 101`:                                    {Steps: []int{101}},
		`bake is -1s`:                                        {BakeFor: -time.Second},
	} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v; want an error with %q", err, want)
		}
	}
	for _, p := range []Policy{{}, byEvidence(), fullPolicy()} {
		if err := p.Validate(); err != nil {
			t.Errorf("Validate() = %v; want none", err)
		}
	}
}

func TestTimesAreToldAsTheyAre(t *testing.T) {
	p := byClock(0)
	p.Comparison.LatencyBounds = []time.Duration{500 * time.Millisecond, 1200 * time.Millisecond}
	p.Limits = []Limit{{Name: "latency", Kind: LatencyPercentile, Percentile: 90, Bound: 1.2}}
	in := repeat(6, 10, [4]int64{100, 0, 900, 0})
	for i := range in {
		in[i].Canary.Slow, in[i].Stable.Slow = []int64{20, 4}, []int64{10, 0}
	}
	_, j := p.Look(State{}, in)
	var told []string
	for _, m := range j.Measures {
		if m.Name == "latency" {
			told = append(told, m.Note)
		}
		if strings.HasPrefix(m.Name, slowPrefix) {
			told = append(told, m.Name)
		}
	}
	slices.Sort(told)
	if got, want := strings.Join(told, "; "), "slower than 1.2s; slower than 500ms; the canary's p90 over 1m is 938ms, allowed is 1.2s"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}
