package main

import (
	"strings"

	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseventstargets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"
)

// addRules ties the functions to what happens outside of the state machine.
func (e *engine) addRules() {
	e.rollBackTheDead()
	e.abortOnAlarm()
	e.tellOfEnds()
}

// rollBackTheDead starts the way back for an execution that ended where no Catch of its
// own could see it: stopped, timed out, or failed by the service itself. For one that went back
// on its own the function finds nothing to do.
func (e *engine) rollBackTheDead() {
	e.rule("Dead", "rolls back what died on its way", e.ended("FAILED", "TIMED_OUT", "ABORTED"), e.call("rollback"))
}

// abortOnAlarm tells of every alarm of the account that goes off. The function knows which
// running rollouts name it; nothing has to be wired for a new alarm.
func (e *engine) abortOnAlarm() {
	pattern := &awsevents.EventPattern{
		Source:     jsii.Strings("aws.cloudwatch"),
		DetailType: jsii.Strings("CloudWatch Alarm State Change"),
		Account:    jsii.Strings(e.config.Account),
		Detail:     &map[string]any{"state": map[string]any{"value": []string{"ALARM"}}},
	}
	e.rule("Alarms", "aborts the rollouts that name an alarm which goes off", pattern, e.call("abort"))
}

// tellOfEnds publishes every end as a line of text, without its input and output. Text, because a
// rollout that was promoted has no error, and a gap in text does no harm.
func (e *engine) tellOfEnds() {
	field := func(name string) string { return *awsevents.EventField_FromPath(jsii.String("$.detail." + name)) }
	text := "Rollout " + field("name") + ": " + field("status") + ". " + field("error") + " " + field("cause") +
		" (" + field("executionArn") + ")"
	// By its ARN, so that CDK leaves the topic's policy alone: newTopic names this rule there.
	topic := awssns.Topic_FromTopicArn(e.stack, jsii.String("EndsTopic"), jsii.String(e.config.topic()))
	target := awseventstargets.NewSnsTopic(topic, &awseventstargets.SnsTopicProps{
		Message: awsevents.RuleTargetInput_FromText(jsii.String(text)), DeadLetterQueue: e.dead,
		MaxEventAge: cdk.Duration_Hours(jsii.Number(1)), RetryAttempts: jsii.Number(8),
	})
	e.rule("Ends", "tells of every end of a rollout", e.ended("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"), target)
}

// ended matches the events of our state machine's executions with one of the statuses.
func (e *engine) ended(statuses ...string) *awsevents.EventPattern {
	return &awsevents.EventPattern{
		Source:     jsii.Strings("aws.states"),
		DetailType: jsii.Strings("Step Functions Execution Status Change"),
		Account:    jsii.Strings(e.config.Account),
		Detail: &map[string]any{
			"stateMachineArn": []string{e.config.stateMachine()},
			"status":          statuses,
		},
	}
}

// call gives the event as it is to the function's published version; what cannot be delivered goes
// to the dead letters.
func (e *engine) call(function string) awsevents.IRuleTarget {
	return awseventstargets.NewLambdaFunction(e.versions[function], &awseventstargets.LambdaFunctionProps{
		DeadLetterQueue: e.dead, MaxEventAge: cdk.Duration_Hours(jsii.Number(1)), RetryAttempts: jsii.Number(8),
	})
}

func (e *engine) rule(id, description string, pattern *awsevents.EventPattern, target awsevents.IRuleTarget) {
	awsevents.NewRule(e.stack, jsii.String(id), &awsevents.RuleProps{
		RuleName:     jsii.String(e.config.Name + "-" + strings.ToLower(id)),
		Description:  jsii.String("Stepcanary: " + description),
		EventPattern: pattern,
		Targets:      &[]awsevents.IRuleTarget{target},
	})
}
