package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deadLetters checks that what a rule's target did not take is kept.
func deadLetters(t *testing.T, tm template, rule map[string]any) {
	t.Helper()
	queue := tm.ofType("AWS::SQS::Queue")[0]
	if got := text(dig(rule, "Targets", 0, "DeadLetterConfig", "Arn")); got != attribute(queue, "Arn") {
		t.Errorf("rule %v: dead letters go to %s", rule["Name"], got)
	}
	var allowed bool
	for _, id := range tm.ofType("AWS::SQS::QueuePolicy") {
		for _, s := range list(dig(tm.Resources[id].Properties, "PolicyDocument", "Statement")) {
			source := plain(dig(s, "Condition", "ArnEquals", "aws:SourceArn"))
			id, _ := tm.only(t, "AWS::Events::Rule", "Name", rule["Name"])
			allowed = allowed || dig(s, "Effect") == "Allow" && source == "<"+id+".Arn>"
		}
	}
	if !allowed {
		t.Errorf("rule %v may not write to the queue", rule["Name"])
	}
}

func TestWhatDiesIsRolledBack(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	id, rule := tm.only(t, "AWS::Events::Rule", "Name", "stepcanary-dead")
	want := map[string]any{
		"account": []any{"111122223333"}, "source": []any{"aws.states"},
		"detail-type": []any{"Step Functions Execution Status Change"},
		"detail": map[string]any{
			"stateMachineArn": []any{"arn:aws:states:eu-west-1:111122223333:stateMachine:stepcanary"},
			"status":          []any{"FAILED", "TIMED_OUT", "ABORTED"},
		},
	}
	if diff := cmp.Diff(any(want), rule["EventPattern"]); diff != "" {
		t.Errorf("pattern (-want +got):\n%s", diff)
	}
	if rule["State"] != "ENABLED" {
		t.Errorf("state %v", rule["State"])
	}
	_, version := functionID(t, tm, "rollback")
	if got := text(dig(rule, "Targets", 0, "Arn")); got != ref(version) {
		t.Errorf("target %s, want the published version %s", got, version)
	}
	// The function reads the event as EventBridge sends it, with the execution's input and error.
	for _, field := range []string{"Input", "InputPath", "InputTransformer"} {
		if got := dig(rule, "Targets", 0, field); got != nil {
			t.Errorf("%s: the event is changed on its way: %v", field, got)
		}
	}
	deadLetters(t, tm, rule)
	mayCall(t, tm, id, version)
	keepsFailures(t, tm, "rollback")
}

func TestAnAlarmAborts(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	id, rule := tm.only(t, "AWS::Events::Rule", "Name", "stepcanary-alarms")
	if got, want := text(dig(rule, "EventPattern", "detail")), `{"state":{"value":["ALARM"]}}`; got != want {
		t.Errorf("detail %s, want %s", got, want)
	}
	if got := text(dig(rule, "EventPattern", "source")); got != `["aws.cloudwatch"]` {
		t.Errorf("source %s", got)
	}
	_, version := functionID(t, tm, "abort")
	if got := text(dig(rule, "Targets", 0, "Arn")); got != ref(version) {
		t.Errorf("target %s, want %s", got, version)
	}
	deadLetters(t, tm, rule)
	mayCall(t, tm, id, version)
	keepsFailures(t, tm, "abort")
}

// mayCall checks that the rule, and nothing else of EventBridge, may call the version.
func mayCall(t *testing.T, tm template, rule, version string) {
	t.Helper()
	for _, id := range tm.ofType("AWS::Lambda::Permission") {
		p := tm.Resources[id].Properties
		if text(p["FunctionName"]) == ref(version) && text(p["SourceArn"]) == attribute(rule, "Arn") && p["Principal"] == "events.amazonaws.com" {
			return
		}
	}
	t.Errorf("rule %s may not call %s", rule, version)
}

// keepsFailures checks that an event that the function itself failed on is kept as well.
func keepsFailures(t *testing.T, tm template, name string) {
	t.Helper()
	id, version := functionID(t, tm, name)
	var config map[string]any
	for _, c := range tm.ofType("AWS::Lambda::EventInvokeConfig") {
		if text(tm.Resources[c].Properties["FunctionName"]) == ref(id) {
			config = tm.Resources[c].Properties
		}
	}
	if text(config["Qualifier"]) != attribute(version, "Version") {
		t.Errorf("%s: failures of %v are kept, not those of %s", name, config["Qualifier"], version)
	}
	queue := tm.ofType("AWS::SQS::Queue")[0]
	if got := text(dig(config, "DestinationConfig", "OnFailure", "Destination")); got != attribute(queue, "Arn") {
		t.Errorf("%s: failures go to %s", name, got)
	}
}

