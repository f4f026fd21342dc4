package main

import (
	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// keyOf is the key for queue, topic, logs and artifacts; nil where AWS's own keys do. A key that
// somebody else made needs the statements of serviceUse in its policy.
func keyOf(stack cdk.Stack, config *Config) awskms.IKey {
	switch config.EncryptionKey {
	case "":
		return nil
	case "create":
	default:
		return awskms.Key_FromKeyArn(stack, jsii.String("Key"), jsii.String(config.EncryptionKey))
	}
	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{
		Alias:             jsii.String("alias/" + *stack.StackName()),
		Description:       jsii.String("Stepcanary: logs, events and artifacts"),
		EnableKeyRotation: jsii.Bool(true),
		RemovalPolicy:     cdk.RemovalPolicy_RETAIN,
	})
	key.AddToResourcePolicy(serviceUse(config), nil)
	return key
}

// serviceUse lets the services that store or pass on our data use the key, for this account only.
// In a key's own policy the resource * means that key.
func serviceUse(config *Config) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("ServicesOfThisAccount"),
		Principals: &[]awsiam.IPrincipal{
			service("logs." + config.Region), service("events"), service("cloudwatch"), service("sns"), service("sqs"),
		},
		Actions: jsii.Strings("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey",
			"kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
		Resources: jsii.Strings("*"),
		Conditions: &map[string]any{
			"StringEqualsIfExists": map[string]any{"aws:SourceAccount": config.Account},
		},
	})
}

func newLogGroup(scope constructs.Construct, id, name string, config *Config, key awskms.IKey) awslogs.LogGroup {
	props := &awslogs.LogGroupProps{
		LogGroupName:  jsii.String(name),
		RemovalPolicy: cdk.RemovalPolicy_DESTROY,
	}
	if key != nil {
		props.EncryptionKey = key
	}
	group := awslogs.NewLogGroup(scope, jsii.String(id), props)
	group.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(config.LogDays))
	return group
}
