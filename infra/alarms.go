package main

import (
	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/jsii-runtime-go"
)

// addAlarms watches over the engine itself: each alarm means that a person is needed.
func (e *engine) addAlarms() {
	minute := cdk.Duration_Minutes(jsii.Number(1))
	e.alarm("DeadLettersAlarm", "an end of a rollout or an alarm was not acted on; docs/runbook.md says what to do",
		e.dead.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{Period: minute, Statistic: jsii.String("Maximum")}))
	e.alarm("RollbackAlarm", "the way back of a rollout failed; it is tried again",
		e.versions["rollback"].MetricErrors(&awscloudwatch.MetricOptions{Period: minute, Statistic: jsii.String("Sum")}))
	e.alarm("NeedsOperatorAlarm", "a rollout could not be finished; docs/runbook.md says what to do",
		e.metric("NeedsOperator", "Sum", minute))
	e.alarm("ThrottledAlarm", "Step Functions slows the engine down; docs/aws.md names the quotas",
		e.machineMetric("ExecutionThrottled", "Sum", cdk.Duration_Minutes(jsii.Number(5))))
}

func (e *engine) alarm(id, description string, metric awscloudwatch.IMetric) {
	alarm := awscloudwatch.NewAlarm(e.stack, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmName:          jsii.String(e.config.Name + "-" + kebab(id)),
		AlarmDescription:   jsii.String("Stepcanary: " + description),
		Metric:             metric,
		Threshold:          jsii.Number(0),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
		EvaluationPeriods:  jsii.Number(1),
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(e.topic))
}

// metric is one that the functions write into their logs, in the embedded metric format.
func (e *engine) metric(name, statistic string, period cdk.Duration) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(metricNamespace), MetricName: jsii.String(name),
		Statistic: jsii.String(statistic), Period: period,
		Region: jsii.String(e.config.Region),
	})
}

// machineMetric is one that Step Functions writes for the state machine.
func (e *engine) machineMetric(name, statistic string, period cdk.Duration) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String("AWS/States"), MetricName: jsii.String(name),
		DimensionsMap: &map[string]*string{"StateMachineArn": jsii.String(e.config.stateMachine())},
		Statistic:     jsii.String(statistic), Period: period,
		Region: jsii.String(e.config.Region),
	})
}
