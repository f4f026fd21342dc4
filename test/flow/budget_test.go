package flow_test

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/spec"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
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
		delay time.Duration // of the route
	}{
		"short steps":                {rates: healthy},
		"a hundred steps":            {rates: healthy, input: fields{"percentage_step": 1, "wait_time": 10}},
		"watched to the end":         {rates: healthy, input: fields{"percentage_step": 50, "wait_time": "30m"}},
		"a bit longer than that":     {rates: healthy, input: fields{"percentage_step": 50, "wait_time": "40m"}},
		"three days":                 {rates: healthy, input: fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "36h"}},
		"two hours of bake":          {rates: healthy, input: fields{"percentage_step": 100, "bake": "2h"}},
		"a slow route":               {rates: healthy, input: fields{"deadlines": fields{"observed": "30m"}}, delay: 25 * time.Minute},
		"nobody approves":            {rates: healthy, input: fields{"percentage_step": nil, "steps": []any{fields{"weight": 25, "approve": true}, 100}}},
		"silent, and much patience":  {input: fields{"patience": "2h"}},
		"silent, and a person asked": {input: fields{"percentage_step": 50, "patience": "1h", "pause_limit": "2h", "on_undecided": "ask"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, tt.rates)
			s.atShift(0, func() { s.router.Script(router.Script{Delay: tt.delay}) })
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

// The least time of every step, as a plan says it before, is what a good rollout takes, whatever the
// pace of its metrics source: CloudWatch tells of a minute three minutes after it began.
func TestAGoodRolloutTakesWhatWasPlanned(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pace  metric.Pace
		input fields
		want  time.Duration
	}{
		"a source that is faster than the holds": {enginetest.Pace, nil, 4 * time.Minute},
		"holds below a source's own pace":        {metric.Pace{Every: 15 * time.Second, Lag: time.Second}, fields{"wait_time": 10}, 4 * 16 * time.Second},
		"ten steps by CloudWatch":                {cloudwatch.PaceOf(0), fields{"percentage_step": 10}, 30 * time.Minute},
		"intervals of one's own":                 {enginetest.Pace, fields{"wait_time": 10, "analysis": fields{"interval": 28}}, 4 * 32 * time.Second},
		"CloudWatch, by evidence":                {cloudwatch.PaceOf(0), fields{"pace": "evidence", "wait_time": 150, "analysis": fields{}}, 20 * time.Minute},
		"nothing is read":                        {cloudwatch.PaceOf(0), fields{"strategy": "replace", "percentage_step": nil}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sceneAt(t, tt.pace)
			s.first()
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
			doc, err := spec.Parse("deploy.json", []byte(input(tt.input)))
			if err != nil {
				t.Fatal(err)
			}
			least := time.Duration(0)
			for _, d := range doc.Takes(tt.pace) {
				least += d
			}
			arn, began := s.begin(tt.input), s.clock.Now()
			if e := s.end(arn); e.Status != asl.Succeeded {
				t.Fatalf("%s by %s (%s)", e.Status, e.path, e.cause)
			}
			if took := s.clock.Now().Sub(began); least != tt.want || took < least || took > least*11/10+time.Duration(doc.Drain) {
				t.Errorf("it took %v, the plan said %v; want %v, at most a tenth and the drain longer", took, least, tt.want)
			}
		})
	}
}
