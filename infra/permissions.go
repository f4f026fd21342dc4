package main

import (
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// A grant is one statement of a policy. No action has a wildcard; a resource with one is
// listed with its reason in accepted.json.
type grant struct {
	sid       string
	actions   []string
	resources []string
	// conditions are given as IAM has them; nil for none.
	conditions map[string]any
	deny       bool
}

func (g grant) statement() awsiam.PolicyStatement {
	props := &awsiam.PolicyStatementProps{
		Sid: jsii.String(g.sid), Actions: jsii.Strings(g.actions...), Resources: jsii.Strings(g.resources...),
	}
	if g.deny {
		props.Effect = awsiam.Effect_DENY
	}
	if g.conditions != nil {
		props.Conditions = &g.conditions
	}
	return awsiam.NewPolicyStatement(props)
}

// document makes a policy of the grants, leaving out those that name no resource: a
// configuration without secrets gives no right to read any.
func document(grants []grant) awsiam.PolicyDocument {
	doc := awsiam.NewPolicyDocument(nil)
	for _, g := range grants {
		if len(g.resources) > 0 {
			doc.AddStatements(g.statement())
		}
	}
	return doc
}

// reach lets code find a cluster's endpoint. The token it then shows needs no right in IAM.
func reach(c *Config) grant {
	return grant{sid: "FindClusters", actions: []string{"eks:DescribeCluster"}, resources: c.clusterARNs()}
}

// lookUp lets code see whether another rollout has ended, and its deploy.json.
func lookUp(c *Config) grant {
	return grant{sid: "LookUpRollouts", actions: []string{"states:DescribeExecution"}, resources: []string{c.executions()}}
}

// answer lets code answer the token that its own task waits on.
func answer(c *Config) grant {
	return grant{sid: "AnswerToken", actions: []string{"states:SendTaskSuccess"}, resources: []string{c.stateMachine()}}
}

// measure lets code ask the metrics sources. GetMetricData knows no resource.
func measure(c *Config) []grant {
	return []grant{
		{sid: "AskCloudWatch", actions: []string{"cloudwatch:GetMetricData"}, resources: []string{"*"}},
		{sid: "AskPrometheus", actions: []string{"aps:QueryMetrics"}, resources: slices.Clone(c.Workspaces)},
		{sid: "AssumeMetricRoles", actions: []string{"sts:AssumeRole"}, resources: slices.Clone(c.MetricRoles)},
		{sid: "ReadSecrets", actions: []string{"secretsmanager:GetSecretValue"}, resources: slices.Clone(c.Secrets)},
	}
}

// sign lets code read the keys by which questions to gates and messages to receivers are signed, and
// URLs that are secrets.
func sign(c *Config) grant {
	return grant{sid: "ReadHookSecrets", actions: []string{"secretsmanager:GetSecretValue"}, resources: slices.Clone(c.HookSecrets)}
}

// interrupt lets code find the running rollouts that name an alarm, and answer their tokens.
func interrupt(c *Config) []grant {
	return []grant{
		{sid: "FindRollouts", actions: []string{"states:ListExecutions"}, resources: []string{c.stateMachine()}},
		{
			sid:       "ReadRollouts",
			actions:   []string{"states:DescribeExecution", "states:GetExecutionHistory"},
			resources: []string{c.executions()},
		},
		{sid: "AbortRollouts", actions: []string{"states:SendTaskFailure"}, resources: []string{c.stateMachine()}},
	}
}

// platform is what Lambda itself does in a function's name, not our code: logs, traces, network
// interfaces. Code in the function may not touch the network interfaces.
func platform(c *Config, f function) []grant {
	name := c.function(f.name)
	grants := []grant{
		{
			sid:       "WriteLogs",
			actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
			resources: []string{c.arn("logs", "log-group:/aws/lambda/"+name+":log-stream:*")},
		},
		{sid: "WriteTraces", actions: []string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}, resources: []string{"*"}},
	}
	if c.Network == nil {
		return grants
	}
	interfaces := []string{
		"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface",
		"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
	}
	return append(grants,
		grant{sid: "JoinNetwork", actions: interfaces, resources: []string{"*"}},
		grant{
			sid: "OnlyLambdaJoins", actions: interfaces, resources: []string{"*"}, deny: true,
			conditions: map[string]any{"ArnEquals": map[string]any{"lambda:SourceFunctionArn": []string{c.functionARN(f.name)}}},
		},
	)
}
