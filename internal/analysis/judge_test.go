package analysis

import (
	"math"
	"strings"
	"testing"
	"time"
)

// repeat is n intervals of ten seconds with the same counts.
func repeat(n, weight int, row [4]int64) []Interval {
	rows := make([][4]int64, n)
	for i := range rows {
		rows[i] = row
	}
	return stream(weight, rows...)
}

// without makes the canary's data of some intervals unknown.
func without(in []Interval, from, to int) []Interval {
	for i := from; i < to; i++ {
		in[i].Canary = Counts{}
	}
	return in
}

// byEvidence is the usual policy for five steps.
func byEvidence() Policy {
	return Policy{Comparison: DefaultComparison(), Pace: DefaultPace(), Steps: []int{5, 10, 20, 30, 50}}
}

func byClock(dwell time.Duration) Policy {
	p := byEvidence()
	p.Pace = Pace{MinDwell: dwell}
	return p
}

func onlyLimits(l ...Limit) Policy { return Policy{Limits: l} }

func TestJudgement(t *testing.T) {
	latency := byClock(0)
	latency.Comparison.LatencyBounds = []time.Duration{100 * time.Millisecond}
	noObjective := byEvidence()
	noObjective.Comparison.GoodBelow = 0
	limited := byClock(0)
	limited.Limits = []Limit{FailureThreshold(0, time.Minute)}
	forgiving := byClock(0)
	forgiving.MissingTolerated = 0.2
	for name, tt := range map[string]struct {
		policy  Policy
		in      []Interval
		verdict Verdict
		flags   string // of Hold, Enough, Overdue, Exhausted
		reason  string
	}{
		"nothing measured tells nothing": {byEvidence(), nil, Inconclusive, "",
			"Can't tell: there are no data on the canary in this step yet."},
		"a policy without measures never passes": {Policy{}, repeat(60, 5, [4]int64{50, 0, 950, 5}), Inconclusive, "enough",
			"Can't tell: nothing is set that this step could be judged by."},
		"a policy that makes no sense judges nothing": {onlyLimits(Limit{Name: "x", Kind: ErrorRate, Bound: 2}), repeat(6, 5, [4]int64{50, 0, 950, 5}), Inconclusive, "",
			`Can't tell: the policy makes no sense: limits[0] "x": bound is 2, expected a share from 0 to 1.`},
		"a healthy canary waits for its dwell": {byEvidence(), repeat(3, 5, [4]int64{50, 0, 950, 5}), Healthy, "",
			"0 of 150 requests (0 %) on the canary failed, 15 of 2850 (0.53 %) on stable: less than 6.5 times as often; the step lasts 30s more at least."},
		"a healthy canary with its proof goes on": {byEvidence(), repeat(12, 5, [4]int64{50, 0, 950, 5}), Healthy, "enough",
			"0 of 600 requests (0 %) on the canary failed, 60 of 11400 (0.53 %) on stable: less than 1.5 times as often."},
		"a bad canary is unhealthy within one interval": {byEvidence(), repeat(1, 5, [4]int64{50, 10, 950, 5}), Unhealthy, "hold",
			"10 of 50 requests (20 %) on the canary failed, 5 of 950 (0.53 %) on stable: more than 8 times as often; a canary that is fine looks this bad in at most 1 in 4.54 million rollouts."},
		"four failures beside a clean stable are enough": {byEvidence(), repeat(4, 5, [4]int64{5, 1, 95, 0}), Unhealthy, "hold", ""},
		"three are not, and hold":                        {byEvidence(), repeat(3, 5, [4]int64{5, 1, 95, 0}), Inconclusive, "hold", "Holding: 3 of 15 requests (20 %) on the canary failed, 0 of 285 (0 %) on stable: more than 4 times as often."},
		"an incident common to both is no verdict":       {byClock(0), repeat(6, 5, [4]int64{50, 15, 950, 285}), Healthy, "enough", ""},
		"a tolerated difference does not roll back":      {byClock(0), repeat(60, 50, [4]int64{500, 6, 500, 5}), Healthy, "enough", ""},
		"harmless rates do not roll back":                {byClock(0), repeat(60, 50, [4]int64{100000, 20, 100000, 1}), Healthy, "enough", ""},
		"no canary requests is not health":               {byClock(0), repeat(2, 5, [4]int64{0, 0, 5, 0}), Inconclusive, "enough", "Errors can't be told: 0 canary requests in this step, needs 1."},
		"silence at the end is not health":               {forgiving, without(repeat(12, 5, [4]int64{50, 0, 950, 5}), 11, 12), Inconclusive, "enough", "Errors can't be told: the newest interval has no data."},
		"too much silence is not health":                 {forgiving, without(repeat(12, 5, [4]int64{50, 0, 950, 5}), 3, 7), Inconclusive, "enough", "Errors can't be told: no data on both versions for 40s of the step's 2m."},
		"a little silence is borne":                      {forgiving, without(repeat(12, 5, [4]int64{50, 0, 950, 5}), 3, 4), Healthy, "enough", ""},
		"silence before the first data is no gap":        {byClock(time.Minute), without(repeat(7, 5, [4]int64{50, 0, 950, 5}), 0, 2), Healthy, "", ""},
		"and does not count as time in the step":         {byClock(time.Minute), without(repeat(8, 5, [4]int64{50, 0, 950, 5}), 0, 2), Healthy, "enough", ""},
		"no data for ever is never health":               {forgiving, without(repeat(5000, 5, [4]int64{50, 0, 950, 5}), 0, 5000), Inconclusive, "", "Can't tell: there are no data on the canary in this step yet."},
		"a router that sends too much is told apart": {byClock(0), repeat(12, 5, [4]int64{300, 90, 700, 210}), Inconclusive, "enough",
			"The router does not do as told: the canary got 30 % of 12000 requests where the weight is 5 %, so nothing is said about the canary."},
		"a router that sends nothing is told apart": {byClock(0), repeat(12, 5, [4]int64{0, 0, 1000, 5}), Inconclusive, "enough", ""},
		"a share a sixth too high is borne":         {byClock(0), repeat(100, 30, [4]int64{35, 0, 65, 0}), Healthy, "enough", ""},
		"a cap without proof can't tell": {noObjective, repeat(400, 5, [4]int64{1, 0, 19, 0}), Inconclusive, "overdue",
			"Can't tell after 1h6m40s: canary 0 of 400 requests (0 %), stable 0 of 7600 requests (0 %); 1.2 % or more would have been seen (80 %); needs about 4400 more canary requests, 12h10m."},
		"a clean service is proven by its objective": {byEvidence(), repeat(60, 5, [4]int64{5, 0, 95, 0}), Healthy, "enough",
			"0 of 300 requests (0 %) on the canary failed, 0 of 5700 (0 %) on stable: too few to tell them apart; shown to stay below 10 %, which is good enough."},
		"a clean step that needs no proof says why it goes on": {byClock(0), repeat(2, 5, [4]int64{5, 0, 95, 0}), Healthy, "enough",
			"0 of 10 requests (0 %) on the canary failed, 0 of 190 (0 %) on stable: too few to tell them apart; nothing speaks against the canary, which is enough at this weight."},
		"and that its limits are kept": {limited, repeat(2, 5, [4]int64{5, 0, 95, 0}), Healthy, "enough",
			"0 of 10 requests (0 %) on the canary failed, 0 of 190 (0 %) on stable: too few to tell them apart; its limits are kept and nothing speaks against the canary, which is enough at this weight."},
		"a first deployment is held against the objective": {byClock(0), repeat(12, 100, [4]int64{50, 5, 0, 0}), Unhealthy, "hold",
			"10 of 100 requests (10 %) on the canary failed, up to 1 % is expected; a canary that is fine looks this bad in at most 1 in 73300 rollouts."},
		"a clean first deployment passes": {byClock(0), repeat(12, 100, [4]int64{50, 0, 0, 0}), Healthy, "enough",
			"0 of 600 requests (0 %) on the canary failed, up to 1 % is expected."},
		"a first deployment without objective can't tell": {noObjective, repeat(12, 100, [4]int64{50, 0, 0, 0}), Inconclusive, "enough", ""},
		"latency that nobody counts can't tell":           {latency, repeat(12, 5, [4]int64{50, 0, 950, 5}), Inconclusive, "enough", "Slower than 100ms can't be told: 0 canary requests in this step, needs 1."},
	} {
		t.Run(name, func(t *testing.T) {
			_, j := tt.policy.Look(State{}, tt.in)
			if j.Verdict != tt.verdict || flags(j) != tt.flags {
				t.Errorf("verdict = %v, flags %q; want %v, %q: %s", j.Verdict, flags(j), tt.verdict, tt.flags, j.Reason)
			}
			if tt.reason != "" && j.Reason != tt.reason {
				t.Errorf("reason = %q\n            want %q", j.Reason, tt.reason)
			}
		})
	}
}

