package main

import (
	cdk "github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodebuild"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"
)

// newArtifacts makes the bucket through which the pipeline's actions pass files.
func (p *pipeline) newArtifacts() awss3.Bucket {
	props := &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		EnforceSSL:        jsii.Bool(true),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		RemovalPolicy:     cdk.RemovalPolicy_RETAIN,
		Versioned:         jsii.Bool(true),
		LifecycleRules: &[]*awss3.LifecycleRule{{
			Id:                                  jsii.String("month"),
			Expiration:                          cdk.Duration_Days(jsii.Number(30)),
			NoncurrentVersionExpiration:         cdk.Duration_Days(jsii.Number(1)),
			AbortIncompleteMultipartUploadAfter: cdk.Duration_Days(jsii.Number(1)),
		}},
	}
	if p.key != nil {
		props.Encryption, props.EncryptionKey = awss3.BucketEncryption_KMS, p.key
		props.BucketKeyEnabled = jsii.Bool(true)
	}
	return awss3.NewBucket(p.stack, jsii.String("Artifacts"), props)
}

// newImages makes the service's image repository. A tag never moves, every push is scanned, and
// the images stay when the stack goes: pods run them.
func (p *pipeline) newImages() awsecr.Repository {
	props := &awsecr.RepositoryProps{
		RepositoryName:     jsii.String(p.config.Name + "/" + p.service.Name),
		ImageTagMutability: awsecr.TagMutability_IMMUTABLE,
		ImageScanOnPush:    jsii.Bool(true),
		Encryption:         awsecr.RepositoryEncryption_AES_256(),
		RemovalPolicy:      cdk.RemovalPolicy_RETAIN,
	}
	if p.key != nil {
		props.Encryption, props.EncryptionKey = awsecr.RepositoryEncryption_KMS(), p.key
	}
	return awsecr.NewRepository(p.stack, jsii.String("Images"), props)
}

// newBuild makes the build project: specfiles/build.yml on a machine with Docker, and the CLI to
// check and to plan with.
func (p *pipeline) newBuild(dist string) awscodebuild.PipelineProject {
	cli := awss3assets.NewAsset(p.stack, jsii.String("CLI"), &awss3assets.AssetProps{
		Path: jsii.String(cliOf(dist, p.service.Architecture)),
	})
	name := p.config.Name + "-" + p.service.Name
	logs := newLogGroup(p.stack, "BuildLogs", "/aws/codebuild/"+name, p.config, p.key)
	image := awscodebuild.LinuxBuildImage_AMAZON_LINUX_2023_5()
	if p.service.Architecture == "arm64" {
		image = awscodebuild.LinuxArmBuildImage_AMAZON_LINUX_2023_STANDARD_3_0()
	}
	role := p.newServiceRole("BuildRole", "build", "codebuild", []grant{
		p.useArtifacts(),
		{
			sid: "WriteLogs", actions: []string{"logs:CreateLogStream", "logs:PutLogEvents"},
			resources: []string{p.config.arn("logs", "log-group:/aws/codebuild/"+name+":log-stream:*")},
		},
		// A token for the registry is not bound to a repository.
		{sid: "LogInToRegistry", actions: []string{"ecr:GetAuthorizationToken"}, resources: []string{"*"}},
		{
			sid: "PushImages", resources: []string{*p.images.RepositoryArn()},
			actions: []string{
				"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload",
				"ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
			},
		},
		{
			sid: "ReadCLI", actions: []string{"s3:GetObject"},
			resources: []string{*cli.Bucket().ArnForObjects(cli.S3ObjectKey())},
		},
		p.useKey(),
	})
	project := awscodebuild.NewPipelineProject(p.stack, jsii.String("Build"), &awscodebuild.PipelineProjectProps{
		ProjectName: jsii.String(name),
		Description: jsii.String("Stepcanary: image and deploy.json of " + p.service.Name),
		BuildSpec:   awscodebuild.BuildSpec_FromSourceFilename(jsii.String(p.service.Folder + "/build.yml")),
		Role:        role.WithoutPolicyUpdates(nil),
		Environment: &awscodebuild.BuildEnvironment{
			BuildImage: image, ComputeType: awscodebuild.ComputeType_SMALL, Privileged: jsii.Bool(true),
		},
		EnvironmentVariables:        p.buildSettings(cli),
		GrantReportGroupPermissions: jsii.Bool(false),
		Timeout:                     cdk.Duration_Minutes(jsii.Number(30)),
		Logging:                     &awscodebuild.LoggingOptions{CloudWatch: &awscodebuild.CloudWatchLoggingOptions{LogGroup: logs}},
	})
	if p.key != nil {
		project.Node().DefaultChild().(awscodebuild.CfnProject).SetEncryptionKey(p.key.KeyArn())
	}
	project.Node().AddDependency(role)
	return project
}

// buildSettings is what build.yml can rely on.
func (p *pipeline) buildSettings(cli awss3assets.Asset) *map[string]*awscodebuild.BuildEnvironmentVariable {
	settings := map[string]*awscodebuild.BuildEnvironmentVariable{}
	for name, value := range map[string]*string{
		"IMAGE_REPOSITORY": p.images.RepositoryUri(),
		"SERVICE_FOLDER":   jsii.String(p.service.Folder),
		"STEPCANARY_CLI":   cli.S3ObjectUrl(),
	} {
		settings[name] = &awscodebuild.BuildEnvironmentVariable{Value: value}
	}
	return &settings
}
