package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"

	"github.com/stepcanary/stepcanary/statemachine"
)

// addWorkflow makes the state machine of the embedded definition. Its tokens become the ARNs of
// published versions, so that a rollout ends with the code that it began with.
func (e *engine) addWorkflow() {
	logs := e.logGroup("Logs", "/aws/vendedlogs/states/"+e.config.Name)
	substitutions := map[string]*string{}
	for _, task := range statemachine.Tasks {
		substitutions[task] = e.versions[statemachine.Function(task)].FunctionArn()
	}
	role := e.addWorkflowRole()
	machine := awsstepfunctions.NewStateMachine(e.stack, jsii.String("StateMachine"), &awsstepfunctions.StateMachineProps{
		StateMachineName:        jsii.String(e.config.Name),
		StateMachineType:        awsstepfunctions.StateMachineType_STANDARD,
		DefinitionBody:          awsstepfunctions.DefinitionBody_FromString(jsii.String(statemachine.Definition)),
		DefinitionSubstitutions: &substitutions,
		Role:                    role.WithoutPolicyUpdates(nil),
		TracingEnabled:          jsii.Bool(true),
		Logs: &awsstepfunctions.LogOptions{
			Destination:          logs,
			Level:                awsstepfunctions.LogLevel_ERROR,
			IncludeExecutionData: jsii.Bool(false),
		},
	})
	machine.Node().AddDependency(role)
}

// addWorkflowRole lets the state machine call the versions of its functions: all of them, because
// rollouts that began before an upgrade still call the older ones.
func (e *engine) addWorkflowRole() awsiam.Role {
	var versions []string
	for _, task := range statemachine.Tasks {
		versions = append(versions, e.config.functionARN(statemachine.Function(task))+":*")
	}
	return awsiam.NewRole(e.stack, jsii.String("StateMachineRole"), &awsiam.RoleProps{
		RoleName:    jsii.String(e.config.Name + "-" + e.config.Region),
		Description: jsii.String("Stepcanary: the state machine"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("states.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": e.config.Account}},
		}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"own": document([]grant{
			{sid: "CallFunctions", actions: []string{"lambda:InvokeFunction"}, resources: versions},
			{
				sid: "WriteTraces", resources: []string{"*"},
				actions: []string{
					"xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
				},
			},
			{
				// Vended log delivery knows no resource.
				sid: "DeliverLogs", resources: []string{"*"},
				actions: []string{
					"logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
					"logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
				},
			},
		})},
	})
}