func flags(j Judgement) string {
	var out []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"hold", j.Hold}, {"enough", j.Enough}, {"overdue", j.Overdue}, {"exhausted", j.Exhausted}} {
		if f.set {
			out = append(out, f.name)
		}
	}
	return strings.Join(out, " ")
}

func TestUnhealthyStays(t *testing.T) {
	p := byEvidence()
	s, j := p.Look(State{}, repeat(2, 5, [4]int64{50, 20, 950, 5}))
	reason := j.Reason
	s, j = p.Look(s, later(s, repeat(500, 5, [4]int64{50, 0, 950, 50})))
	if j.Verdict != Unhealthy || j.Reason != reason {
		t.Errorf("after recovery: %v, %q; want unhealthy with the first reason %q", j.Verdict, j.Reason, reason)
	}
	_, j = p.Look(s.NextStep(), nil)
	if j.Verdict != Unhealthy {
		t.Errorf("in the next step: %v; want unhealthy", j.Verdict)
	}
}

func TestFailedLimitStaysInTheNextStep(t *testing.T) {
	p := onlyLimits(FailureThreshold(0, 0))
	s, _ := p.Look(State{}, repeat(1, 10, [4]int64{100, 1, 900, 0}))
	s = s.NextStep()
	if _, j := p.Look(s, later(s, repeat(5, 10, [4]int64{100, 0, 900, 0}))); j.Verdict != Unhealthy || j.Enough {
		t.Errorf("after a step that failed: %v, enough %v; want unhealthy and not", j.Verdict, j.Enough)
	}
}

