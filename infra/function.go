package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/stepcanary/stepcanary/statemachine"
)

// A function is one Lambda: a Task state's, or one behind a rule.
type function struct {
	// name is its folder below lambdas/.
	name, description string
	// timeout is the longest that its code may run, in seconds; zero means as long as its state
	// waits for it.
	timeout float64
	// cluster tells that it talks to the Kubernetes API.
	cluster bool
	// hooks tells that it asks gates, or tells receivers.
	hooks bool
	// behindRule tells that EventBridge calls it, so that what it did not take must not be lost.
	behindRule bool
	// may is what its code is allowed beside what Lambda itself needs.
	may func(c *Config) []grant
}

// functions are all of them, in the order of a rollout.
var functions = []function{
	{
		name: "prepare", description: "checks, locks and plans a rollout", cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c), lookUp(c), sign(c)} }, hooks: true,
	},
	{
		name: "deploy-canary", description: "applies a new version's objects", cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c)} },
	},
	{
		name: "await-ready", description: "watches a new version start", cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c), answer(c), sign(c)} }, hooks: true,
	},
	{
		name: "shift-weight", description: "writes a route's weights", cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c)} },
	},
	{
		name: "health-check", description: "judges a canary", cluster: true,
		may: func(c *Config) []grant { return append([]grant{reach(c), answer(c), sign(c)}, measure(c)...) }, hooks: true,
	},
	{
		name: "hold", description: "tells what a rollout waits for", timeout: 60, cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c)} },
	},
	{
		name: "promote", description: "makes a canary the stable version", cluster: true,
		may: func(c *Config) []grant { return []grant{reach(c), sign(c)} }, hooks: true,
	},
	{
		name: "rollback", description: "brings users back to the stable version", cluster: true, behindRule: true,
		may: func(c *Config) []grant { return []grant{reach(c), lookUp(c), sign(c)} }, hooks: true,
	},
	{
		name: "abort", description: "aborts the rollouts that name an alarm", timeout: 60, behindRule: true,
		may: interrupt,
	},
}

// Settings that all functions share. 256 MB is for the share of a CPU that comes with it; the
// functions need 40 MB.
const (
	memoryMB = 256
	// metricsSetting completes the field metrics of a deploy.json.
	metricsSetting = "STEPCANARY_METRICS"
	// hooksSetting says where webhooks and notifications may go.
	hooksSetting = "STEPCANARY_HOOKS"
	// machineSetting is the state machine whose rollouts an alarm aborts.
	machineSetting = "STEPCANARY_STATE_MACHINE"
)

// seconds is how long a function may run: no longer than its state waits, because what it did after
// that would be done behind the state machine's back.
func (f function) seconds() float64 {
	if f.timeout > 0 {
		return f.timeout
	}
	return stateTimeouts()[f.name]
}

// stateTimeouts are the TimeoutSeconds of the definition, by function. A state whose wait is part of
// its input has none.
func stateTimeouts() map[string]float64 {
	var machine struct {
		States map[string]struct{ TimeoutSeconds float64 }
	}
	if err := json.Unmarshal([]byte(statemachine.Definition), &machine); err != nil {
		panic(fmt.Sprintf("the embedded definition: %v", err))
	}
	timeouts := map[string]float64{}
	for _, task := range statemachine.Tasks {
		timeouts[statemachine.Function(task)] = machine.States[task].TimeoutSeconds
	}
	return timeouts
}

func (e *engine) addFunction(f function) {
	id := pascal(f.name)
	role := e.addRole(f, id)
	logs := e.logGroup(id+"Logs", "/aws/lambda/"+e.config.function(f.name))
	fn := awslambda.NewFunction(e.stack, jsii.String(id), &awslambda.FunctionProps{
		FunctionName: jsii.String(e.config.function(f.name)),
		Description:  jsii.String("Stepcanary: " + f.description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Handler:      jsii.String("bootstrap"),
		Code:         awslambda.Code_FromAsset(jsii.String(filepath.Clean(zipOf(e.dist, f.name))), nil),
		Role:         role.WithoutPolicyUpdates(nil),
		MemorySize:   jsii.Number(memoryMB),
		Timeout:      cdk.Duration_Seconds(jsii.Number(f.seconds())),
		Tracing:      awslambda.Tracing_ACTIVE,
		LogGroup:     logs,
		Environment:  e.settings(f),
		// An old version serves the rollouts that began with it, so it outlives the upgrade.
		CurrentVersionOptions: &awslambda.VersionOptions{RemovalPolicy: cdk.RemovalPolicy_RETAIN},
	})
	if n := e.config.Network; n != nil {
		fn.Node().DefaultChild().(awslambda.CfnFunction).SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds: jsii.Strings(n.Subnets...), SecurityGroupIds: jsii.Strings(n.SecurityGroups...),
		})
	}
	fn.Node().AddDependency(role)
	e.versions[f.name] = fn.CurrentVersion()
	if f.behindRule {
		e.keepFailures(id, fn)
	}
}

// addRole makes the function's own role. Its policy is inside of it, so that it is complete before
// the function exists.
func (e *engine) addRole(f function, id string) awsiam.Role {
	grants := append(platform(e.config, f), f.may(e.config)...)
	if f.behindRule {
		grants = append(grants, grant{
			sid: "KeepFailures", actions: []string{"sqs:SendMessage"}, resources: []string{*e.dead.QueueArn()},
		})
		if e.key != nil {
			grants = append(grants, grant{
				sid: "EncryptFailures", actions: []string{"kms:Decrypt", "kms:GenerateDataKey"}, resources: []string{*e.key.KeyArn()},
			})
		}
	}
	role := awsiam.NewRole(e.stack, jsii.String(id+"Role"), &awsiam.RoleProps{
		RoleName:       jsii.String(e.config.Name + "-" + e.config.Region + "-" + f.name),
		Description:    jsii.String("Stepcanary: " + f.description),
		AssumedBy:      service("lambda"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"own": document(grants)},
	})
	e.roles[f.name] = role
	return role
}

func (e *engine) settings(f function) *map[string]*string {
	settings := map[string]*string{}
	if f.cluster && len(e.config.Metrics) > 0 {
		settings[metricsSetting] = jsii.String(compact(e.config.Metrics))
	}
	if f.hooks && len(e.config.Hooks) > 0 {
		settings[hooksSetting] = jsii.String(compact(e.config.Hooks))
	}
	if f.name == "abort" {
		settings[machineSetting] = jsii.String(e.config.stateMachine())
	}
	return &settings
}

// keepFailures sends an event that the function failed on, three times within the
// hour, to the dead letters.
func (e *engine) keepFailures(id string, fn awslambda.Function) {
	awslambda.NewCfnEventInvokeConfig(e.stack, jsii.String(id+"Failures"), &awslambda.CfnEventInvokeConfigProps{
		FunctionName:             fn.FunctionName(),
		Qualifier:                fn.CurrentVersion().Version(),
		MaximumRetryAttempts:     jsii.Number(2),
		MaximumEventAgeInSeconds: jsii.Number(3600),
		DestinationConfig: &awslambda.CfnEventInvokeConfig_DestinationConfigProperty{
			OnFailure: &awslambda.CfnEventInvokeConfig_OnFailureProperty{Destination: e.dead.QueueArn()},
		},
	})
}
