package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/statemachine"
)

// functionID gives the logical id of a function and that of its published version.
func functionID(t *testing.T, tm template, name string) (id, version string) {
	t.Helper()
	id, _ = tm.only(t, "AWS::Lambda::Function", "FunctionName", "stepcanary-"+name)
	for _, v := range tm.ofType("AWS::Lambda::Version") {
		if text(tm.Resources[v].Properties["FunctionName"]) == ref(id) {
			return id, v
		}
	}
	t.Fatalf("function %s has no published version", name)
	return "", ""
}

func TestTheStateMachineRunsTheEmbeddedDefinitionOnPublishedVersions(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	_, machine := tm.only(t, "AWS::StepFunctions::StateMachine", "StateMachineName", "stepcanary")
	if machine["DefinitionString"] != statemachine.Definition {
		t.Error("DefinitionString is not the embedded definition")
	}
	if machine["StateMachineType"] != "STANDARD" {
		t.Errorf("type %v: only a STANDARD one can wait for a day", machine["StateMachineType"])
	}
	substitutions := machine["DefinitionSubstitutions"].(map[string]any)
	if len(substitutions) != len(statemachine.Tasks) {
		t.Errorf("%d substitutions, want one for each of %d tasks", len(substitutions), len(statemachine.Tasks))
	}
	for _, task := range statemachine.Tasks {
		_, version := functionID(t, tm, statemachine.Function(task))
		if got := text(substitutions[task]); got != ref(version) {
			t.Errorf("%s is %s, want the published version %s", task, got, ref(version))
		}
	}
}

func TestTheDefinitionHasNoOtherTokens(t *testing.T) {
	rest := statemachine.With(func(string) string { return "" })
	if i := strings.Index(rest, "${"); i >= 0 {
		t.Errorf("a token that nothing replaces: %s", rest[i:min(len(rest), i+40)])
	}
}

func TestAnUpgradeLeavesTheOldVersionsAlone(t *testing.T) {
	before := synth(t, baseConfig(), newDist(t, "old"))["stepcanary"]
	after := synth(t, baseConfig(), newDist(t, "new"))["stepcanary"]
	for _, f := range functions {
		_, old := functionID(t, before, f.name)
		_, now := functionID(t, after, f.name)
		if old == now {
			t.Errorf("%s: new code is the same version %s", f.name, old)
		}
		if p := before.Resources[old].DeletionPolicy; p != "Retain" {
			t.Errorf("%s: an upgrade would delete the old version: DeletionPolicy %q", f.name, p)
		}
	}
	// A rollout under way goes on calling the old ones, so the state machine must be allowed to.
	for _, f := range statemachine.Tasks {
		want := "arn:aws:lambda:eu-west-1:111122223333:function:stepcanary-" + statemachine.Function(f) + ":*"
		if !slices.ContainsFunc(after.statements(), func(s statement) bool {
			return s.sid == "CallFunctions" && slices.Contains(s.resources, want)
		}) {
			t.Errorf("the state machine may not call all versions of %s", f)
		}
	}
}

func TestFunctions(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	roles := map[string]string{}
	for _, f := range functions {
		id, _ := functionID(t, tm, f.name)
		p := tm.Resources[id].Properties
		if p["Runtime"] != "provided.al2023" || text(p["Architectures"]) != `["arm64"]` || p["Handler"] != "bootstrap" {
			t.Errorf("%s: %v %v %v", f.name, p["Runtime"], p["Architectures"], p["Handler"])
		}
		if dig(p, "TracingConfig", "Mode") != "Active" {
			t.Errorf("%s: no X-Ray", f.name)
		}
		group := tm.Resources[strings.Trim(plain(dig(p, "LoggingConfig", "LogGroup")), "<>")]
		if group.Type != "AWS::Logs::LogGroup" || group.Properties["RetentionInDays"] != 30.0 ||
			group.Properties["LogGroupName"] != "/aws/lambda/stepcanary-"+f.name {
			t.Errorf("%s: log group %v", f.name, group)
		}
		role := text(p["Role"])
		if other, taken := roles[role]; taken {
			t.Errorf("%s shares its role with %s", f.name, other)
		}
		roles[role] = f.name
	}
	if got := len(tm.ofType("AWS::Lambda::Function")); got != len(functions) {
		t.Errorf("%d functions, want %d: a hidden one came with a construct", got, len(functions))
	}
}