func TestWarmupIsLeftOutOfTheComparison(t *testing.T) {
	p := byClock(0)
	p.Comparison.Warmup = 30 * time.Second
	cold := repeat(3, 5, [4]int64{50, 25, 950, 5})
	s, j := p.Look(State{}, cold)
	if j.Verdict != Inconclusive || find(t, j, errorsName).Canary.Requests != 0 {
		t.Errorf("within the warm-up: %v with %+v; want inconclusive and nothing compared", j.Verdict, find(t, j, errorsName).Canary)
	}
	if _, j = p.Look(s, later(s, repeat(6, 5, [4]int64{50, 0, 950, 5}))); j.Verdict != Healthy {
		t.Errorf("after the warm-up: %v, %s; want healthy", j.Verdict, j.Reason)
	}
	if _, j = p.Look(s, later(s, cold)); j.Verdict != Unhealthy {
		t.Errorf("still bad after the warm-up: %v; want unhealthy", j.Verdict)
	}
}

// The two ways of proving share the permitted error, half each.
func TestProofByTheObjective(t *testing.T) {
	p := byClock(0)
	_, j := p.Look(State{}, repeat(8, 5, [4]int64{50, 0, 950, 0}))
	want := 0.0
	for _, rate := range []float64{0.001, 0.0025, 0.005} {
		want += math.Pow((1-rate)/(1-0.01), 400) / 3 / 2
	}
	if got := find(t, j, errorsName).Good; !near(got, want, 1e-9) {
		t.Errorf("400 clean requests against 1 %%: evidence %v; want %v", got, want)
	}
}

