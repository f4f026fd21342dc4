package flow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// told is what a receiver was told that knows a repetition by its delivery, and takes it for none.
func told(calls []call) (out []string) {
	known := map[string]bool{}
	for _, c := range calls {
		if known[c.Delivery] {
			continue
		}
		known[c.Delivery] = true
		var m hook.Message
		_ = json.Unmarshal([]byte(c.Body), &m)
		what := string(m.On)
		switch m.On {
		case hook.OnVerdict:
			what += " " + m.Verdict
		case hook.OnEnd:
			what += " " + m.End
		case hook.OnHold:
			what += " " + m.Needs
		}
		out = append(out, fmt.Sprintf("%s at %d", what, m.Weight))
	}
	return out
}

// team is told everything, at https://team.example.
var team = fields{"name": "team", "url": "https://team.example/t0ken", "on": []string{"start", "step", "hold", "verdict", "end"}}

func TestWhatATeamIsTold(t *testing.T) {
	t.Parallel()
	halves := fields{"percentage_step": 50, "notifications": []fields{team}}
	with := func(extra fields) fields {
		out := fields{}
		for _, m := range []fields{halves, extra} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	for name, tt := range map[string]struct {
		world func(s *scene)
		input fields
		ask   func(s *scene, arn string)
		want  []string
	}{
		"a promotion": {
			want: []string{"start at 0", "step at 50", "verdict healthy at 50", "step at 100", "end Promoted at 100"},
		},
		"a bad canary": {
			world: func(s *scene) { s.play(map[string]float64{"checkout-1": 0, "checkout-2": 1}) },
			want:  []string{"start at 0", "step at 50", "verdict unhealthy at 50", "end RolledBack at 0"},
		},
		"pods that never start": {
			world: func(s *scene) { s.cluster.Behave("shop", "checkout-2", cluster.Script{PullFails: true}) },
			want:  []string{"start at 0", "end RolledBack at 0"},
		},
		"a pause": {
			ask: func(s *scene, arn string) {
				s.ask(arn, 30*time.Second, fault.Asked, wish(1, rollout.WishPause))
				s.ask(arn, 5*time.Hour, fault.Asked, wish(2, rollout.WishResume))
			},
			// The look that the person interrupted has told its verdict, and nobody else knows.
			want: []string{"start at 0", "step at 50", "verdict healthy at 50", "verdict healthy at 50", "hold resume at 50", "step at 100", "end Promoted at 100"},
		},
		"an approval that nobody gives": {
			input: fields{"percentage_step": nil, "steps": []any{fields{"weight": 50, "approve": true}, 100}, "pause_limit": "1h"},
			want:  []string{"start at 0", "step at 50", "verdict healthy at 50", "hold approval at 50", "end RolledBack at 0"},
		},
		"an abort": {
			ask:  func(s *scene, arn string) { s.ask(arn, 30*time.Second, fault.Aborted, "no") },
			want: []string{"start at 0", "step at 50", "verdict healthy at 50", "end RolledBack at 0"},
		},
		"a stopped execution": {
			ask: func(s *scene, arn string) {
				s.clock.AfterFunc(90*time.Second, func() { _, _ = s.engine.Stop(arn, asl.Failure{}) })
			},
			want: []string{"start at 0", "step at 50", "verdict healthy at 50", "step at 100", "end RolledBack at 0"},
		},
		"a way back that fails for good": {
			world: func(s *scene) {
				s.play(map[string]float64{"checkout-1": 0, "checkout-2": 1})
				s.core.Before(func(op string) error {
					if op == "traffic.Settle" {
						return fault.Transient
					}
					return nil
				})
			},
			want: []string{"start at 0", "step at 50", "end NeedsOperator at 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := inTown(t, says(200, "ok"))
			if tt.world != nil {
				tt.world(s)
			}
			arn := s.begin(with(tt.input))
			if tt.ask != nil {
				tt.ask(s, arn)
			}
			s.end(arn)
			s.rest()
			if diff := cmp.Diff(tt.want, told(w.to("team.example"))); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// A function that runs twice tells an end once, and a step in the very same words, so that the
// receiver knows it by its delivery.
func TestADuplicateTellsNothingNew(t *testing.T) {
	t.Parallel()
	s, w := inTown(t, says(200, "ok"))
	arn := s.begin(fields{"notifications": []fields{{"name": "team", "url": "https://team.example/", "on": []string{"start", "step", "end"}}}})
	s.clock.AfterFunc(30*time.Second, func() { // a twin of the look at the first step
		look := step.HealthCheck{Open: s.Open, Clock: s.clock, Hooks: s.Ports().Hooks,
			Meter: s.Ports().Meter}
		if _, err := look.Run(t.Context(), s.event(arn, "HealthCheck")); err != nil {
			t.Error(err)
		}
	})
	s.end(arn)
	s.rest()
	before := w.to("team.example")
	want := []string{"start at 0", "step at 25", "step at 50", "step at 75", "step at 100", "end Promoted at 100"}
	if diff := cmp.Diff(want, told(before)); diff != "" || len(before) != len(want)+1 {
		t.Errorf("%d messages; want the twin's beside these, in the same words (-want +got):\n%s", len(before), diff)
	}
	for name, again := range map[string]func(context.Context, step.Event) (step.End, error){
		"Promote":  step.Promote{Open: s.Open, Clock: s.clock, Hooks: s.Ports().Hooks}.Run,
		"Rollback": step.Rollback{Open: s.Open, Clock: s.clock, Hooks: s.Ports().Hooks}.Run,
	} {
		if end, err := again(t.Context(), s.event(arn, "Promote")); err != nil || end.Outcome != step.OutcomePromoted {
			t.Errorf("%s again = %+v, %v", name, end, err)
		}
	}
	if diff := cmp.Diff(before, w.to("team.example")); diff != "" {
		t.Errorf("the end was told again:\n%s", diff)
	}
}

// A run of Prepare whose answer was lost is done again, and tells of no second start.
func TestAStartIsToldOnce(t *testing.T) {
	t.Parallel()
	s, w := inTown(t, says(200, "ok"))
	arn := s.begin(fields{"notifications": []fields{{"name": "team", "url": "https://team.example/", "on": []string{"start"}}}})
	s.clock.AfterFunc(30*time.Second, func() {
		again := step.Prepare{Open: s.Open, Clock: s.clock, Hooks: s.Ports().Hooks, Meter: s.Ports().Meter.Check}
		if ro, err := again.Run(t.Context(), s.event(arn, "Prepare")); err != nil || ro.Canary.Name != "checkout-2" {
			t.Errorf("Prepare again = %+v, %v", ro, err)
		}
	})
	s.end(arn)
	s.rest()
	if calls := w.to("team.example"); len(calls) != 1 {
		t.Errorf("the start was told %d times: %+v", len(calls), calls)
	}
}

// A receiver that is down costs a rollout seconds and nothing else.
func TestAReceiverThatIsDownDoesNoHarm(t *testing.T) {
	t.Parallel()
	took := func(answer func(*http.Request, int) (int, string, error)) time.Duration {
		s, w := inTown(t, answer)
		began := s.clock.Now()
		e := s.run(fields{"notifications": []fields{team}})
		if !strings.HasSuffix(e.path, promoted) {
			t.Errorf("path %s (%s)", e.path, e.cause)
		}
		s.settled("checkout-2")
		if len(w.to("team.example")) == 0 {
			t.Error("nobody was told")
		}
		return s.clock.Now().Sub(began)
	}
	well, down := took(says(200, "ok")), took(says(503, ""))
	slow := took(func(r *http.Request, _ int) (int, string, error) {
		return 0, "", errors.New("gave up")
	})
	t.Logf("told: %v; answered 503: %v; no answer: %v", well, down, slow)
	for what, d := range map[string]time.Duration{"answers 503": down, "does not answer": slow} {
		if d > well+20*time.Second {
			t.Errorf("a receiver that %s: %v; want about the %v of one that is well", what, d, well)
		}
	}
}
