package main

import (
	"strings"

	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodecommit"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodepipeline"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodepipelineactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// deployFile is the one file of the build's artifact, and the rollout's input.
const deployFile = "deploy.json"

// A pipeline is one service's stack: a commit becomes an image, a completed deploy.json, a rollout.
type pipeline struct {
	stack     cdk.Stack
	config    *Config
	service   Service
	key       awskms.IKey
	artifacts awss3.Bucket
	images    awsecr.Repository
	role      awsiam.Role
	project   awscodebuild.PipelineProject
}

func newPipeline(app constructs.Construct, config *Config, s Service, dist string) *pipeline {
	p := &pipeline{
		config: config, service: s,
		stack: cdk.NewStack(app, jsii.String(config.Name+"-"+s.Name),
			stackProps(config, "Stepcanary: from a commit of "+s.Name+" to its rollout")),
	}
	bound(p.stack, config)
	p.key = keyOf(p.stack, config)
	p.artifacts = p.newArtifacts()
	p.images = p.newImages()
	p.project = p.newBuild(dist)
	p.role = p.newRole()
	source, deploy := awscodepipeline.NewArtifact(jsii.String("Source"), nil), awscodepipeline.NewArtifact(jsii.String("Deploy"), nil)
	stages := []*awscodepipeline.StageProps{
		stage("Source", p.source(source)),
		stage("Build", awscodepipelineactions.NewCodeBuildAction(&awscodepipelineactions.CodeBuildActionProps{
			ActionName: jsii.String("Build"), Project: p.project,
			Input: source, Outputs: &[]awscodepipeline.Artifact{deploy},
		})),
	}
	if s.Approval {
		stages = append(stages, stage("Approve", p.approval()))
	}
	stages = append(stages, stage("Rollout", p.rollout(deploy)))
	made := awscodepipeline.NewPipeline(p.stack, jsii.String("Pipeline"), &awscodepipeline.PipelineProps{
		PipelineName:              jsii.String(config.Name + "-" + s.Name),
		PipelineType:              awscodepipeline.PipelineType_V2,
		ExecutionMode:             awscodepipeline.ExecutionMode_QUEUED,
		ArtifactBucket:            p.artifacts,
		Role:                      p.role.WithoutPolicyUpdates(nil),
		UsePipelineRoleForActions: jsii.Bool(true),
		Stages:                    &stages,
	})
	made.Node().AddDependency(p.role)
	return p
}

func stage(name string, action awscodepipeline.IAction) *awscodepipeline.StageProps {
	return &awscodepipeline.StageProps{StageName: jsii.String(name), Actions: &[]awscodepipeline.IAction{action}}
}

// source starts the pipeline at each commit on the branch.
func (p *pipeline) source(output awscodepipeline.Artifact) awscodepipeline.IAction {
	if p.service.Connection == "" {
		repository := awscodecommit.Repository_FromRepositoryName(p.stack, jsii.String("Repository"), jsii.String(p.service.Repository))
		return awscodepipelineactions.NewCodeCommitSourceAction(&awscodepipelineactions.CodeCommitSourceActionProps{
			ActionName: jsii.String("Source"), Repository: repository, Branch: jsii.String(p.service.Branch),
			Output: output,
		})
	}
	cut := strings.LastIndex(p.service.Repository, "/")
	return awscodepipelineactions.NewCodeStarConnectionsSourceAction(&awscodepipelineactions.CodeStarConnectionsSourceActionProps{
		ActionName: jsii.String("Source"), ConnectionArn: jsii.String(p.service.Connection),
		Owner: jsii.String(p.service.Repository[:cut]), Repo: jsii.String(p.service.Repository[cut+1:]),
		Branch: jsii.String(p.service.Branch), Output: output,
	})
}

// approval asks a person, who is told through the engine's topic.
func (p *pipeline) approval() awscodepipeline.IAction {
	topic := awssns.Topic_FromTopicArn(p.stack, jsii.String("Events"), jsii.String(p.config.topic()))
	return awscodepipelineactions.NewManualApprovalAction(&awscodepipelineactions.ManualApprovalActionProps{
		ActionName: jsii.String("Approve"), NotificationTopic: topic,
		AdditionalInformation: jsii.String("The plan of the rollout stands at the end of the build's log."),
	})
}

// rollout starts the state machine with the completed deploy.json. The service's name begins the
// execution's, so that a person finds it.
func (p *pipeline) rollout(input awscodepipeline.Artifact) awscodepipeline.IAction {
	machine := awsstepfunctions.StateMachine_FromStateMachineArn(p.stack, jsii.String("StateMachine"), jsii.String(p.config.stateMachine()))
	return awscodepipelineactions.NewStepFunctionInvokeAction(&awscodepipelineactions.StepFunctionsInvokeActionProps{
		ActionName: jsii.String("Rollout"), StateMachine: machine,
		StateMachineInput:   awscodepipelineactions.StateMachineInput_FilePath(input.AtPath(jsii.String(deployFile))),
		ExecutionNamePrefix: jsii.String(executionPrefix(p.service.Name)),
		Output:              awscodepipeline.NewArtifact(jsii.String("Outcome"), nil),
	})
}

// executionPrefix is what of a service's name fits before the action's id: an execution's name has
// 80 characters at most, a hyphen and the id take 37 of them.
func executionPrefix(service string) string {
	return strings.TrimRight(service[:min(len(service), 80-37)], "-")
}
