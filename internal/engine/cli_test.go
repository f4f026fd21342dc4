package engine_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/witness"
)

// stock is the AWS CLI as everybody has it.
type stock struct {
	t         *testing.T
	path, url string
}

// run runs `aws stepfunctions ARGS` and gives what it prints, which has to hold want.
func (c stock) run(want string, args ...string) string {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), c.path, append([]string{"--endpoint-url", c.url, "--region", "us-east-1", "--output", "text", "stepfunctions"}, args...)...)
	cmd.Env = append(cmd.Environ(), "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		c.t.Errorf("aws %v = %v, %.2000s; want %q", args, err, out, want)
	}
	return strings.TrimSpace(string(out))
}

// start starts an execution with that input.
func (c stock) start(machine, name, input string) (execution string) {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "input.json")
	if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return c.run(":"+name, "start-execution", "--state-machine-arn", machine, "--name", name, "--input", "file://"+path, "--query", "executionArn")
}

// token is the key of the task that waits.
func (c stock) token(execution string) string {
	c.t.Helper()
	parameters := c.run(`"token":`, "get-execution-history", "--execution-arn", execution, "--reverse-order",
		"--query", "events[?type=='TaskScheduled'].taskScheduledEventDetails.parameters | [0]", "--max-items", "100", "--page-size", "7")
	var p struct {
		Payload struct{ Token string }
	}
	if err := json.NewDecoder(strings.NewReader(parameters)).Decode(&p); err != nil || p.Payload.Token == "" {
		c.t.Errorf("no token in %.2000s: %v", parameters, err)
	}
	return p.Payload.Token
}

// at has a person do something so long after time, which stands still, goes on.
func at(s *enginetest.Scene, after time.Duration, do func()) (done <-chan struct{}) {
	c := make(chan struct{})
	s.Clock.AfterFunc(after, func() {
		defer close(c)
		do()
	})
	return c
}

// TestStockCommandLine rolls out with nothing of ours but the engine: the state machine that it
// comes with, and another one that is made by hand of rollout.asl.json as it is shipped.
func TestStockCommandLine(t *testing.T) {
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0})
	cli := stock{t, witness.Program(t, "aws"), s.URL()}
	own := cli.run("stateMachine:stepcanary", "list-state-machines", "--query", "stateMachines[?name=='stepcanary'].stateMachineArn")
	made := cli.run("stateMachine:by-hand", "create-state-machine", "--name", "by-hand", "--role-arn", "arn:aws:iam::000000000000:role/r",
		"--definition", "file://../../statemachine/rollout.asl.json", "--query", "stateMachineArn")

	s.Clock.Begin()
	two := cli.start(made, "two", enginetest.Input(enginetest.Fields{"percentage_step": nil, "steps": []any{enginetest.Fields{"weight": 50, "approve": true}, 100}}))
	done := at(s, 10*time.Minute, func() {
		cli.run("RUNNING", "describe-execution", "--execution-arn", two, "--query", "status")
		cli.run("two", "list-executions", "--state-machine-arn", made, "--status-filter", "RUNNING")
		if served := s.World.Router.Served(enginetest.Route, s.Clock.Now()); served["checkout-2"] != 50 {
			t.Errorf("before it is approved, users are on %v; want half of them on checkout-2", served)
		}
		cli.run("", "send-task-success", "--task-token", cli.token(two), "--task-output", "{}")
	})
	settled(t, s, done)
	cli.run("SUCCEEDED", "describe-execution", "--execution-arn", two, "--query", "status")

	s.Clock.Begin()
	three := cli.start(own, "three", enginetest.Input(enginetest.Fields{"container_image": "podlet:3"}))
	settled(t, s, at(s, 100*time.Second, func() {
		cli.run("", "stop-execution", "--execution-arn", three, "--error", "Operator", "--cause", "odd")
	}))
	cli.run("ABORTED", "describe-execution", "--execution-arn", three, "--query", "status")
	if served := s.World.Router.Served(enginetest.Route, s.Clock.Now()); served["checkout-2"] != 100 {
		t.Errorf("after it was stopped, users are on %v; want checkout-2", served)
	}
}

// settled lets time go on until that is done and nothing runs any more.
func settled(t *testing.T, s *enginetest.Scene, done <-chan struct{}) {
	t.Helper()
	s.Clock.End()
	<-done
	if err := s.Clock.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}
