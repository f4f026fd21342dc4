package analysis

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fullPolicy uses every part of a policy at once.
func fullPolicy() Policy {
	c := DefaultComparison()
	c.LatencyBounds = []time.Duration{100 * time.Millisecond, time.Second}
	return Policy{
		Comparison: c, Pace: DefaultPace(), SampleRatio: DefaultSampleRatio(), Steps: []int{5, 20, 50}, MissingTolerated: 0.2,
		Limits: []Limit{
			FailureThreshold(50, 5*time.Minute),
			{Name: "rate", Kind: ErrorRate, Bound: 0.2, Window: time.Minute, MinRequests: 50, FailuresAllowed: 3, Every: 30 * time.Second},
			{Name: "p99", Kind: LatencyPercentile, Percentile: 99, Bound: 0.9, FailuresAllowed: 1000, InconclusiveAllowed: 4},
			{Name: "slow", Kind: SlowRatio, Above: time.Second, Bound: 0.3, Window: 2 * time.Minute, FailuresAllowed: 1000},
			{Name: "queue", Kind: Value, Bound: 10, Window: time.Minute, FailuresAllowed: 1000, Advisory: true},
		},
	}
}

// randomStream has gaps, silence, values and latency in it.
func randomStream(rng *rand.Rand, n int) []Interval {
	at := start
	out := make([]Interval, n)
	for i := range out {
		if rng.IntN(20) == 0 {
			at = at.Add(7 * time.Second)
		}
		to := at.Add(time.Duration(1+rng.IntN(15)) * time.Second)
		out[i] = Interval{
			From: at, To: to, Weight: 20,
			Canary: randomCounts(rng, 80), Stable: randomCounts(rng, 300), Values: map[string]float64{"queue": float64(rng.IntN(12))},
		}
		at = to
	}
	return out
}

func randomCounts(rng *rand.Rand, most int64) Counts {
	if rng.IntN(12) == 0 {
		return Counts{}
	}
	n := rng.Int64N(most)
	c := Counts{Requests: n, Known: true, Slow: []int64{0, 0}}
	for range n {
		if rng.IntN(100) == 0 {
			c.Errors++
		}
		if rng.IntN(5) == 0 {
			c.Slow[0]++
		}
		if rng.IntN(50) == 0 {
			c.Slow[1] = min(c.Slow[1]+1, c.Slow[0])
		}
	}
	return c
}

func TestLookInPartsEqualsLookAtOnce(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		p, in := fullPolicy(), randomStream(rng, 120)
		whole, judged := p.Look(State{}, in)

		var parts State
		var last Judgement
		for at := 0; at < len(in); {
			n := min(1+rng.IntN(20), len(in)-at)
			from := max(0, at-rng.IntN(5)) // some intervals come twice
			parts, last = p.Look(travel(t, parts), in[from:at+n])
			at += n
		}
		if diff := cmp.Diff(travel(t, whole), travel(t, parts), cmp.AllowUnexported(State{})); diff != "" {
			t.Fatalf("seed %d: state in parts differs from state at once (-once +parts):\n%s", seed, diff)
		}
		if diff := cmp.Diff(judged, last); diff != "" {
			t.Fatalf("seed %d: judgement in parts differs (-once +parts):\n%s", seed, diff)
		}
		_, again := p.Look(parts, in)
		if diff := cmp.Diff(judged, again); diff != "" {
			t.Fatalf("seed %d: looking again at the same intervals changes the judgement:\n%s", seed, diff)
		}
	}
}

// travel is a state's way through the rollout's document.
func travel(t *testing.T, s State) State {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("marshal state: %v", err)
	}
	var out State
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("unmarshal state %s: %v", data, err)
	}
	return out
}

