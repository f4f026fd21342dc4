package flow_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
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
		s := newScene(t)
		s.first()
		s.play(tt.rates)
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
