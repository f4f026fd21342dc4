package flow_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/cloudwatch"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// Prices of us-east-1 in USD: a state transition of a standard workflow, and a second of a function
// with 256 MB on arm64.
const (
	perTransition = 0.000025
	perSecond     = 0.25 * 0.0000133334
)

// The table in docs/aws.md is what whole rollouts cost by their own histories, and ten steps stay
// below a cent.
func TestWhatARolloutCosts(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what  string
		input fields
		rates map[string]float64
		most  float64
	}{
		{"four steps of a minute, promoted", nil, map[string]float64{"checkout-1": 0, "checkout-2": 0}, 0.01},
		{"ten steps of a minute, promoted", fields{"percentage_step": 10}, map[string]float64{"checkout-1": 0, "checkout-2": 0}, 0.01},
		{"ten steps of a minute, rolled back at the first", fields{"percentage_step": 10}, map[string]float64{"checkout-1": 0, "checkout-2": 0.5}, 0.01},
	} {
		s := deployed(t, tt.rates)
		e := s.run(tt.input)
		transitions, seconds := s.used(e)
		usd := float64(transitions)*perTransition + seconds*perSecond
		row := fmt.Sprintf("| %s | %d | %.0f | %.4f |", tt.what, transitions, seconds, usd)
		if usd > tt.most {
			t.Errorf("%s costs %.4f USD; at most %.4f is promised", tt.what, usd, tt.most)
		}
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/aws.md does not say %s", row)
		}
	}
}

// A plan says before what a good rollout's history says in the end, to within a tenth.
func TestAPlanSaysWhatARolloutCosts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pace  metric.Pace
		input fields
	}{
		"four steps of a minute":  {enginetest.Pace, nil},
		"ten steps of a minute":   {enginetest.Pace, fields{"percentage_step": 10}},
		"holds between minutes":   {enginetest.Pace, fields{"wait_time": 90}},
		"a bit over half an hour": {enginetest.Pace, fields{"percentage_step": 50, "wait_time": "33m"}},
		"an hour":                 {enginetest.Pace, fields{"percentage_step": 50, "wait_time": "1h"}},
		"three days":              {enginetest.Pace, fields{"percentage_step": nil, "steps": []any{50, 100}, "wait_time": "36h"}},
		"a source that is slow":   {cloudwatch.PaceOf(0), fields{"percentage_step": 10}},
		"a drain of five minutes": {enginetest.Pace, fields{"drain": "5m"}},
		"nothing but replicas":    {enginetest.Pace, fields{"strategy": "replace", "percentage_step": nil, "bake": "1h"}},
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
			use := doc.Use(tt.pace)
			e := s.run(tt.input)
			transitions, seconds := s.used(e)
			t.Logf("%d transitions and %.0f s; the plan said %d and %.0f", transitions, seconds, use.Transitions, use.Functions.Seconds())
			if off := math.Abs(float64(use.Transitions)/float64(transitions) - 1); e.Status != asl.Succeeded || off > 0.1 {
				t.Errorf("%s after %d transitions; the plan said %d", e.Status, transitions, use.Transitions)
			}
			if off := math.Abs(use.Functions.Seconds()/seconds - 1); off > 0.1 {
				t.Errorf("functions ran for %.0f s; the plan said %.0f", seconds, use.Functions.Seconds())
			}
		})
	}
}

// used counts an execution's state transitions, and the seconds between the beginning and the end of its
// functions, in virtual time: a function that watches is charged for as long as it watches.
func (s *scene) used(e ended) (transitions int, seconds float64) {
	s.Helper()
	events, err := s.engine.History(e.ARN, 0, 25000, false, false)
	if err != nil {
		s.Fatal(err)
	}
	began := asl.HistoryEvent{}
	for _, ev := range events {
		switch {
		case strings.HasSuffix(ev.Type, "StateEntered"):
			transitions++
		case ev.Type == "TaskStarted":
			began = ev
		case ev.Type == "TaskSucceeded" || ev.Type == "TaskFailed":
			seconds += ev.Time.Sub(began.Time).Seconds()
		}
	}
	return transitions, seconds
}
