package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stagesOf gives each stage of the one pipeline as NAME PROVIDER.
func stagesOf(t *testing.T, tm template) (pipeline map[string]any, stages []string, actions map[string]any) {
	t.Helper()
	ids := tm.ofType("AWS::CodePipeline::Pipeline")
	if len(ids) != 1 {
		t.Fatalf("pipelines %v", ids)
	}
	pipeline, actions = tm.Resources[ids[0]].Properties, map[string]any{}
	for _, s := range list(pipeline["Stages"]) {
		name := dig(s, "Name").(string)
		action := dig(s, "Actions", 0)
		stages = append(stages, name+" "+dig(action, "ActionTypeId", "Provider").(string))
		actions[name] = action
		if dig(action, "RoleArn") != nil {
			t.Errorf("%s: the action names a role, which the pipeline's would have to assume", name)
		}
	}
	return pipeline, stages, actions
}

func TestPipelines(t *testing.T) {
	all := synth(t, fullConfig(t), newDist(t, ""))
	for stack, want := range map[string][]string{
		"stepcanary-yelb-appserver": {"Source CodeCommit", "Build CodeBuild", "Rollout StepFunctions"},
		"stepcanary-web":            {"Source CodeStarSourceConnection", "Build CodeBuild", "Approve Manual", "Rollout StepFunctions"},
	} {
		pipeline, stages, actions := stagesOf(t, all[stack])
		if diff := cmp.Diff(want, stages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stack, diff)
		}
		if pipeline["PipelineType"] != "V2" || pipeline["ExecutionMode"] != "QUEUED" {
			t.Errorf("%s: %v %v", stack, pipeline["PipelineType"], pipeline["ExecutionMode"])
		}
		wantRollout := map[string]any{
			"StateMachineArn": "arn:aws:states:eu-west-1:111122223333:stateMachine:stepcanary",
			"Input":           "Deploy::deploy.json", "InputType": "FilePath",
			"ExecutionNamePrefix": strings.TrimPrefix(stack, "stepcanary-"),
		}
		if diff := cmp.Diff(any(wantRollout), dig(actions["Rollout"], "Configuration")); diff != "" {
			t.Errorf("%s: rollout (-want +got):\n%s", stack, diff)
		}
		for stage, action := range actions {
			for key, value := range dig(action, "Configuration").(map[string]any) {
				if n := len(plain(value)); n > 1000 {
					t.Errorf("%s: %s: %s has %d characters; CodePipeline takes 1000", stack, stage, key, n)
				}
			}
		}
	}
}

func TestACommitToCodeCommitStartsThePipeline(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary-yelb-appserver"]
	ids := tm.ofType("AWS::Events::Rule")
	if len(ids) != 1 {
		t.Fatalf("rules %v, want one", ids)
	}
	if got, want := text(dig(tm.Resources[ids[0]].Properties, "EventPattern", "detail")),
		`{"event":["referenceCreated","referenceUpdated"],"referenceName":["main"]}`; got != want {
		t.Errorf("detail %s, want %s", got, want)
	}
	if got, want := text(dig(tm.Resources[ids[0]].Properties, "EventPattern", "resources")),
		`["arn:aws:codecommit:eu-west-1:111122223333:yelb-appserver"]`; got != want {
		// CDK writes the ARN with references to partition, region and account.
		if !strings.Contains(got, ":yelb-appserver") {
			t.Errorf("resources %s, want %s", got, want)
		}
	}
}

// The longest execution name is prefix, hyphen and the action's id, which has 36 characters.
func TestAnExecutionNameFits(t *testing.T) {
	for service, want := range map[string]string{
		"web":                           "web",
		strings.Repeat("a", 43):         strings.Repeat("a", 43),
		strings.Repeat("a", 63):         strings.Repeat("a", 43),
		strings.Repeat("a", 42) + "-bc": strings.Repeat("a", 42),
	} {
		got := executionPrefix(service)
		if got != want || len(got)+1+36 > 80 {
			t.Errorf("executionPrefix(%q) = %q, want %q within 43 characters", service, got, want)
		}
	}
}

func TestArtifactsArePrivate(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		c := baseConfig()
		want := "AES256"
		if encrypted {
			c.EncryptionKey, want = "create", "aws:kms"
		}
		tm := synth(t, c, newDist(t, ""))["stepcanary-yelb-appserver"]
		id := tm.ofType("AWS::S3::Bucket")[0]
		p := tm.Resources[id].Properties
		if got := dig(p, "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm"); got != want {
			t.Errorf("encryption %v, want %s", got, want)
		}
		if got, want := text(p["PublicAccessBlockConfiguration"]),
			`{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`; got != want {
			t.Errorf("public access %s", got)
		}
		if got := dig(p, "LifecycleConfiguration", "Rules", 0, "ExpirationInDays"); got != 30.0 {
			t.Errorf("artifacts are kept %v days", got)
		}
		policy := text(tm.Resources[tm.ofType("AWS::S3::BucketPolicy")[0]].Properties)
		if !strings.Contains(policy, `"Condition":{"Bool":{"aws:SecureTransport":"false"}},"Effect":"Deny"`) {
			t.Errorf("plain HTTP is not denied: %s", policy)
		}
		pipeline, _, _ := stagesOf(t, tm)
		if hasKey := dig(pipeline, "ArtifactStore", "EncryptionKey") != nil; hasKey != encrypted {
			t.Errorf("the pipeline's artifacts have a key: %v, want %v", hasKey, encrypted)
		}
	}
}

