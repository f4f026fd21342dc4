package e2e_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stepcanary/stepcanary/internal/alarm"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
)

// TestAnAbortReachesUsersWithinFiveSeconds measures from a person's command, or from the event of an
// alarm, to the last answer that a user gets from the canary.
func TestAnAbortReachesUsersWithinFiveSeconds(t *testing.T) {
	for who, abort := range map[string]func(s *served, service, state string){"an operator": operator, "an alarm": anAlarm} {
		// Watched, and waiting on the token alone, which a person's pause brings on at once.
		for wait, state := range map[string]string{"1m": "HealthCheck", "2h": "Hold"} {
			t.Run(who+" in a hold of "+wait, func(t *testing.T) {
				b := newBed(t)
				service := "abort-" + who[strings.Index(who, " ")+1:] + "-" + wait
				host, fields := b.serve(service)
				fields["wait_time"] = wait
				fields["deadlines"] = map[string]any{"rollout": "48h"}
				fields["alarms"] = []string{"checkout-5xx"}
				s := newServed(t)
				u := b.visit(host)
				arn := s.begin(service, b.input(service, "podlet:v2", fields))
				s.at(arn, "HealthCheck", 1)
				if state == "Hold" {
					s.ask("pause", service, "HealthCheck")
					s.at(arn, state, 1)
				}
				time.Sleep(3 * time.Second) // in the middle of the hold
				asked := time.Now()
				abort(s, service, state)
				said := time.Since(asked)
				why := aws.ToString(s.end(arn).Cause)
				serves := b.settled(service)
				u.leave()
				took := max(0, u.lastOf["v2"].Sub(asked))
				if took > 5*time.Second || u.lastOf["v2"].IsZero() || serves != "v1" || !strings.Contains(why, "aborted: ") || !strings.Contains(why, "by a test") {
					t.Errorf("the last answer of the canary came %v after the abort, and %s serves (%s)", took, serves, why)
				}
				t.Logf("| %s, hold of %s | %.1f | (%.2f s until it was said)", who, wait, took.Seconds(), said.Seconds())
			})
		}
	}
}

// operator is a person with a terminal.
func operator(s *served, service, state string) { s.ask("abort", service, state) }

// ask is one of the command's verbs, heard by the rollout in that state.
func (s *served) ask(verb, service, state string) {
	s.Helper()
	out, err := exec.CommandContext(s.Context(), s.program, verb, "--endpoint", s.url, "--reason", "by a test", service).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "asked to "+verb+" at 10 % (state "+state+")") {
		s.Fatalf("stepcanary %s: %v: %s", verb, err, out)
	}
}

// anAlarm runs the function behind the rule on CloudWatch alarms, on the engine's own API.
func anAlarm(s *served, _, _ string) {
	s.Helper()
	f := alarm.Abort{Rollouts: stepfunctions.New(s.api), Machine: s.machine(), Clock: clock.Real{}}
	event := json.RawMessage(`{"detail":{"alarmName":"checkout-5xx","state":{"value":"ALARM","reason":"by a test"}}}`)
	if out, err := f.Handle(s.Context(), event); err != nil || strings.Contains(string(out), "[]") {
		s.Fatalf("the function on alarms: %s, %v", out, err)
	}
}
