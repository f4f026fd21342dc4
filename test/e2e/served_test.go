package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// program builds the command once for all tests of a run. STEPCANARY_TEST_BINARY names one that
// is built already.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("STEPCANARY_TEST_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := os.MkdirTemp("", "stepcanary-e2e-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "stepcanary")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "../../cmd/stepcanary").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build stepcanary: %w: %s", err, out)
	}
	return path, nil
})

// built is the folder that program made.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// A served engine is `stepcanary serve` in a process of its own, with its state in a file.
type served struct {
	*testing.T
	program, state string
	args           []string // further ones
	cmd            *exec.Cmd
	url            string
	api            *sfn.Client
}

// newServed starts one with these arguments besides; its life ends with the test's.
func newServed(t *testing.T, args ...string) *served {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{T: t, program: path, args: args, state: filepath.Join(t.TempDir(), "state")}
	t.Cleanup(s.kill)
	s.start()
	return s
}

// start brings the engine up, on the state that the one before has left.
func (s *served) start() {
	s.Helper()
	log, err := os.OpenFile(s.state+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.Fatal(err)
	}
	defer log.Close() // the process has its own
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--state", s.state,
		"--kubeconfig", os.Getenv("STEPCANARY_TEST_KUBECONFIG"), "--context", "testbed",
		"--metrics", fmt.Sprintf(`{"provider":"prometheus","address":%q,"scrape_interval":"1s","allow_loopback":true}`, os.Getenv("STEPCANARY_TEST_PROMETHEUS_URL"))}, s.args...)
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, rest, ok := strings.Cut(line, "API on ")
	url, _, _ := strings.Cut(rest, " ")
	if err != nil || !ok {
		s.Fatalf("stepcanary serve said %q (%v)\n%s", line, err, s.log())
	}
	s.url = url
	s.api = sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

// kill is kill -9.
func (s *served) kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it says that it was killed
	s.cmd = nil
}

// log is what the engine has written, for a test that fails.
func (s *served) log() string {
	b, _ := os.ReadFile(s.state + ".log")
	return string(b)
}

// machine is the state machine's ARN.
func (s *served) machine() string {
	s.Helper()
	machines, err := s.api.ListStateMachines(s.Context(), &sfn.ListStateMachinesInput{})
	if err != nil || len(machines.StateMachines) != 1 {
		s.Fatalf("state machines %v (%v)", machines, err)
	}
	return aws.ToString(machines.StateMachines[0].StateMachineArn)
}

// begin starts the engine's first rollout of a service, under a name by which commands find it.
func (s *served) begin(service, input string) string {
	s.Helper()
	x, err := s.api.StartExecution(s.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(s.machine()), Name: aws.String(service + "-1"), Input: aws.String(input),
	})
	if err != nil {
		s.Fatal(err)
	}
	return aws.ToString(x.ExecutionArn)
}

// at waits until the execution is in the state for the n-th time or a later one, and fails where
// it ends before.
func (s *served) at(arn, state string, n int) {
	s.Helper()
	count, last := 0, int64(0)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		h, err := s.api.GetExecutionHistory(s.Context(), &sfn.GetExecutionHistoryInput{
			ExecutionArn: aws.String(arn), MaxResults: 20, ReverseOrder: true, IncludeExecutionData: aws.Bool(false),
		})
		if err != nil {
			s.Fatal(err)
		}
		now := ""
		for _, e := range slices.Backward(h.Events) {
			d := e.StateEnteredEventDetails
			if d == nil {
				continue
			}
			now = aws.ToString(d.Name)
			if e.Id > last && now == state {
				count++
			}
			last = max(last, e.Id)
		}
		if now == state && count >= n {
			return
		}
		if over[now] {
			break
		}
	}
	s.Fatalf("the rollout is not in %s for time %d: %v\n%s", state, n, s.entered(s.Context(), arn), s.log())
}

// over are the states that end a rollout.
var over = map[string]bool{"Promoted": true, "RolledBack": true, "Refused": true, "NeedsOperator": true}

// A visit is a state that was entered.
type visit struct {
	name string
	at   time.Time
}

// entered gives the states in the order in which they were entered.
func (s *served) entered(ctx context.Context, arn string) []visit {
	s.Helper()
	h, err := s.api.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(arn), MaxResults: 1000, IncludeExecutionData: aws.Bool(false),
	})
	if err != nil {
		s.Fatal(err)
	}
	var out []visit
	for _, e := range h.Events {
		if d := e.StateEnteredEventDetails; d != nil {
			out = append(out, visit{aws.ToString(d.Name), aws.ToTime(e.Timestamp)})
		}
	}
	return out
}

// during is the state in which the execution was at that time.
func (s *served) during(arn string, when time.Time) string {
	s.Helper()
	name := ""
	for _, v := range s.entered(s.Context(), arn) {
		if !v.at.After(when) {
			name = v.name
		}
	}
	return name
}

// end waits for the execution's end, for a minute and a half at most.
func (s *served) end(arn string) *sfn.DescribeExecutionOutput {
	s.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		d, err := s.api.DescribeExecution(s.Context(), &sfn.DescribeExecutionInput{ExecutionArn: aws.String(arn)})
		if err != nil {
			s.Fatal(err)
		}
		if d.Status != types.ExecutionStatusRunning {
			return d
		}
		if time.Now().After(deadline) {
			s.Fatalf("the rollout does not end: %v\n%s", s.entered(s.Context(), arn), s.log())
		}
	}
}

// resume is a person's approval of the state that waits.
func (s *served) resume(arn string) {
	s.Helper()
	h, err := s.api.GetExecutionHistory(s.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn), MaxResults: 1000})
	if err != nil {
		s.Fatal(err)
	}
	token := ""
	for _, e := range h.Events {
		if d := e.TaskScheduledEventDetails; d != nil {
			var p struct{ Payload struct{ Token string } }
			_ = json.Unmarshal([]byte(aws.ToString(d.Parameters)), &p)
			token = p.Payload.Token
		}
	}
	_, err = s.api.SendTaskFailure(s.Context(), &sfn.SendTaskFailureInput{
		TaskToken: aws.String(token), Error: aws.String("Canary.Asked"), Cause: aws.String(`{"id":"1","request":"resume","reason":"by a test"}`),
	})
	if err != nil {
		s.Fatal(err)
	}
}