// A function that may run longer than its state waits would act after the state machine has gone on.
func TestNoFunctionOutlivesItsState(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	waits := stateTimeouts()
	for _, f := range functions {
		id, _ := functionID(t, tm, f.name)
		got := tm.Resources[id].Properties["Timeout"].(float64)
		if wait, isTask := waits[f.name]; isTask && wait != 0 && got > wait {
			t.Errorf("%s runs up to %v s, its state waits %v s", f.name, got, wait)
		}
		if got <= 3 || got > 900 {
			t.Errorf("%s: %v s; Lambda allows 900, and 3 are its default", f.name, got)
		}
	}
	for task := range waits {
		if !slices.ContainsFunc(functions, func(f function) bool { return f.name == task }) {
			t.Errorf("the state behind %s has no function", task)
		}
	}
}

func TestTheExecutionLogHoldsErrorsWithoutPayload(t *testing.T) {
	tm := synth(t, baseConfig(), newDist(t, ""))["stepcanary"]
	_, machine := tm.only(t, "AWS::StepFunctions::StateMachine", "StateMachineName", "stepcanary")
	if got := dig(machine, "LoggingConfiguration", "Level"); got != "ERROR" {
		t.Errorf("level %v", got)
	}
	if got := dig(machine, "LoggingConfiguration", "IncludeExecutionData"); got != false {
		t.Errorf("IncludeExecutionData %v: deploy.json would stand in the log", got)
	}
	if dig(machine, "TracingConfiguration", "Enabled") != true {
		t.Error("no X-Ray")
	}
}

func TestAccessEntries(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	got := map[string][]string{}
	for _, id := range tm.ofType("AWS::EKS::AccessEntry") {
		p := tm.Resources[id].Properties
		if text(p["KubernetesGroups"]) != `["stepcanary"]` {
			t.Errorf("%s: groups %v", id, p["KubernetesGroups"])
		}
		if p["AccessPolicies"] != nil {
			t.Errorf("%s: a policy of EKS, which is wider than a rollout needs: %v", id, p["AccessPolicies"])
		}
		cluster := p["ClusterName"].(string)
		got[cluster] = append(got[cluster], plain(p["PrincipalArn"]))
	}
	var want []string
	for _, f := range functions {
		if !f.cluster {
			continue
		}
		id, _ := tm.only(t, "AWS::IAM::Role", "RoleName", "stepcanary-eu-west-1-"+f.name)
		want = append(want, "<"+id+".Arn>")
	}
	for cluster := range got {
		slices.Sort(got[cluster])
	}
	slices.Sort(want)
	if diff := cmp.Diff(map[string][]string{"demo": want, "second": want}, got); diff != "" {
		t.Errorf("access entries by cluster (-want +got):\n%s", diff)
	}
	for name, tm := range synth(t, fullConfig(t), newDist(t, "")) {
		if strings.Contains(text(tm.Resources), "system:masters") {
			t.Errorf("%s: system:masters", name)
		}
	}
}

