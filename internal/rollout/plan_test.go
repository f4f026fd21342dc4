package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/rollout"
)

func TestLinear(t *testing.T) {
	for name, tt := range map[string]struct {
		increment rollout.Weight
		want      []rollout.Weight
	}{
		"divides 100":        {25, []rollout.Weight{25, 50, 75, 100}},
		"does not":           {30, []rollout.Weight{30, 60, 90, 100}},
		"one below 100":      {99, []rollout.Weight{99, 100}},
		"all at once":        {100, []rollout.Weight{100}},
		"more than there is": {101, []rollout.Weight{100}},
	} {
		var want []rollout.Step
		for _, w := range tt.want {
			want = append(want, rollout.Step{Weight: w, Hold: rollout.Duration(minute)})
		}
		if diff := cmp.Diff(want, rollout.Linear(tt.increment, rollout.Duration(minute))); diff != "" {
			t.Errorf("%s: Linear(%d) (-want +got):\n%s", name, tt.increment, diff)
		}
	}
}

func TestPlanIsValid(t *testing.T) {
	steps := func(weights ...rollout.Weight) (out []rollout.Step) {
		for _, w := range weights {
			out = append(out, rollout.Step{Weight: w})
		}
		return out
	}
	for name, tt := range map[string]struct {
		steps []rollout.Step
		want  string // empty where the plan is valid
	}{
		"rises to 100":       {steps(1, 50, 100), ""},
		"all at once":        {steps(100), ""},
		"no steps":           {nil, "steps: none; at least one, ending at 100, is expected"},
		"begins at nothing":  {steps(0, 100), "steps[0]: 0 is not above 0"},
		"negative":           {steps(-1, 100), "steps[0]: -1 is not above 0"},
		"stands":             {steps(10, 10, 100), "steps[1]: 10 is not above 10"},
		"falls":              {steps(50, 20, 100), "steps[1]: 20 is not above 50"},
		"beyond 100":         {steps(50, 101), "steps[1]: 101 is above 100"},
		"does not reach 100": {steps(10, 99), "steps[1]: the last step is 99, and 100 is expected"},
		"a negative hold":    {[]rollout.Step{{Weight: 50}, {Weight: 100, Hold: -1}}, "steps[1]: hold -1ns is negative"},
	} {
		got := ""
		if err := (rollout.Plan{Steps: tt.steps}).Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: Validate() = %q; want %q", name, got, tt.want)
		}
	}
}

func TestDurationTravelsAsSeconds(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "90": 90 * time.Second, "0.25": 250 * time.Millisecond, "-1": -time.Second} {
		var d rollout.Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("Unmarshal(%s) = %v, %v; want %v", text, d, err, want)
		}
		if b, err := json.Marshal(rollout.Duration(want)); err != nil || string(b) != text {
			t.Errorf("Marshal(%v) = %s, %v; want %s", want, b, err, text)
		}
	}
	var d rollout.Duration
	if err := json.Unmarshal([]byte(`"90s"`), &d); err == nil || !strings.Contains(err.Error(), `duration "90s"`) {
		t.Errorf(`Unmarshal("90s") = %v; want an error that names it`, err)
	}
	if got := rollout.Duration(90 * time.Second).String(); got != "1m30s" {
		t.Errorf("String() = %s; want 1m30s", got)
	}
}

func TestFencesAreOrdered(t *testing.T) {
	// From the oldest to the newest.
	order := []rollout.Fence{{}, {Epoch: 1}, {Epoch: 1, Seq: 1}, {Epoch: 1, Seq: rollout.Last}, {Epoch: 2}, {Epoch: 2, Seq: 1}}
	for i, f := range order {
		for k, g := range order {
			if got := f.Before(g); got != (i < k) {
				t.Errorf("%v.Before(%v) = %t; want %t", f, g, got, i < k)
			}
		}
		if back, err := rollout.ParseFence(f.String()); err != nil || back != f {
			t.Errorf("ParseFence(%q) = %v, %v; want %v", f, back, err, f)
		}
	}
	if f, err := rollout.ParseFence(""); err != nil || f != (rollout.Fence{}) {
		t.Errorf(`ParseFence("") = %v, %v; want the zero fence`, f, err)
	}
	for _, text := range []string{"7", "7.", ".3", ".", "7.3.1", "-1.3", "7.-3", "seven.3", "7.three", " 7.3", "7,3", "99999999999999999999.1"} {
		if f, err := rollout.ParseFence(text); err == nil || f != (rollout.Fence{}) || !strings.Contains(err.Error(), "EPOCH.SEQ is expected") {
			t.Errorf("ParseFence(%q) = %v, %v; want an error that says what is expected", text, f, err)
		}
	}
}