func TestHarmIsSeenThoughItBeginsLate(t *testing.T) {
	p := byClock(0)
	s, _ := p.Look(State{}, repeat(100, 5, [4]int64{50000, 0, 950000, 9}))
	s = s.NextStep()
	if _, j := p.Look(s, later(s, repeat(1, 5, [4]int64{1000, 20, 19000, 0}))); j.Verdict != Unhealthy {
		t.Errorf("2 %% after five million clean requests: %v, %s; want unhealthy", j.Verdict, j.Reason)
	}
}

func TestLatencyHasNoObjective(t *testing.T) {
	p := byClock(0)
	p.Comparison.LatencyBounds = []time.Duration{100 * time.Millisecond}
	_, j := p.Look(State{}, slowed(repeat(12, 100, [4]int64{50, 0, 0, 0}), 25))
	if j.Verdict != Healthy || !find(t, j, "slower than 100ms").Advisory {
		t.Errorf("a first deployment, half slower than a bound: %v, %s; want healthy", j.Verdict, j.Reason)
	}
}

func TestEvidenceOnSeveralMeasuresIsAveraged(t *testing.T) {
	for n := range 5 {
		sum := 0.0
		for _, w := range (Policy{Comparison: Comparison{LatencyBounds: make([]time.Duration, n)}}).weights() {
			sum += w
		}
		if !near(sum, 1, 1e-12) {
			t.Errorf("%d latency bounds: the weights add up to %v; want 1", n, sum)
		}
	}
}

func TestBakeStartsWithEvidenceOfItsOwn(t *testing.T) {
	p := byClock(0)
	s, j := p.Look(State{}, repeat(3, 5, [4]int64{5, 1, 95, 0}))
	if !j.Hold {
		t.Fatalf("before the bake: no hold, %s", j.Reason)
	}
	if _, j = p.Look(s.Bake(), later(s, repeat(1, 100, [4]int64{2, 0, 0, 0}))); j.Hold {
		t.Errorf("in the bake's first clean interval: hold, %s; want none", j.Reason)
	}
}

// What was good early must not hide what goes bad late.
func TestLateRegressionIsFoundThoughTheStartWasGood(t *testing.T) {
	p := byClock(0)
	looks := func(s State, steps bool) int {
		for i := range 500 {
			if steps && i%18 == 0 && i > 0 {
				s = s.NextStep()
			}
			var j Judgement
			s, j = p.Look(s, later(s, repeat(1, 20, [4]int64{200, 8, 800, 8})))
			if j.Verdict == Unhealthy {
				return i + 1
			}
		}
		return 500
	}
	s, _ := p.Look(State{}, repeat(180, 20, [4]int64{200, 2, 800, 8}))
	diluted, fresh := looks(s, false), looks(s.NextStep(), true)
	if fresh > 5 || fresh >= diluted {
		t.Errorf("found after %d intervals with a fresh process, %d without; want at most 5, and fewer", fresh, diluted)
	}
}

func TestNewStepNeedsItsOwnData(t *testing.T) {
	p := byClock(0)
	s, j := p.Look(State{}, repeat(30, 5, [4]int64{50, 0, 950, 5}))
	if j.Verdict != Healthy {
		t.Fatalf("first step: %v %s; want healthy", j.Verdict, j.Reason)
	}
	s = s.NextStep()
	if _, j = p.Look(s, nil); j.Verdict != Inconclusive || j.Enough {
		t.Errorf("before the second step's first interval: %v, enough %v; want inconclusive and not", j.Verdict, j.Enough)
	}
	if _, j = p.Look(s, later(s, without(repeat(3, 5, [4]int64{1, 0, 19, 0}), 0, 3))); j.Verdict != Inconclusive {
		t.Errorf("second step without data: %v; want inconclusive", j.Verdict)
	}
}