func TestOptions(t *testing.T) {
	full := synth(t, fullConfig(t), newDist(t, ""))
	for name, tm := range full {
		for _, id := range tm.ofType("AWS::IAM::Role") {
			if got := tm.Resources[id].Properties["PermissionsBoundary"]; got != "arn:aws:iam::111122223333:policy/boundary" {
				t.Errorf("%s: role %s has the boundary %v", name, id, got)
			}
		}
		for _, id := range tm.ofType("AWS::Logs::LogGroup") {
			p := tm.Resources[id].Properties
			if p["KmsKeyId"] == nil || p["RetentionInDays"] != 90.0 {
				t.Errorf("%s: log group %s: key %v, %v days", name, id, p["KmsKeyId"], p["RetentionInDays"])
			}
		}
		for _, id := range tm.ofType("AWS::KMS::Key") {
			if tm.Resources[id].Properties["EnableKeyRotation"] != true || tm.Resources[id].DeletionPolicy != "Retain" {
				t.Errorf("%s: key %s: %v", name, id, tm.Resources[id])
			}
		}
	}
	engine := full["stepcanary"]
	for _, id := range engine.ofType("AWS::Lambda::Function") {
		got := engine.Resources[id].Properties["VpcConfig"]
		if want := `{"SecurityGroupIds":["sg-0a1b2c3d"],"SubnetIds":["subnet-0a1b2c3d"]}`; text(got) != want {
			t.Errorf("%s: network %s, want %s", id, text(got), want)
		}
	}
	for kind, property := range map[string]string{"AWS::SNS::Topic": "KmsMasterKeyId", "AWS::SQS::Queue": "KmsMasterKeyId"} {
		for _, id := range engine.ofType(kind) {
			if engine.Resources[id].Properties[property] == nil {
				t.Errorf("%s: no key", id)
			}
		}
	}
}

func TestSettingsReachTheFunctions(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	for _, f := range functions {
		id, _ := functionID(t, tm, f.name)
		want := map[string]any{}
		if f.cluster {
			want["STEPCANARY_METRICS"] = `{"provider":"prometheus","address":"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1"}`
		} else {
			want["STEPCANARY_STATE_MACHINE"] = "arn:aws:states:eu-west-1:111122223333:stateMachine:stepcanary"
		}
		if slices.Contains([]string{"prepare", "await-ready", "health-check", "promote", "rollback"}, f.name) {
			want["STEPCANARY_HOOKS"] = `{"allow_private":true}`
		}
		if diff := cmp.Diff(any(want), dig(tm.Resources[id].Properties, "Environment", "Variables")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", f.name, diff)
		}
	}
}

func TestTheSameInputGivesTheSameTemplates(t *testing.T) {
	dist := newDist(t, "")
	first, second := t.TempDir(), t.TempDir()
	for _, out := range []string{first, second} {
		newApp(fullConfig(t), dist, out).Synth(nil)
	}
	files, err := filepath.Glob(filepath.Join(first, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, f := range files {
		if strings.HasSuffix(f, ".zip") {
			continue
		}
		a, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(second, filepath.Base(f)))
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Errorf("%s differs:\n%s", filepath.Base(f), cmp.Diff(string(a), string(b)))
		}
	}
}

// A key of our own may be used by the services that store or pass on our data, for this account alone.
func TestTheKeysPolicy(t *testing.T) {
	tm := synth(t, fullConfig(t), newDist(t, ""))["stepcanary"]
	key := tm.Resources[tm.ofType("AWS::KMS::Key")[0]].Properties
	var services []string
	for _, s := range list(dig(key, "KeyPolicy", "Statement")) {
		names := texts(dig(s, "Principal", "Service"))
		if len(names) > 0 && text(dig(s, "Condition", "StringEqualsIfExists")) != `{"aws:SourceAccount":"111122223333"}` {
			t.Errorf("%v may use it without the account as a condition: %v", names, s)
		}
		services = append(services, names...)
		if who := plain(dig(s, "Principal", "AWS")); who == "*" {
			t.Errorf("anybody may use it: %v", s)
		}
	}
	slices.Sort(services)
	if diff := cmp.Diff([]string{
		"cloudwatch.amazonaws.com", "events.amazonaws.com", "logs.eu-west-1.amazonaws.com", "sns.amazonaws.com", "sqs.amazonaws.com",
	}, services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}
