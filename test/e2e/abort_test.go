package e2e_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/alarm"
	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
)

// TestAnAbortReachesUsersWithinFiveSeconds measures from a person's word, or from the event of an
// alarm, to the last answer that a user gets from the canary.
func TestAnAbortReachesUsersWithinFiveSeconds(t *testing.T) {
	for who, abort := range map[string]func(b *bed, token string){"an operator": operator, "an alarm": anAlarm} {
		for _, wait := range []string{"1m", "2h"} { // watched, and waiting on the token alone
			t.Run(who+" in a hold of "+wait, func(t *testing.T) {
				b := newBed(t)
				service := "abort-" + who[strings.Index(who, " ")+1:] + "-" + wait
				host, fields := b.serve(service)
				fields["wait_time"] = wait
				fields["deadlines"] = map[string]any{"rollout": "48h"}
				fields["alarms"] = []string{"checkout-5xx"}
				u := b.visit(host)
				arn := b.begin(service, "podlet:v2", fields)
				token := b.hold(arn)
				time.Sleep(3 * time.Second) // in the middle of the hold
				asked := time.Now()
				abort(b, token())
				d := b.end(arn)
				u.leave()
				took := u.lastOf["v2"].Sub(asked)
				if took > 5*time.Second || !strings.Contains(cause(d), "aborted: ") || !strings.Contains(cause(d), "by a test") {
					t.Errorf("the last answer of the canary came %v after the abort (%s)", took, cause(d))
				}
				t.Logf("| %s, hold of %s | %.1f |", who, wait, took.Seconds())
			})
		}
	}
}

// operator answers the token, as stepcanary abort does.
func operator(b *bed, token string) {
	b.Helper()
	name, why := "Canary.Aborted", "by a test"
	if err := b.engine.SendTaskFailure(token, asl.Failure{Error: &name, Cause: &why}); err != nil {
		b.Fatal(err)
	}
}

// anAlarm runs the function behind the rule on CloudWatch alarms, on the engine's own API.
func anAlarm(b *bed, _ string) {
	b.Helper()
	api := httptest.NewServer(local.API(b.engine))
	defer api.Close()
	client := sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(api.URL), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	f := alarm.Abort{Rollouts: stepfunctions.New(client), Machine: b.machine, Clock: clock.Real{}}
	event := json.RawMessage(`{"detail":{"alarmName":"checkout-5xx","state":{"value":"ALARM","reason":"by a test"}}}`)
	if out, err := f.Handle(b.Context(), event); err != nil || strings.Contains(string(out), "[]") {
		b.Fatalf("the function on alarms: %s, %v", out, err)
	}
}
