package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/step"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// TestMain keeps the machine's own AWS settings and the steps' log out of the tests, and fails where a goroutine is left.
func TestMain(m *testing.M) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "STEPCANARY_") {
			os.Unsetenv(name)
		}
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		os.Setenv(name, os.DevNull)
	}
	os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

// TestScripts runs testdata/*.txtar, which show the command as people use it. Time is
// virtual and moves only where a script or the command under test waits.
//
// Commands beside testscript's own:
//
//	world                        a simulated service "checkout" with the engine, and its endpoint
//	users RPS VERSION=RATE...    so many requests a second meet these shares of errors
//	behave VERSION WHAT          never-ready or pull-fails
//	pass DURATION                time passes
//	[!] stepcanary ARGS...       the command; "!" where it ends with an error
//	interrupted N ARGS...        the command, with Ctrl-C when it waits for the N-th time
//	rename GLOB NAME             the one file of that form gets that name
//	change FILE REGEXP TEXT      every match becomes the text
//	code N                       the last command's exit code
func TestScripts(t *testing.T) {
	testscript.RunT(serial{t}, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &stage{t: env.T().(serial).T, clock: clock.NewVirtual(enginetest.Start)}
			s.hold()
			env.Values[stageKey{}] = s
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"world":       func(ts *testscript.TestScript, _ bool, _ []string) { at(ts).world(ts) },
			"users":       func(ts *testscript.TestScript, _ bool, args []string) { at(ts).users(ts, args) },
			"behave":      func(ts *testscript.TestScript, _ bool, args []string) { at(ts).behave(ts, args) },
			"pass":        func(ts *testscript.TestScript, _ bool, args []string) { at(ts).pass(ts, args) },
			"stepcanary":  func(ts *testscript.TestScript, neg bool, args []string) { at(ts).run(ts, neg, 0, args) },
			"interrupted": interrupted,
			"code":        code,
			"rename":      rename,
			"change":      change,
		},
	})
}

// serial runs the scripts one after the other: the command under test has this
// process's working directory.
type serial struct{ *testing.T }

func (serial) Parallel() {}

func (s serial) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(serial{t}) })
}

func (serial) Verbose() bool { return testing.Verbose() }

type stageKey struct{}

// A stage is what a script plays on.
type stage struct {
	t     *testing.T
	clock *clock.Virtual
	scene *enginetest.Scene
	last  int
}

func at(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// hold keeps the time from moving while the script does something.
func (s *stage) hold() {
	held := s.clock
	held.Begin()
	s.t.Cleanup(held.End)
}

func (s *stage) world(ts *testscript.TestScript) {
	s.scene = enginetest.New(s.t)
	s.clock = s.scene.Clock
	s.hold()
	ts.Setenv("STEPCANARY_ENDPOINT", s.scene.URL())
}

func (s *stage) users(ts *testscript.TestScript, args []string) {
	rates := map[string]float64{}
	for _, a := range args[1:] {
		name, rate, _ := strings.Cut(a, "=")
		rates[name] = number(ts, rate)
	}
	s.scene.Users(number(ts, args[0]), rates)
}

func number(ts *testscript.TestScript, text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	ts.Check(err)
	return f
}

func (s *stage) behave(ts *testscript.TestScript, args []string) {
	scripts := map[string]cluster.Script{"never-ready": {NeverReady: true}, "pull-fails": {PullFails: true}}
	script, ok := scripts[args[1]]
	if !ok {
		ts.Fatalf("behave: %q is not known", args[1])
	}
	s.scene.World.Cluster.Behave(enginetest.Service.Namespace, args[0], script)
}

func (s *stage) pass(ts *testscript.TestScript, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	ts.Check(s.clock.Sleep(context.Background(), d))
}

// run runs the command, and interrupts it when it waits for the given time, if above 0.
func (s *stage) run(ts *testscript.TestScript, neg bool, interrupt int, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := newConsole(ts.Stdout(), ts.Stderr())
	c.env = ts.Getenv
	c.clock = &counted{Clock: s.clock, left: interrupt, cancel: cancel}
	if s.scene != nil {
		c.cluster = func(context.Context, platform.Settings, string) (step.Access, error) {
			return step.Access{Records: s.scene.World.Records}, nil
		}
	}
	back, err := os.Getwd()
	ts.Check(err)
	ts.Check(os.Chdir(ts.MkAbs(".")))
	s.last = c.run(ctx, args)
	ts.Check(os.Chdir(back))
	if (s.last != 0) != neg {
		ts.Fatalf("stepcanary %s: exit code %d", strings.Join(args, " "), s.last)
	}
}

func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	at(ts).run(ts, neg, int(number(ts, args[0])), args[1:])
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	if got := at(ts).last; strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func rename(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("rename: %q are %v", args[0], found)
	}
	ts.Check(os.Rename(found[0], ts.MkAbs(args[1])))
}

func change(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	before := ts.ReadFile(args[0])
	after := pattern.ReplaceAllString(before, args[2])
	if before == after {
		ts.Fatalf("change: nothing in %s matches %s", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o644))
}

// counted is a clock that cancels at its n-th sleep.
type counted struct {
	clock.Clock
	left   int
	cancel func()
}

func (c *counted) Sleep(ctx context.Context, d time.Duration) error {
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return c.Clock.Sleep(ctx, d)
}

func TestEveryScriptSaysWhatItShows(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("scripts %v, %v", paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(data), "# ") {
			t.Errorf("%s: a first line with what it shows is expected (%v)", path, err)
		}
	}
}
