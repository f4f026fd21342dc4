package flow_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// events is the length of an execution's history.
func (s *scene) events(arn string) int {
	s.Helper()
	last, err := s.engine.History(arn, 0, 1, true, false)
	if err != nil {
		s.Fatal(err)
	}
	return int(last[0].ID) // they are counted from 1
}

// What a rollout really takes stays within what the plan said before: the length
// of the execution's history, which Step Functions ends at 25,000 events, and time.
func TestBudgetsAreKept(t *testing.T) {
	t.Parallel()
	healthy := map[string]float64{"checkout-1": 0, "checkout-2": 0}
	for name, tt := range map[string]struct {
		rates map[string]float64
		input fields
	}{
		"short steps":                {healthy, nil},
		"a hundred steps":            {healthy, fields{"percentage_step": 1, "wait_time": 10}},
		"watched to the end":         {healthy, fields{"percentage_step": 50, "wait_time": "30m"}},
		"a bit longer than that":     {healthy, fields{"percentage_step": 50, "wait_time": "40m"}},
		"three days":                 {healthy, fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "36h"}},
		"two hours of bake":          {healthy, fields{"percentage_step": 100, "bake": "2h"}},
		"nobody approves":            {healthy, fields{"percentage_step": nil, "steps": []any{fields{"weight": 25, "approve": true}, 100}}},
		"silent, and much patience":  {nil, fields{"patience": "2h"}},
		"silent, and a person asked": {nil, fields{"percentage_step": 50, "patience": "1h", "pause_limit": "2h", "on_undecided": "ask"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.first()
			s.play(tt.rates)
			doc, err := spec.Parse("deploy.json", []byte(input(tt.input)))
			if err != nil {
				t.Fatal(err)
			}
			budget, began := doc.Budget(), s.clock.Now()
			arn := s.begin(tt.input)
			s.release()
			if err := s.engine.Wait(t.Context(), arn); err != nil {
				t.Fatal(err)
			}
			took := s.clock.Now().Sub(began)
			events := s.events(arn)
			t.Logf("%d of %d events, %v of %v to %v", events, budget.Events, took, budget.Shortest, budget.Longest)
			if events > budget.Events {
				t.Errorf("%d events; the plan said %d at most", events, budget.Events)
			}
			if took > budget.Longest {
				t.Errorf("it took %v; the plan said %v at most", took, budget.Longest)
			}
		})
	}
}