func TestBakeFindsWhatComparisonCannot(t *testing.T) {
	p := byClock(0)
	s, _ := p.Look(State{}, repeat(60, 50, [4]int64{500, 2, 500, 2}))
	baked, j := p.Look(s.Bake(), later(s, repeat(60, 100, [4]int64{1000, 4, 0, 0})))
	if j.Verdict != Healthy || !j.Enough {
		t.Fatalf("a bake as good as before: %v, enough %v: %s; want healthy and enough", j.Verdict, j.Enough, j.Reason)
	}
	_, j = p.Look(baked, later(baked, repeat(1, 100, [4]int64{1000, 100, 0, 0})))
	if j.Verdict != Unhealthy {
		t.Errorf("a tenth fails after ten good minutes: %v, %s; want unhealthy at once", j.Verdict, j.Reason)
	}
}

// A service that always failed at 3 % is not rolled back for it at 100 %.
func TestBakeIsHeldAgainstWhatStableShowed(t *testing.T) {
	p := byClock(0)
	s, _ := p.Look(State{}, repeat(60, 50, [4]int64{500, 15, 500, 15}))
	_, j := p.Look(s.Bake(), later(s, repeat(120, 100, [4]int64{1000, 30, 0, 0})))
	if j.Verdict != Healthy {
		t.Errorf("3 %% at 100 %%, as stable did: %v, %s; want healthy", j.Verdict, j.Reason)
	}
}

// A step at 100 % need not prove again what was proven beside stable.
func TestProofBesideStableCountsAtFullWeight(t *testing.T) {
	p := byEvidence()
	p.Steps = []int{50, 100}
	s, j := p.Look(State{}, repeat(60, 50, [4]int64{500, 15, 500, 15}))
	if !j.Enough {
		t.Fatalf("at 50 %%: not enough, %s", j.Reason)
	}
	s = s.NextStep()
	if _, j = p.Look(s, later(s, repeat(12, 100, [4]int64{1000, 30, 0, 0}))); !j.Enough || j.Verdict != Healthy {
		t.Errorf("at 100 %%: %v, enough %v, %s; want healthy and enough", j.Verdict, j.Enough, j.Reason)
	}
}

func TestClockAsksForProofBeyondProveBy(t *testing.T) {
	p := byClock(time.Minute)
	p.Steps = []int{10, 50, 80}
	p.Comparison.GoodBelow = 0
	in := repeat(12, 10, [4]int64{10, 0, 90, 0})
	s, j := p.Look(State{}, in)
	if !j.Enough {
		t.Errorf("10 %%: not enough, %s; want the clock alone to decide", j.Reason)
	}
	s = s.NextStep()
	for i := range in {
		in[i].Weight, in[i].Canary.Requests, in[i].Stable.Requests = 50, 50, 50
	}
	if _, j = p.Look(s, later(s, in)); j.Enough || j.Verdict != Healthy {
		t.Errorf("50 %% without a proof: %v, enough %v; want healthy and not enough", j.Verdict, j.Enough)
	}
	p.Comparison.ProveBy = 0
	if _, j = p.Look(s, later(s, in)); !j.Enough {
		t.Errorf("50 %% where no proof is asked for: not enough, %s", j.Reason)
	}
}

func TestPaceRatiosSpreadOverTheSteps(t *testing.T) {
	for steps, want := range map[int][]float64{1: {2}, 2: {20, 2}, 3: {20, 5, 2}, 5: {20, 10, 5, 3, 2}, 10: {20, 20, 10, 5, 5, 3, 3, 2, 2, 2}} {
		p := Policy{Pace: DefaultPace()}.withDefaults()
		for i := range steps {
			p.Steps = append(p.Steps, 10+i)
		}
		p.Steps = append(p.Steps, 100)
		for i, r := range want {
			if got := p.paceRatio(i); steps != 10 && got != r {
				t.Errorf("%d steps, step %d: ratio %v; want %v", steps, i, got, r)
			}
		}
		if p.paceRatio(steps-1) != 2 || p.paceRatio(steps+5) != 2 {
			t.Errorf("%d steps: last ratio %v; want 2", steps, p.paceRatio(steps-1))
		}
	}
}