func TestEveryEndIsTold(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	_, rule := tm.only(t, "AWS::Events::Rule", "Name", "stepcanary-ends")
	if got := text(dig(rule, "EventPattern", "detail", "status")); got != `["SUCCEEDED","FAILED","TIMED_OUT","ABORTED"]` {
		t.Errorf("status %s", got)
	}
	if got := dig(rule, "Targets", 0, "Arn"); got != "arn:aws:sns:eu-west-1:111122223333:stepcanary-events" {
		t.Errorf("target %v", got)
	}
	template, _ := dig(rule, "Targets", 0, "InputTransformer", "InputTemplate").(string)
	for _, secret := range []string{"input", "output"} {
		if strings.Contains(template, secret) {
			t.Errorf("the message has the execution's %s: %s", secret, template)
		}
	}
	deadLetters(t, tm, rule)
	_, topic := tm.only(t, "AWS::SNS::Topic", "TopicName", "stepcanary-events")
	if topic["DisplayName"] != "Stepcanary" {
		t.Errorf("topic %v", topic)
	}
	policy := tm.Resources[tm.ofType("AWS::SNS::TopicPolicy")[0]].Properties
	var who []string
	for _, s := range list(dig(policy, "PolicyDocument", "Statement")) {
		if dig(s, "Effect") != "Allow" {
			continue
		}
		who = append(who, plain(dig(s, "Principal", "Service"))+" "+plain(dig(s, "Condition", "ArnLike", "aws:SourceArn")))
	}
	slices.Sort(who)
	if diff := cmp.Diff([]string{
		"cloudwatch.amazonaws.com arn:aws:cloudwatch:eu-west-1:111122223333:alarm:stepcanary-*",
		"events.amazonaws.com arn:aws:events:eu-west-1:111122223333:rule/stepcanary-ends",
	}, who); diff != "" {
		t.Errorf("who may publish (-want +got):\n%s", diff)
	}
}

func TestAlarmsReachPeople(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	topic := tm.ofType("AWS::SNS::Topic")[0]
	got := map[string]string{}
	for _, id := range tm.ofType("AWS::CloudWatch::Alarm") {
		p := tm.Resources[id].Properties
		got[p["AlarmName"].(string)] = plain(p["Namespace"]) + " " + plain(p["MetricName"])
		if text(p["AlarmActions"]) != "["+ref(topic)+"]" || p["TreatMissingData"] != "notBreaching" || p["Threshold"] != 0.0 {
			t.Errorf("%s: %v", id, p)
		}
	}
	if diff := cmp.Diff(map[string]string{
		"stepcanary-dead-letters-alarm":   "AWS/SQS ApproximateNumberOfMessagesVisible",
		"stepcanary-rollback-alarm":       "AWS/Lambda Errors",
		"stepcanary-needs-operator-alarm": "Stepcanary NeedsOperator",
		"stepcanary-throttled-alarm":      "AWS/States ExecutionThrottled",
	}, got); diff != "" {
		t.Errorf("alarms (-want +got):\n%s", diff)
	}
	_, mail := tm.only(t, "AWS::SNS::Subscription", "Endpoint", "on-call@example.com")
	if mail["Protocol"] != "email" || text(mail["TopicArn"]) != ref(topic) {
		t.Errorf("subscription %v", mail)
	}
}

func TestTheQueueIsClosed(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	queue := tm.Resources[tm.ofType("AWS::SQS::Queue")[0]].Properties
	if queue["SqsManagedSseEnabled"] != true || queue["MessageRetentionPeriod"] != 1209600.0 {
		t.Errorf("queue %v: want encrypted, and 14 days", queue)
	}
	for _, kind := range []string{"AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"} {
		p := text(tm.Resources[tm.ofType(kind)[0]].Properties)
		if !strings.Contains(p, `"Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny"`) {
			t.Errorf("%s: plain HTTP is not denied: %s", kind, p)
		}
	}
}

// The metrics of the functions are those of testdata/metrics.json; that functions write them, without
// dimensions, is seen in test/aws.
func TestTheDashboardShowsWhatTheEngineDoes(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	_, board := tm.only(t, "AWS::CloudWatch::Dashboard", "DashboardName", "stepcanary")
	body := plain(board["DashboardBody"])
	var got []string
	for _, m := range regexp.MustCompile(`\["Stepcanary","([A-Za-z]+)",?(.)`).FindAllStringSubmatch(body, -1) {
		got = append(got, m[1])
		if m[2] == `"` {
			t.Errorf("%s has a dimension, which the functions do not write", m[1])
		}
	}
	slices.Sort(got)
	data, err := os.ReadFile("testdata/metrics.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("metrics of the functions (-want +got):\n%s", diff)
	}
	for _, metric := range []string{"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "Errors", "ApproximateNumberOfMessagesVisible"} {
		if !strings.Contains(body, `"`+metric+`"`) {
			t.Errorf("no %s", metric)
		}
	}
	_, alarm := tm.only(t, "AWS::CloudWatch::Alarm", "AlarmName", "stepcanary-needs-operator-alarm")
	if alarm["Dimensions"] != nil {
		t.Errorf("the alarm has dimensions, which the functions do not write: %v", alarm["Dimensions"])
	}
}