func TestImagesNeverMove(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary-yelb-appserver"]
	id, p := tm.only(t, "AWS::ECR::Repository", "RepositoryName", "stepcanary/yelb-appserver")
	if p["ImageTagMutability"] != "IMMUTABLE" || dig(p, "ImageScanningConfiguration", "ScanOnPush") != true {
		t.Errorf("repository %v", p)
	}
	if tm.Resources[id].DeletionPolicy != "Retain" {
		t.Error("pods run these images: they must outlive the stack")
	}
}

func TestTheBuildKnowsItsServiceAndTheCLI(t *testing.T) {
	all := synth(t, fullConfig(t), newDist(t, ""))
	_, p := all["stepcanary-web"].only(t, "AWS::CodeBuild::Project", "Name", "stepcanary-web")
	if got := dig(p, "Source", "BuildSpec"); got != "deploy/specfiles/build.yml" {
		t.Errorf("build.yml is %v", got)
	}
	got := map[string]string{}
	for _, v := range list(dig(p, "Environment", "EnvironmentVariables")) {
		got[dig(v, "Name").(string)] = plain(dig(v, "Value"))
	}
	if got["SERVICE_FOLDER"] != "deploy/specfiles" || !strings.HasPrefix(got["STEPCANARY_CLI"], "s3://cdk-") || got["IMAGE_REPOSITORY"] == "" {
		t.Errorf("environment %v", got)
	}
	if got := dig(p, "Environment", "Type"); got != "ARM_CONTAINER" {
		t.Errorf("arm64 builds on %v", got)
	}
	_, p = all["stepcanary-yelb-appserver"].only(t, "AWS::CodeBuild::Project", "Name", "stepcanary-yelb-appserver")
	if got := dig(p, "Environment", "Type"); got != "LINUX_CONTAINER" {
		t.Errorf("amd64 builds on %v", got)
	}
}

// rightsOf gives what the role may do, by the statement's name.
func (tm template) rightsOf(role string) map[string]statement {
	out := map[string]statement{}
	for _, s := range tm.statements() {
		if strings.HasPrefix(s.role, role) {
			out[s.sid] = s
		}
	}
	return out
}

// A pipeline may start rollouts and its own build, and read its own source. Its build may push images of
// its own service and read the CLI: neither may touch another service's or a cluster.
func TestAPipelineMayReachItsOwnAlone(t *testing.T) {
	all := synth(t, fullConfig(t), newDist(t, ""))
	const here = ":eu-west-1:111122223333:"
	for stack, source := range map[string]statement{
		"stepcanary-yelb-appserver": {actions: []string{
			"codecommit:CancelUploadArchive", "codecommit:GetBranch", "codecommit:GetCommit",
			"codecommit:GetUploadArchiveStatus", "codecommit:UploadArchive",
		}, resources: []string{"arn:aws:codecommit" + here + "yelb-appserver"}},
		"stepcanary-web": {actions: []string{"codeconnections:UseConnection"},
			resources: []string{"arn:aws:codeconnections" + here + "connection/00000000-0000-4000-8000-000000000000"}},
	} {
		rights := all[stack].rightsOf("PipelineRole")
		for sid, want := range map[string]statement{
			"ReadSource": source,
			"Build": {actions: []string{"codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"},
				resources: []string{"arn:aws:codebuild" + here + "project/" + stack}},
			"StartRollout": {actions: []string{"states:DescribeStateMachine", "states:StartExecution"},
				resources: []string{"arn:aws:states" + here + "stateMachine:stepcanary"}},
			"FollowRollout": {actions: []string{"states:DescribeExecution"}, resources: []string{"arn:aws:states" + here + "execution:stepcanary:*"}},
		} {
			got := rights[sid]
			if diff := cmp.Diff([][]string{want.actions, want.resources}, [][]string{got.actions, got.resources}); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", stack, sid, diff)
			}
			delete(rights, sid)
		}
		for _, sid := range []string{"PassArtifacts", "FindArtifacts", "UseKey", "AskForApproval"} {
			delete(rights, sid)
		}
		build := all[stack].rightsOf("BuildRole")
		images := all[stack].ofType("AWS::ECR::Repository")[0]
		if diff := cmp.Diff([]string{"<" + images + ".Arn>"}, build["PushImages"].resources); diff != "" {
			t.Errorf("%s: images (-want +got):\n%s", stack, diff)
		}
		for _, sid := range []string{"PassArtifacts", "UseKey", "WriteLogs", "LogInToRegistry", "PushImages", "ReadCLI"} {
			delete(build, sid)
		}
		if len(rights) > 0 || len(build) > 0 {
			t.Errorf("%s: more is granted: %v %v", stack, rights, build)
		}
	}
}

// What a build writes is kept for the configured time, as everything else.
func TestTheBuildsLog(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary-web"]
	_, group := tm.only(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/codebuild/stepcanary-web")
	if group["RetentionInDays"] != 90.0 || group["KmsKeyId"] == nil {
		t.Errorf("log group %v", group)
	}
	_, project := tm.only(t, "AWS::CodeBuild::Project", "Name", "stepcanary-web")
	if dig(project, "LogsConfig", "CloudWatchLogs", "Status") != "ENABLED" || dig(project, "LogsConfig", "CloudWatchLogs", "GroupName") == nil {
		t.Errorf("logs %v", project["LogsConfig"])
	}
}
