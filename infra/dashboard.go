package main

import (
	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/jsii-runtime-go"
)

// metricNamespace holds the metrics that the functions write. They have no dimension: each of them
// is the sum over all services.
const metricNamespace = "Stepcanary"

// addDashboard shows what the engine does, for all services together.
func (e *engine) addDashboard() {
	period := cdk.Duration_Minutes(jsii.Number(5))
	all := func(statistic string, names ...string) *[]awscloudwatch.IMetric {
		var metrics []awscloudwatch.IMetric
		for _, n := range names {
			metrics = append(metrics, e.metric(n, statistic, period))
		}
		return &metrics
	}
	board := awscloudwatch.NewDashboard(e.stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String(e.config.Name),
	})
	started, ended := e.machineMetric("ExecutionsStarted", "Sum", period), []string{
		"ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted",
	}
	board.AddWidgets(
		graph("Ends", all("Sum", "Promoted", "RolledBack", "NeedsOperator", "Refused")),
		graph("Running", &[]awscloudwatch.IMetric{running(started, e, ended, period)}),
	)
	board.AddWidgets(
		graph("Verdicts", all("Sum", "Healthy", "Unhealthy", "Inconclusive")),
		graph("Duration of a rollout in seconds", all("p50", "DurationSeconds")),
	)
	var failures []awscloudwatch.IMetric
	for _, f := range functions {
		failures = append(failures, e.versions[f.name].MetricErrors(&awscloudwatch.MetricOptions{
			Period: period, Statistic: jsii.String("Sum"), Label: jsii.String(f.name), Region: jsii.String(e.config.Region),
		}))
	}
	board.AddWidgets(
		graph("Failed calls of functions, which the state machine repeats", &failures),
		graph("Events that nobody took", &[]awscloudwatch.IMetric{e.dead.MetricApproximateNumberOfMessagesVisible(nil)}),
	)
}

// running counts the rollouts that are under way: those that began less those that ended, since
// the left end of the graph.
func running(started awscloudwatch.IMetric, e *engine, ended []string, period cdk.Duration) awscloudwatch.IMetric {
	using := map[string]awscloudwatch.IMetric{"started": started}
	sum := "FILL(started,0)"
	for i, name := range ended {
		id := "e" + string(rune('0'+i))
		using[id] = e.machineMetric(name, "Sum", period)
		sum += "-FILL(" + id + ",0)"
	}
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String("RUNNING_SUM(" + sum + ")"), UsingMetrics: &using,
		Label: jsii.String("begun less ended, since the left end"), Period: period,
	})
}

func graph(title string, metrics *[]awscloudwatch.IMetric) awscloudwatch.IWidget {
	return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
		Title: jsii.String(title), Left: metrics, Width: jsii.Number(12),
	})
}
