package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
)

// childEnv makes the test binary play an engine's process, on this file.
const childEnv = "LOCAL_TEST_STATE_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := child(path, os.Stdin, os.Stdout); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const killed = `{"StartAt":"Shift","States":{
	"Shift":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"shift"},"ResultPath":"$.shift","Next":"Hold"},
	"Hold":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"hold","Payload":{"token.$":"$$.Task.Token"}},"ResultPath":"$.hold","Next":"Fail"},
	"Fail":{"Type":"Fail","Error":"Canary.Bad"}}}`

// child is an engine whose functions say on out that they were called, and
// take what they do from in: "block", "return", or a token's answer.
func child(path string, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	read := func() string {
		if !lines.Scan() {
			select {} // the test has nothing more to say: it kills
		}
		return lines.Text()
	}
	function := func(name string) local.Handler {
		return func(_ context.Context, input json.RawMessage) (json.RawMessage, error) {
			fmt.Fprintln(out, name, string(input))
			if read() == "block" {
				select {}
			}
			return json.RawMessage(`{"ok":true}`), nil
		}
	}
	store, err := local.OpenBolt(path)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	e, err := local.New(local.Options{
		Store:    store,
		Handlers: map[string]local.Handler{"shift": function("shift"), "hold": function("hold")},
		OnEnd: func(_ context.Context, c local.ExecutionStatusChange) error {
			fmt.Fprintln(out, "ended", c.Status, *c.Error)
			if read() == "block" {
				select {}
			}
			close(ended)
			return nil
		},
	})
	if err != nil {
		return err
	}
	m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: killed})
	if err != nil {
		return err
	}
	const arn = "arn:aws:states:us-east-1:000000000000:execution:m:x"
	_, _, err = e.Start(local.StartInput{MachineARN: m.ARN, Name: "x", Input: `{"a":1}`})
	var f *local.Fault
	if err != nil && !errors.As(err, &f) { // after its end it exists already
		return err
	}
	if token := os.Getenv("LOCAL_TEST_TOKEN"); token != "" {
		if err := e.SendTaskSuccess(token, `"go"`); err != nil {
			return err
		}
	}
	<-ended
	events, err := e.History(arn, 0, 100, false, false)
	for _, ev := range events {
		fmt.Fprintln(out, "event", ev.ID, ev.Previous, ev.Type)
	}
	return errors.Join(err, e.Close())
}

// process is one life of the engine.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
}

func startProcess(t *testing.T, path string, env ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), childEnv+"="+path), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{t, cmd, in, bufio.NewScanner(out)}
}

// expect reads a line that begins as wanted.
func (p *process) expect(want string) string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("the engine said nothing more; want %q", want)
	}
	line := p.lines.Text()
	if !strings.HasPrefix(line, want) {
		p.t.Fatalf("the engine said %q; want %q", line, want)
	}
	return line
}

func (p *process) tell(line string) { fmt.Fprintln(p.in, line) }

func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // it says that it was killed
}

// TestExecutionSurvivesKill kills the engine while a function runs, while a
// token is awaited and while the end is being told.
func TestExecutionSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")

	p := startProcess(t, path)
	p.expect("shift")
	p.tell("block")
	p.kill()

	p = startProcess(t, path)
	p.expect("shift") // again: nobody knows whether it has worked
	p.tell("return")
	line := p.expect("hold")
	var payload struct{ Token string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "hold ")), &payload); err != nil || payload.Token == "" {
		t.Fatalf("%q holds no token: %v", line, err)
	}
	p.tell("block")
	p.kill()

	p = startProcess(t, path, "LOCAL_TEST_TOKEN="+payload.Token)
	// The function is called again with the same token, beside the answer.
	for told := false; !told; {
		switch line := p.expect(""); {
		case strings.HasPrefix(line, "hold ") && strings.Contains(line, payload.Token):
			p.tell("block") // for whoever reads it first
		case line == "ended FAILED Canary.Bad":
			told = true
		default:
			t.Fatalf("the engine said %q", line)
		}
	}
	p.kill()

	p = startProcess(t, path)
	p.expect("ended FAILED Canary.Bad") // again: nobody knows whether it was heard
	p.tell("return")
	var history []string
	for p.lines.Scan() {
		history = append(history, p.lines.Text())
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("the last engine: %v", err)
	}
	want := []string{
		"event 1 0 ExecutionStarted", "event 2 0 TaskStateEntered", "event 3 2 TaskScheduled", "event 4 3 TaskStarted", "event 5 4 TaskSucceeded", "event 6 5 TaskStateExited",
		"event 7 6 TaskStateEntered", "event 8 7 TaskScheduled", "event 9 8 TaskStarted", "event 10 9 TaskSucceeded", "event 11 10 TaskStateExited",
		"event 12 11 FailStateEntered", "event 13 12 ExecutionFailed",
	}
	if diff := cmp.Diff(want, history); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// TestWaitGoesOnAfterRestart closes an engine in the middle of waits, and opens
// the next one later.
func TestWaitGoesOnAfterRestart(t *testing.T) {
	for name, tt := range map[string]struct {
		states string
		away   time.Duration
		ends   time.Duration
		status asl.Status
		output string
		calls  int
	}{
		"a wait goes on":                 {`"A":{"Type":"Wait","Seconds":3600,"End":true}`, 10 * time.Minute, time.Hour, asl.Succeeded, `{}`, 0},
		"a wait is over":                 {`"A":{"Type":"Wait","Seconds":3600,"End":true}`, 3 * time.Hour, 3 * time.Hour, asl.Succeeded, `{}`, 0},
		"a token times out":              {`"A":{` + strings.Replace(hold, `"TimeoutSecondsPath":"$.hold"`, `"TimeoutSeconds":3600`, 1) + `,"End":true}`, 10 * time.Minute, time.Hour, asl.Failed, ``, 1},
		"a retry comes when it is due":   {`"A":{` + strings.Replace(invoke, `"f"`, `"flaky"`, 1) + `,"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":3600}],"OutputPath":"$.Payload","End":true}`, 10 * time.Minute, time.Hour, asl.Succeeded, `"ok"`, 2},
		"a call under way is made again": {`"A":{` + strings.Replace(invoke, `"f"`, `"slow"`, 1) + `,"OutputPath":"$.Payload","End":true}`, 10 * time.Minute, 15 * time.Minute, asl.Succeeded, `"slow"`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state")
			calls := 0
			var clk *clock.Virtual
			handlers := map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
				calls++
				return json.RawMessage(`"sent"`), nil
			}, "slow": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
				calls++
				return json.RawMessage(`"slow"`), clk.Sleep(ctx, 5*time.Minute)
			}, "flaky": func(context.Context, json.RawMessage) (json.RawMessage, error) {
				if calls++; calls == 1 {
					return nil, errors.New("boom")
				}
				return json.RawMessage(`"ok"`), nil
			}}
			open := func(v *clock.Virtual) *bench {
				clk = v
				store, err := local.OpenBolt(path)
				if err != nil {
					t.Fatal(err)
				}
				e, err := local.New(local.Options{Clock: v, Store: store, Handlers: handlers})
				if err != nil {
					t.Fatal(err)
				}
				return &bench{Engine: e, t: t, clock: v}
			}
			first := clock.NewVirtual(start)
			b := open(first)
			// A timer of ours closes the engine before the clock goes further.
			closed := make(chan struct{})
			first.Begin()
			x := b.begin(b.machine("m", tt.states), `{}`)
			first.AfterFunc(time.Minute, func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
				close(closed)
			})
			first.End()
			<-closed

			b = open(clock.NewVirtual(start.Add(tt.away)))
			d := b.finish(x)
			if d.Status != tt.status || d.Output != tt.output || d.Stopped.Sub(start) != tt.ends {
				t.Errorf("ended %s with %s after %v; want %s with %s after %v", d.Status, d.Output, d.Stopped.Sub(start), tt.status, tt.output, tt.ends)
			}
			if calls != tt.calls {
				t.Errorf("%d calls; want %d", calls, tt.calls)
			}
			if err := b.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		})
	}
}

// TestEndIsToldUntilItIsHeard has OnEnd fail twice.
func TestEndIsToldUntilItIsHeard(t *testing.T) {
	var told []string
	var b *bench
	b = newBench(t, local.Options{OnEnd: func(_ context.Context, c local.ExecutionStatusChange) error {
		told = append(told, fmt.Sprintf("%v %s %s", b.clock.Now().Sub(start), c.Name, c.Status))
		if len(told) < 3 {
			return errors.New("not now")
		}
		return nil
	}})
	m := b.machine("m", `"A":{"Type":"Choice","Choices":[{"Variable":"$.ok","BooleanEquals":true,"Next":"B"}],"Default":"C"},"B":{"Type":"Succeed"},"C":{"Type":"Fail"}`)
	for name, input := range map[string]string{"good": `{"ok":true}`, "bad": `{"ok":false}`} {
		if _, _, err := b.Start(local.StartInput{MachineARN: m, Name: name, Input: input}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0s bad FAILED", "1s bad FAILED", "3s bad FAILED"}, told); diff != "" {
		t.Errorf("OnEnd was told (-want +got):\n%s", diff)
	}
}

// TestEndIsNotToldAgainOnceItWasHeard opens a second engine on the same store.
func TestEndIsNotToldAgainOnceItWasHeard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	told := 0
	for life := range 2 {
		store, err := local.OpenBolt(path)
		if err != nil {
			t.Fatal(err)
		}
		v := clock.NewVirtual(start)
		e, err := local.New(local.Options{Clock: v, Store: store, OnEnd: func(context.Context, local.ExecutionStatusChange) error {
			told++
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{Engine: e, t: t, clock: v}
		if _, _, err := b.Start(local.StartInput{MachineARN: b.machine("m", `"A":{"Type":"Fail"}`), Name: "x"}); life == 0 && err != nil {
			t.Fatal(err)
		}
		if err := b.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if told != 1 {
		t.Errorf("OnEnd was told %d times; want once", told)
	}
}

// TestRedriveWhileTheEndIsBeingTold has two ends, of which each is told.
func TestRedriveWhileTheEndIsBeingTold(t *testing.T) {
	var told []string
	var b *bench
	b = newBench(t, local.Options{OnEnd: func(_ context.Context, c local.ExecutionStatusChange) error {
		told = append(told, c.Name)
		if len(told) > 1 {
			return nil
		}
		if _, err := b.Redrive(c.ExecutionArn, ""); err != nil {
			t.Errorf("Redrive() = %v", err)
		}
		return errors.New("not heard")
	}})
	x := b.begin(b.machine("m", `"A":{"Type":"Fail"}`), `{}`)
	if d := b.finish(x); d.Status != asl.Failed || d.Redrives != 1 {
		t.Errorf("ended %s after %d redrives; want FAILED after 1", d.Status, d.Redrives)
	}
	if len(told) < 2 {
		t.Errorf("OnEnd was told %d times; want the second end told too", len(told))
	}
}

// TestWaitAfterRedrive waits for the second end.
func TestWaitAfterRedrive(t *testing.T) {
	fail := true
	b := newBench(t, local.Options{Handlers: map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
		if fail {
			return nil, errors.New("boom")
		}
		return json.RawMessage("1"), nil
	}}})
	x := b.begin(b.machine("m", `"A":{`+invoke+`,"OutputPath":"$.Payload","End":true}`), `{}`)
	if d := b.finish(x); d.Status != asl.Failed || d.NotRedrivable != "" {
		t.Fatalf("ended %s, not redrivable: %q", d.Status, d.NotRedrivable)
	}
	fail = false
	if _, err := b.Redrive(x, "once"); err != nil {
		t.Fatal(err)
	}
	if err := b.Wait(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	first, err := b.Describe(x)
	if err != nil || first.Status != asl.Succeeded || first.Output != "1" || first.Redrives != 1 {
		t.Errorf("Describe() = %+v, %v; want SUCCEEDED", first, err)
	}
	if _, err := b.Redrive(x, "once"); err != nil {
		t.Errorf("the same redrive again = %v; want nothing done", err)
	}
	var f *local.Fault
	if _, err := b.Redrive(x, ""); !errors.As(err, &f) || f.Kind != local.ExecutionNotRedrivable {
		t.Errorf("redrive after success = %v; want ExecutionNotRedrivable", err)
	}
}
