package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

// newRole makes the one role of the pipeline and of its actions.
func (p *pipeline) newRole() awsiam.Role {
	grants := []grant{
		p.useArtifacts(),
		{sid: "FindArtifacts", actions: []string{"s3:GetBucketLocation", "s3:GetBucketVersioning"}, resources: []string{*p.artifacts.BucketArn()}},
		{
			sid: "Build", actions: []string{"codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"},
			resources: []string{p.config.arn("codebuild", "project/"+p.config.Name+"-"+p.service.Name)},
		},
		{sid: "StartRollout", actions: []string{"states:DescribeStateMachine", "states:StartExecution"}, resources: []string{p.config.stateMachine()}},
		{sid: "FollowRollout", actions: []string{"states:DescribeExecution"}, resources: []string{p.config.executions()}},
		p.readSource(),
	}
	if p.service.Approval {
		grants = append(grants, grant{sid: "AskForApproval", actions: []string{"sns:Publish"}, resources: []string{p.config.topic()}})
	}
	return p.newServiceRole("PipelineRole", "pipeline", "codepipeline", append(grants, p.useKey()))
}

// newServiceRole makes a role that a service of AWS takes on for this pipeline.
func (p *pipeline) newServiceRole(id, part, by string, grants []grant) awsiam.Role {
	return awsiam.NewRole(p.stack, jsii.String(id), &awsiam.RoleProps{
		Description:    jsii.String("Stepcanary: " + part + " of " + p.service.Name),
		AssumedBy:      service(by),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"own": document(grants)},
	})
}

func (p *pipeline) readSource() grant {
	if p.service.Connection == "" {
		return grant{
			sid: "ReadSource", resources: []string{p.config.arn("codecommit", p.service.Repository)},
			actions: []string{
				"codecommit:CancelUploadArchive", "codecommit:GetBranch", "codecommit:GetCommit",
				"codecommit:GetUploadArchiveStatus", "codecommit:UploadArchive",
			},
		}
	}
	// The action's prefix has to be that of the connection's ARN, which is older for older ones.
	prefix := strings.Split(p.service.Connection, ":")[2]
	return grant{sid: "ReadSource", actions: []string{prefix + ":UseConnection"}, resources: []string{p.service.Connection}}
}

// useArtifacts lets a role pass files from action to action. Their names are given by CodePipeline.
func (p *pipeline) useArtifacts() grant {
	return grant{
		sid: "PassArtifacts", actions: []string{"s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"},
		resources: []string{*p.artifacts.ArnForObjects(jsii.String("*"))},
	}
}

func (p *pipeline) useKey() grant {
	g := grant{sid: "UseKey", actions: []string{"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"}}
	if p.key != nil {
		g.resources = []string{*p.key.KeyArn()}
	}
	return g
}
