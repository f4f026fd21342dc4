package memory_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

var (
	start   = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	subject = metric.Subject{Namespace: "shop", Service: "checkout", Route: "checkout", Canary: "checkout-2", Stable: "checkout-1"}
)

// played is a meter on which the script ran for a minute at the canary's weight.
func played(t *testing.T, s memory.Script, weight rollout.Weight, o memory.Options) *memory.Meter {
	t.Helper()
	v := clock.NewVirtual(start)
	m := memory.New(v, o)
	m.Play("shop", "checkout", s)
	m.Shift("shop", "checkout", map[string]rollout.Weight{"checkout-1": 100 - weight, "checkout-2": weight})
	if err := v.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	return m
}

func window(from, to int, every time.Duration, bounds ...float64) metric.Window {
	return metric.Window{
		From: start.Add(time.Duration(from) * time.Second), To: start.Add(time.Duration(to) * time.Second),
		Every: every, Bounds: bounds,
	}
}

func read(t *testing.T, m *memory.Meter, w metric.Window) []analysis.Interval {
	t.Helper()
	got, err := m.Intervals(t.Context(), subject, w)
	if err != nil {
		t.Fatalf("Intervals() = %v", err)
	}
	return got
}

func TestCountsAreWhatIsExpected(t *testing.T) {
	script := memory.Steady(50, map[string]float64{"checkout-1": 0.1, "checkout-2": 0.5})
	script.Versions["checkout-2"][0].Latency = []memory.Latency{{Share: 0.5, Seconds: 0.2}, {Share: 0.1, Seconds: 2}}
	got := read(t, played(t, script, 20, memory.Options{}), window(0, 20, 10*time.Second, 0.1, 1))
	want := []analysis.Interval{
		{
			From: start, To: start.Add(10 * time.Second),
			Canary: analysis.Counts{Requests: 100, Errors: 50, Slow: []int64{60, 10}, Known: true},
			Stable: analysis.Counts{Requests: 400, Errors: 40, Slow: []int64{0, 0}, Known: true},
		},
		{
			From: start.Add(10 * time.Second), To: start.Add(20 * time.Second),
			Canary: analysis.Counts{Requests: 100, Errors: 50, Slow: []int64{60, 10}, Known: true},
			Stable: analysis.Counts{Requests: 400, Errors: 40, Slow: []int64{0, 0}, Known: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Intervals() (-want +got):\n%s", diff)
	}
}

func TestFractionsAreCarriedOn(t *testing.T) {
	script := memory.Steady(0.3, map[string]float64{"checkout-2": 0.5})
	var sum analysis.Counts
	for _, iv := range read(t, played(t, script, 100, memory.Options{}), window(0, 60, time.Second)) {
		sum.Requests += iv.Canary.Requests
		sum.Errors += iv.Canary.Errors
	}
	if sum.Requests != 18 || sum.Errors != 9 {
		t.Errorf("a minute at 0.3 requests/s, half of them errors: %+v; want 18 and 9", sum)
	}
}

func TestCountsFollowWeightLoadAndPhase(t *testing.T) {
	v := clock.NewVirtual(start)
	m := memory.New(v, memory.Options{})
	m.Play("shop", "checkout", memory.Script{
		Load: []memory.Load{{From: 25 * time.Second, RPS: 10}, {RPS: 100}},
		Versions: map[string][]memory.Phase{
			"checkout-1": {{}},
			"checkout-2": {{}, {From: 15 * time.Second, ErrorRate: 1}},
		},
	})
	for _, weight := range []rollout.Weight{0, 10, 50} {
		m.Shift("shop", "checkout", map[string]rollout.Weight{"checkout-1": 100 - weight, "checkout-2": weight})
		if err := v.Sleep(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, iv := range read(t, m, window(0, 30, 10*time.Second)) {
		got = append(got, fmt.Sprintf("%d/%d of %d", iv.Canary.Errors, iv.Canary.Requests, iv.Canary.Requests+iv.Stable.Requests))
	}
	if diff := cmp.Diff([]string{"0/0 of 1000", "50/100 of 1000", "275/275 of 550"}, got); diff != "" {
		t.Errorf("canary's errors and requests (-want +got):\n%s", diff)
	}
}

func TestSilenceIsNotZero(t *testing.T) {
	script := memory.Steady(10, map[string]float64{"checkout-1": 0})
	script.Versions["checkout-2"] = []memory.Phase{{}, {From: 15 * time.Second, Silent: true}, {From: 35 * time.Second}}
	var got []bool
	for _, iv := range read(t, played(t, script, 50, memory.Options{}), window(-10, 60, 10*time.Second)) {
		got = append(got, iv.Canary.Known)
	}
	if diff := cmp.Diff([]bool{false, true, false, false, false, true, true}, got); diff != "" {
		t.Errorf("intervals with data of a canary silent from 15 s to 35 s (-want +got):\n%s", diff)
	}
	unknown := subject
	unknown.Canary = "checkout-9"
	ivs, err := played(t, script, 50, memory.Options{}).Intervals(t.Context(), unknown, window(0, 10, 10*time.Second))
	if err != nil || ivs[0].Canary.Known {
		t.Errorf("Intervals(a version without a script) = %+v, %v; want no data", ivs, err)
	}
}

func TestIntervalsWithinTheLagAreNotKnown(t *testing.T) {
	script := memory.Steady(10, map[string]float64{"checkout-1": 0, "checkout-2": 0})
	o := memory.Options{Pace: metric.Pace{Every: time.Second, Lag: 15 * time.Second}}
	var got []bool
	for _, iv := range read(t, played(t, script, 50, o), window(30, 70, 10*time.Second)) {
		got = append(got, iv.Canary.Known)
	}
	if diff := cmp.Diff([]bool{true, false, false, false}, got); diff != "" {
		t.Errorf("known intervals at 60 s with a lag of 15 s (-want +got):\n%s", diff)
	}
}

func TestASourceThatIsDownIsTransient(t *testing.T) {
	script := memory.Steady(10, nil)
	script.Down = []memory.Span{{From: time.Minute}}
	script.Values = map[string][]memory.Value{"q": {{Value: 1}}}
	m := played(t, script, 50, memory.Options{})
	if got, err := m.Intervals(t.Context(), subject, window(0, 10, time.Second)); fault.Of(err) != fault.Transient || got != nil {
		t.Errorf("Intervals() = %v, %v; want nothing, %v", got, err, fault.Transient)
	}
	if _, known, err := m.Value(t.Context(), subject, "q", window(0, 10, time.Second)); fault.Of(err) != fault.Transient || known {
		t.Errorf("Value() = %v, %v; want not known, %v", known, err, fault.Transient)
	}
}

func TestValueIsKnownOnlyIfItIsANumber(t *testing.T) {
	script := memory.Script{Values: map[string][]memory.Value{"queue depth": {
		{From: 10 * time.Second, Value: 7}, {From: 20 * time.Second, Value: math.NaN()}, {From: 30 * time.Second, Value: math.Inf(1)},
	}}}
	m := played(t, script, 50, memory.Options{})
	for until, want := range map[int]bool{5: false, 15: true, 25: false, 35: false} {
		value, known, err := m.Value(t.Context(), subject, "queue depth", window(0, until, time.Second))
		if err != nil || known != want || known && value != 7 {
			t.Errorf("Value(until %d s) = %v, %v, %v; want known %v", until, value, known, err, want)
		}
	}
	if _, known, err := m.Value(t.Context(), subject, "another", window(0, 15, time.Second)); known || err != nil {
		t.Errorf("Value(a query without an answer) = %v, %v; want not known", known, err)
	}
}

func TestHooksStandBeforeAndAfterACall(t *testing.T) {
	broken := errors.New("broken")
	for name, o := range map[string]memory.Options{
		"before": {Before: func(context.Context, memory.Call) error { return broken }},
		"after":  {After: func(context.Context, memory.Call) error { return broken }},
	} {
		t.Run(name, func(t *testing.T) {
			m := played(t, memory.Steady(1, nil), 50, o)
			if got, err := m.Intervals(t.Context(), subject, window(0, 10, time.Second)); !errors.Is(err, broken) || got != nil {
				t.Errorf("Intervals() = %v, %v; want the hook's error alone", got, err)
			}
		})
	}
}

func TestASeedGivesTheSameCountsAgain(t *testing.T) {
	script := memory.Steady(40, map[string]float64{"checkout-1": 0.05, "checkout-2": 0.5})
	script.Versions["checkout-2"][0].Latency = []memory.Latency{{Share: 0.4, Seconds: 1}}
	script.Seed = 7
	m := played(t, script, 50, memory.Options{})
	whole := read(t, m, window(0, 60, 10*time.Second, 0.5, 0.9))
	last := read(t, m, window(50, 60, 10*time.Second, 0.5, 0.9))
	if diff := cmp.Diff(whole[5:], last); diff != "" {
		t.Errorf("the last interval, asked for alone (-with the others +alone):\n%s", diff)
	}
	sum := analysis.Counts{}
	for _, iv := range whole {
		sum.Requests += iv.Canary.Requests
		sum.Errors += iv.Canary.Errors
		if s := iv.Canary.Slow; s[0] < s[1] || s[0] > iv.Canary.Requests {
			t.Errorf("slow requests %v of %d do not fall with the bound", s, iv.Canary.Requests)
		}
	}
	// 1200 requests and 600 errors are expected, with deviations of 35 and 24.
	if sum.Requests < 1000 || sum.Requests > 1400 || sum.Errors < 450 || sum.Errors > 750 || sum.Requests == 1200 && sum.Errors == 600 {
		t.Errorf("drawn %+v; want about 1200 requests and 600 errors", sum)
	}
}
