package main

import (
	"fmt"

	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// An engine is the stack that runs rollouts: the state machine, its functions, and what
// watches over them.
type engine struct {
	stack  cdk.Stack
	config *Config
	dist   string
	// key is nil where AWS's own keys are used.
	key   awskms.IKey
	topic awssns.Topic
	// dead holds events that no function took.
	dead awssqs.Queue
	// versions are the published versions of the functions, by name.
	versions map[string]awslambda.Version
	roles    map[string]awsiam.Role
}

func newEngine(app constructs.Construct, config *Config, dist string) *engine {
	e := &engine{
		config: config, dist: dist,
		stack: cdk.NewStack(app, jsii.String(config.Name),
			stackProps(config, "Stepcanary: rolls Kubernetes services out in steps, and back")),
		versions: map[string]awslambda.Version{},
		roles:    map[string]awsiam.Role{},
	}
	bound(e.stack, config)
	e.key = keyOf(e.stack, config)
	e.topic = e.newTopic()
	e.dead = e.newDeadLetters()
	for _, f := range functions {
		e.addFunction(f)
	}
	e.addWorkflow()
	e.addRules()
	e.addAlarms()
	e.addDashboard()
	e.addAccessEntries()
	e.addOutputs()
	return e
}

// bound puts the permissions boundary, where there is one, on every role of a stack.
func bound(stack cdk.Stack, config *Config) {
	if config.PermissionsBoundary == "" {
		return
	}
	policy := awsiam.ManagedPolicy_FromManagedPolicyArn(stack, jsii.String("Boundary"), jsii.String(config.PermissionsBoundary))
	awsiam.PermissionsBoundary_Of(stack).Apply(policy)
}

func (e *engine) newTopic() awssns.Topic {
	topic := awssns.NewTopic(e.stack, jsii.String("Events"), &awssns.TopicProps{
		TopicName:   jsii.String(e.config.Name + "-events"),
		DisplayName: jsii.String("Stepcanary"),
		EnforceSSL:  jsii.Bool(true),
		MasterKey:   e.key,
	})
	e.letPublish(topic, "Ends", "events", "rule/"+e.config.Name+"-ends")
	e.letPublish(topic, "Alarms", "cloudwatch", "alarm:"+e.config.Name+"-*")
	for i, address := range e.config.Emails {
		awssns.NewCfnSubscription(e.stack, jsii.String(fmt.Sprintf("Email%d", i)), &awssns.CfnSubscriptionProps{
			TopicArn: topic.TopicArn(), Protocol: jsii.String("email"), Endpoint: jsii.String(address),
		})
	}
	return topic
}

// letPublish lets a service of AWS publish on the topic for one kind of source only.
func (e *engine) letPublish(topic awssns.Topic, sid, by, source string) {
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String(sid),
		Principals: &[]awsiam.IPrincipal{service(by)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  jsii.Strings(e.config.topic()),
		Conditions: &map[string]any{"ArnLike": map[string]any{"aws:SourceArn": e.config.arn(by, source)}},
	}))
}

func (e *engine) newDeadLetters() awssqs.Queue {
	props := &awssqs.QueueProps{
		QueueName:       jsii.String(e.config.Name + "-dead-letters"),
		RetentionPeriod: cdk.Duration_Days(jsii.Number(14)),
		EnforceSSL:      jsii.Bool(true),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
	}
	if e.key != nil {
		props.Encryption, props.EncryptionMasterKey = awssqs.QueueEncryption_KMS, e.key
	}
	return awssqs.NewQueue(e.stack, jsii.String("DeadLetters"), props)
}

// logGroup keeps logs for the configured time, and goes with the stack.
func (e *engine) logGroup(id, name string) awslogs.LogGroup {
	return newLogGroup(e.stack, id, name, e.config, e.key)
}

func (e *engine) addOutputs() {
	output := func(id, description string, value *string) {
		cdk.NewCfnOutput(e.stack, jsii.String(id), &cdk.CfnOutputProps{Description: jsii.String(description), Value: value})
	}
	output("StateMachineArn", "The state machine's ARN, for stepcanary --machine", jsii.String(e.config.stateMachine()))
	output("TopicArn", "Ends of rollouts and alarms are published here", e.topic.TopicArn())
	output("KubernetesGroup", "The group that the functions have in each cluster", jsii.String(kubernetesGroup))
}

func service(name string) awsiam.IPrincipal {
	return awsiam.NewServicePrincipal(jsii.String(name+".amazonaws.com"), nil)
}
