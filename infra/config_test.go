package main

import (
	"strings"
	"testing"
)

func TestParseConfigRefuses(t *testing.T) {
	const good = `"account": "111122223333", "region": "eu-west-1", "clusters": [{"name": "demo"}]`
	for name, tt := range map[string]struct{ text, want string }{
		"a misspelt field, with its line": {"{\n" + good + ",\n\"servces\": []}", `line 3: json: unknown field "servces"`},
		"a broken document":               {"{\n" + good + ",\n}", "line 3: invalid character"},
		"a value of another type":         {"{" + good + `, "log_days": "30"}`, "line 1: json: cannot unmarshal string"},
		"text behind the object":          {"{" + good + "}\n{}", "line 2: found more after the object"},
		"no account": {
			`{"region": "eu-west-1", "clusters": [{"name": "demo"}]}`, `account: found "", expected an account's 12 digits`,
		},
		"no cluster":             {`{"account": "111122223333", "region": "eu-west-1"}`, "clusters: found none, expected at least one"},
		"a cluster twice":        {`{"account": "111122223333", "region": "eu-west-1", "clusters": [{"name": "a"}, {"name": "a"}]}`, `clusters[1].name: found "a" twice`},
		"a service twice":        {"{" + good + `, "services": [{"name": "a", "repository": "a"}, {"name": "a", "repository": "b"}]}`, `services[1].name: found "a" twice`},
		"a service's wrong name": {"{" + good + `, "services": [{"name": "Web", "repository": "web"}]}`, `services[0].name: found "Web"`},
		"a repository without owner, but a connection": {
			"{" + good + `, "services": [{"name": "a", "repository": "a", "connection": "arn:aws:codeconnections:eu-west-1:111122223333:connection/1"}]}`,
			`services[0].repository: found "a", expected OWNER/NAME`,
		},
		"a connection of another region": {
			"{" + good + `, "services": [{"name": "a", "repository": "o/a", "connection": "arn:aws:codeconnections:us-east-1:111122223333:connection/1"}]}`,
			"services[0].connection: found",
		},
		"a folder outside of the repository": {
			"{" + good + `, "services": [{"name": "a", "repository": "a", "folder": "../x"}]}`, `services[0].folder: found "../x"`,
		},
		"an architecture that nobody builds": {
			"{" + good + `, "services": [{"name": "a", "repository": "a", "architecture": "riscv"}]}`, `found "riscv", expected amd64 or arm64`,
		},
		"a secret with a wildcard": {
			"{" + good + `, "secrets": ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:*"]}`, "secrets[0]: found",
		},
		"a hook's secret with a wildcard": {
			"{" + good + `, "hook_secrets": ["arn:aws:secretsmanager:eu-west-1:111122223333:secret:*"]}`, "hook_secrets[0]: found",
		},
		"hooks to this machine, where nobody is": {"{" + good + `, "hooks": {"allow_loopback": true}}`, "hooks: found"},
		"a metrics role with a wildcard": {
			"{" + good + `, "metric_roles": ["arn:aws:iam::444455556666:role/*"]}`, "metric_roles[0]: found",
		},
		"a workspace of another account": {
			"{" + good + `, "workspaces": ["arn:aws:aps:eu-west-1:999999999999:workspace/ws-1"]}`, "workspaces[0]: found",
		},
		"a network without a security group": {
			"{" + good + `, "network": {"subnets": ["subnet-0a1b2c3d"]}}`, "network: found 1 subnets and 0 security_groups",
		},
		"a retention that CloudWatch does not know": {"{" + good + `, "log_days": 42}`, "log_days: found 42"},
		"metrics that are no object":                {"{" + good + `, "metrics": "prometheus"}`, "metrics: found"},
		"a boundary that is no policy":              {"{" + good + `, "permissions_boundary": "boundary"}`, "permissions_boundary: found"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfig([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseConfig(%s) = %v, want %q", tt.text, err, tt.want)
			}
		})
	}
}

func TestParseConfigTellsAllProblemsAtOnce(t *testing.T) {
	_, err := parseConfig([]byte(`{"account": "1", "region": "x", "clusters": [{"name": ""}]}`))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want three lines: account, region and clusters[0].name", err)
	}
}

func TestParseConfigCompletes(t *testing.T) {
	c, err := parseConfig([]byte(`{"account": "111122223333", "region": "eu-west-1", "clusters": [{"name": "demo"}],
		"services": [{"name": "web", "repository": "web"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := c.Services[0]
	if c.Name != "stepcanary" || c.LogDays != 30 || s.Branch != "main" || s.Folder != "specfiles" || s.Architecture != "amd64" {
		t.Errorf("defaults: %+v", c)
	}
	if !c.Clusters[0].Entered() {
		t.Error("a cluster gets access entries unless it says otherwise")
	}
}

func TestTheExampleIsGood(t *testing.T) {
	if _, err := ReadConfig("stepcanary.json"); err != nil {
		t.Error(err)
	}
}

func TestARNsFollowThePartition(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":     "arn:aws:states:eu-west-1:111122223333:stateMachine:x",
		"cn-north-1":    "arn:aws-cn:states:cn-north-1:111122223333:stateMachine:x",
		"us-gov-west-1": "arn:aws-us-gov:states:us-gov-west-1:111122223333:stateMachine:x",
	} {
		c := Config{Name: "x", Account: "111122223333", Region: region}
		if got := c.stateMachine(); got != want {
			t.Errorf("in %s: %s, want %s", region, got, want)
		}
	}
}

func TestCheckAssetsNamesWhatIsMissing(t *testing.T) {
	c := baseConfig()
	if err := checkAssets(c, newDist(t, "")); err != nil {
		t.Errorf("all there: %v", err)
	}
	err := checkAssets(c, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "health-check.zip: not there; scripts/package makes it") ||
		!strings.Contains(err.Error(), "stepcanary-linux-amd64.zip") || strings.Contains(err.Error(), "arm64") {
		t.Errorf("nothing there: %v", err)
	}
}