func TestLookLeavesItsArgumentsAlone(t *testing.T) {
	p, in := fullPolicy(), randomStream(rand.New(rand.NewPCG(3, 3)), 60)
	s, _ := p.Look(State{}, in[:30])
	before, given := travel(t, s), append([]Interval(nil), in...)
	p.Look(s, in[30:])
	p.Look(s.NextStep(), in[30:])
	p.Look(s.Bake(), in[30:])
	if diff := cmp.Diff(before, travel(t, s)); diff != "" {
		t.Errorf("the state that was passed in has changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(given, in); diff != "" {
		t.Errorf("the intervals that were passed in have changed (-before +after):\n%s", diff)
	}
}

func TestStateStaysSmall(t *testing.T) {
	twoWindows := onlyLimits(FailureThreshold(0, 20*time.Second), FailureThreshold(0, time.Hour))
	twoWindows.Limits[1].Name = "hour"
	for name, p := range map[string]Policy{"every part": fullPolicy(), "two windows": twoWindows} {
		var in []Interval
		for i := range 5000 {
			at := start.Add(time.Duration(i) * time.Second)
			in = append(in, Interval{From: at, To: at.Add(time.Second), Weight: 20,
				Canary: randomCounts(rand.New(rand.NewPCG(uint64(i), 4)), 80), Stable: Counts{Requests: 300, Slow: []int64{60, 3}, Known: true}})
		}
		s, _ := p.Look(State{}, in)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 16<<10 {
			t.Errorf("%s: state after %d intervals has %d bytes; want at most 16 KiB", name, len(in), len(data))
		}
		t.Logf("%s: state after %d intervals: %d bytes", name, len(in), len(data))
	}
}

func TestLookIgnoresWhatItCounted(t *testing.T) {
	p := Policy{Comparison: Comparison{Enabled: true}}
	in := stream(10, [4]int64{10, 1, 90, 1}, [4]int64{10, 1, 90, 1})
	s, _ := p.Look(State{}, in)
	lying := later(s, stream(10, [4]int64{10, 11, 90, 1}))
	if s, j := p.Look(s, lying); j.Canary.Requests != 20 || !s.Silent {
		t.Errorf("more errors than requests: %d canary requests, silent %v; want 20 and true", j.Canary.Requests, s.Silent)
	}
	overlapping := in[1]
	overlapping.From, overlapping.To = in[1].From.Add(5*time.Second), in[1].To.Add(5*time.Second)
	_, j := p.Look(s, []Interval{in[0], in[1], overlapping})
	if j.Canary.Requests != 20 {
		t.Errorf("canary requests = %d; want 20, each counted once", j.Canary.Requests)
	}
}

func TestIntervalJSONIsCompact(t *testing.T) {
	iv := stream(10, [4]int64{10, 1, 90, 1})[0]
	iv.Canary.Slow, iv.Stable = []int64{3, 2}, Counts{}
	data, err := json.Marshal(iv)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"f":1795251600000,"t":1795251610000,"c":[10,1,3,2],"s":null,"w":10}`; string(data) != want {
		t.Errorf("json = %s; want %s", data, want)
	}
	var back Interval
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(iv, back); diff != "" {
		t.Errorf("interval after a round trip (-want +got):\n%s", diff)
	}
}

func TestCountsAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]*Counts{
		`null`:                    {},
		`[1,2]`:                   {Requests: 1, Errors: 2, Known: true},
		` [ 1 , -2 , 3,4 ] `:      {Requests: 1, Errors: -2, Slow: []int64{3, 4}, Known: true},
		`[9223372036854775807,0]`: {Requests: 9223372036854775807, Known: true},
		`[9223372036854775808,0]`: nil,
		`[1]`:                     nil,
		`[]`:                      nil,
		`[1,2.5]`:                 nil,
		`[1,"2"]`:                 nil,
		`[1,[2,3]]`:               nil,
		`[1,null]`:                nil,
		`{"a":1,"b":2}`:           nil,
		`7`:                       nil,
		`"[1,2]"`:                 nil,
	} {
		t.Run(text, func(t *testing.T) {
			got := Counts{Requests: 5, Slow: []int64{6}, Known: true}
			err := json.Unmarshal([]byte(text), &got)
			if want == nil {
				if err == nil {
					t.Errorf("read %+v; want an error", got)
				}
				return
			}
			if diff := cmp.Diff(*want, got); err != nil || diff != "" {
				t.Errorf("error %v, counts (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestVerdictNames(t *testing.T) {
	for v, name := range map[Verdict]string{Inconclusive: "inconclusive", Healthy: "healthy", Unhealthy: "unhealthy"} {
		data, err := json.Marshal(v)
		if err != nil || string(data) != `"`+name+`"` || v.String() != name {
			t.Errorf("verdict %d = %s, %v; want %q", int(v), data, err, name)
		}
		var back Verdict
		if err := json.Unmarshal(data, &back); err != nil || back != v {
			t.Errorf("%s read back = %v, %v; want %v", data, back, err, v)
		}
	}
	var v Verdict
	if err := json.Unmarshal([]byte(`"fine"`), &v); err == nil {
		t.Error(`"fine" was read as a verdict; want an error`)
	}
	if _, err := json.Marshal(Verdict(7)); err == nil {
		t.Error("verdict 7 was written; want an error")
	}
}
