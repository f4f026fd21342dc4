package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeAWS stands in for the AWS CLI: it writes down its arguments and answers from the environment.
const fakeAWS = `#!/bin/sh
echo "$*" >>"$CALLS"
case "$*" in
*get-caller-identity*Account*) echo "${FAKE_ACCOUNT-111122223333}" ;;
*get-caller-identity*) echo arn:aws:iam::111122223333:user/somebody ;;
*list-executions*)
	[ -z "${FAKE_FAILURE-}" ] || { echo "$FAKE_FAILURE" >&2; exit 254; }
	echo "${FAKE_RUNNING-}" ;;
esac
`

// script runs one of scripts/ with the stand-in, and gives what it printed and what it called.
func script(t *testing.T, env []string, name string, args ...string) (output string, calls []string, code int) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "aws"), []byte(fakeAWS), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(bin, "calls")
	cmd := exec.Command(filepath.Join("..", "scripts", name), args...)
	cmd.Env = append(os.Environ(), "CALLS="+log, "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.Env = append(cmd.Env, env...)
	config, err := filepath.Abs("testdata/full.json")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "STEPCANARY_CONFIG="+config)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); fields[0] == "cloudformation" {
			calls = append(calls, fields[1]+" "+fields[len(fields)-1])
		}
	}
	return string(out), calls, cmd.ProcessState.ExitCode()
}

func TestTeardown(t *testing.T) {
	all := []string{
		"delete-stack stepcanary-yelb-appserver", "stack-delete-complete stepcanary-yelb-appserver",
		"delete-stack stepcanary-web", "stack-delete-complete stepcanary-web",
		"delete-stack stepcanary", "stack-delete-complete stepcanary",
	}
	for i, c := range all {
		all[i] = strings.Replace(c, "stack-delete-complete", "wait", 1)
	}
	for name, tt := range map[string]struct {
		env, args []string
		calls     []string
		code      int
		says      string
	}{
		"everything, pipelines first":                {nil, []string{"--all"}, all, 0, "Kept: ECR repositories stepcanary/*"},
		"one pipeline":                               {nil, []string{"stepcanary-web"}, all[2:4], 0, "delete stepcanary-web"},
		"not while a rollout runs":                   {[]string{"FAKE_RUNNING=web-1"}, []string{"--all"}, nil, 1, "rollouts are running: web-1"},
		"not when nobody can tell":                   {[]string{"FAKE_FAILURE=Unable to locate credentials"}, []string{"stepcanary"}, nil, 1, "Unable to locate credentials"},
		"a second time, when the engine is gone":     {[]string{"FAKE_FAILURE=StateMachineDoesNotExist"}, []string{"--all"}, all, 0, "delete stepcanary"},
		"without an argument it says how it is used": {nil, nil, nil, 2, "scripts/teardown --all"},
	} {
		t.Run(name, func(t *testing.T) {
			out, calls, code := script(t, tt.env, "teardown", tt.args...)
			if code != tt.code || !strings.Contains(out, tt.says) {
				t.Errorf("exit status %d, want %d; output, want %q:\n%s", code, tt.code, tt.says, out)
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Errorf("stacks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeployRefusesTheWrongAccount(t *testing.T) {
	if _, err := os.Stat("../ci/node_modules/.bin/cdk"); err != nil {
		out, _, code := script(t, nil, "deploy")
		if code != 1 || !strings.Contains(out, "npm ci --prefix ci") {
			t.Errorf("exit status %d without the tools:\n%s", code, out)
		}
		return
	}
	out, calls, code := script(t, []string{"FAKE_ACCOUNT=999999999999"}, "deploy")
	if code != 1 || !strings.Contains(out, "is for account 111122223333, and these credentials are for 999999999999") || len(calls) > 0 {
		t.Errorf("exit status %d, calls %v:\n%s", code, calls, out)
	}
}
