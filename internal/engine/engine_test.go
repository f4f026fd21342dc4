package engine_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/statemachine"
)

func TestEveryTaskHasItsFunction(t *testing.T) {
	functions := engine.Functions(engine.Ports{Clock: clock.Real{}})
	for _, state := range statemachine.Tasks {
		if functions[state] == nil {
			t.Errorf("%s has no function", state)
		}
	}
	if len(functions) != len(statemachine.Tasks) {
		t.Errorf("%d functions for %d tasks", len(functions), len(statemachine.Tasks))
	}
}

// A restart with the same store finds the machine and gives it this build's definition.
func TestARestartUpdatesTheMachine(t *testing.T) {
	path := t.TempDir() + "/state"
	open := func() *local.Engine {
		store, err := local.OpenBolt(path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := engine.Local(local.Options{Store: store}, engine.Ports{Clock: clock.Real{}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := open()
	first := e.Machines()
	if _, err := e.UpdateMachine(local.MachineInput{ARN: first[0].ARN, Definition: `{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}`}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open()
	defer e.Close()
	again := e.Machines()
	if len(again) != 1 || again[0].ARN != first[0].ARN {
		t.Fatalf("machines %+v after a restart, before %+v", again, first)
	}
	m, err := e.DescribeMachine(first[0].ARN)
	if err != nil || m.Definition != statemachine.With(statemachine.Function) {
		t.Errorf("the old definition is still there (%v)", err)
	}
}

// A buffer that several goroutines write to.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func TestNeitherTemplateNorTokenIsLogged(t *testing.T) {
	var logged buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })

	const secret = "hunter2-in-the-template"
	template := strings.Replace(enginetest.Template, "        ports: [{containerPort: 8080}]\n",
		"        ports: [{containerPort: 8080}]\n        env: [{name: PASSWORD, value: "+secret+"}]\n", 1)
	with := func(text string) enginetest.Fields {
		return enginetest.Fields{"config_file": base64.StdEncoding.EncodeToString([]byte(text))}
	}
	foreign := strings.Replace(template, "kind: Service", "kind: Secret", 1)
	torn := template + "\n  - [" + secret

	s := enginetest.New(t)
	s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": 0, "checkout-3": 0.5, "checkout-4": 0})
	var tokens []string
	for _, in := range []enginetest.Fields{with(template), with(template), with(template), with(foreign), with(torn)} {
		s.Clock.Begin()
		arn := s.Begin(t, in)
		s.Clock.AfterFunc(3*time.Second, func() { tokens = append(tokens, s.Token(arn)) })
		s.Clock.End()
		if err := s.Engine.Wait(t.Context(), arn); err != nil {
			t.Fatal(err)
		}
		if err := s.Clock.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	aborted := s.Begin(t, with(template))
	s.Clock.Begin()
	s.Clock.AfterFunc(10*time.Second, func() {
		tokens = append(tokens, s.Token(aborted))
		_ = s.Engine.SendTaskFailure(s.Token(aborted), asl.Failure{})
	})
	s.Clock.End()
	if err := s.Clock.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}

	tokens = slices.DeleteFunc(tokens, func(s string) bool { return s == "" })
	text := logged.text.String()
	if len(tokens) < 3 || strings.Count(text, "task done") < 10 || !strings.Contains(text, "task failed") {
		t.Fatalf("%d tokens and this log; the flow did not run as planned:\n%s", len(tokens), text)
	}
	for _, never := range append(tokens, secret, base64.StdEncoding.EncodeToString([]byte(template))[:60], "config_file\\\":") {
		if i := strings.Index(text, never); i >= 0 {
			t.Errorf("the log has %q: %s", never, text[max(0, i-200):min(len(text), i+200)])
		}
	}
	for line := range strings.Lines(text) {
		var entry struct{ Execution, State string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Execution == "" || entry.State == "" {
			t.Errorf("a line without execution or state: %s", line)
		}
	}
}

// TestMain keeps the other tests' log out of the output, and fails where a goroutine is left.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}
