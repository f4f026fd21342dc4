package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
)

// A watchedStore notes commits, and fails them when told to.
type watchedStore struct {
	*local.Memory
	mu   sync.Mutex
	note func(what string)
	fail bool
}

func (s *watchedStore) Commit(r local.Record, history []asl.HistoryEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail {
		return errors.New("disk full")
	}
	s.note(fmt.Sprintf("stored up to event %d", r.Execution.LastEvent))
	return s.Memory.Commit(r, history)
}

func TestWhatHappenedIsStoredBeforeItsEffects(t *testing.T) {
	var seen []string
	note := func(what string) { seen = append(seen, what) }
	b := newBench(t, local.Options{
		Store: &watchedStore{Memory: local.NewMemory(), note: note},
		Handlers: map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
			note("called")
			return json.RawMessage("1"), nil
		}},
		OnEnd: func(context.Context, local.ExecutionStatusChange) error {
			note("end told")
			return nil
		},
	})
	b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"Next":"B"},"B":{"Type":"Wait","Seconds":5,"Next":"C"},"C":{"Type":"Fail"}`), `{}`))
	want := []string{"stored up to event 4", "called", "stored up to event 7", "stored up to event 10", "end told", "stored up to event 10"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestNothingHappensThatCannotBeStored(t *testing.T) {
	s := &watchedStore{Memory: local.NewMemory(), note: func(string) {}}
	calls := 0
	var logged []string
	b := newBench(t, local.Options{
		Store: s,
		Log:   func(message string, err error) { logged = append(logged, err.Error()) },
		Handlers: map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
			calls++
			s.fail = true // from now on
			return json.RawMessage("1"), nil
		}},
	})
	x := b.begin(b.machine("m", `"A":{`+invoke+`,"Next":"B"},"B":{`+invoke+`,"End":true}`), `{}`)
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls != 1 || len(logged) != 1 || !strings.Contains(logged[0], "disk full") {
		t.Errorf("%d calls, told %q; want the second call not made, and the cause told once", calls, logged)
	}
	if _, err := b.Stop(x, asl.Failure{}); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("Stop() = %v; want the store's error", err)
	}
	m := b.machine("n", `"A":{"Type":"Succeed"}`)
	if _, _, err := b.Start(local.StartInput{MachineARN: m}); err == nil {
		t.Error("Start() = nil; want the store's error")
	}
}

// TestManyAtOnceInRealTime has executions, their functions and the answers to
// their tokens run side by side, for the race detector to look at.
func TestManyAtOnceInRealTime(t *testing.T) {
	store, err := local.OpenBolt(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	var e *local.Engine
	var answers sync.WaitGroup
	e, err = local.New(local.Options{Store: store, Handlers: map[string]local.Handler{
		"work": func(_ context.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil },
		"hold": func(ctx context.Context, in json.RawMessage) (json.RawMessage, error) {
			inv, _ := local.FromContext(ctx)
			answers.Go(func() {
				if err := e.SendTaskSuccess(inv.Token, string(in)); err != nil {
					t.Errorf("SendTaskSuccess() = %v", err)
				}
			})
			return nil, nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: `{"StartAt":"A","States":{
		"A":{"Type":"Map","ItemsPath":"$.l","ResultPath":"$.l","ItemProcessor":{"StartAt":"W","States":{"W":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"work","Payload.$":"$"},"OutputPath":"$.Payload","End":true}}},"Next":"B"},
		"B":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"hold","Payload.$":"$"},"TimeoutSeconds":60,"HeartbeatSeconds":30,"End":true}}}`})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			input := fmt.Sprintf(`{"l":[%d,2,3]}`, i)
			arn, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Input: input})
			if err != nil {
				t.Errorf("Start() = %v", err)
				return
			}
			if err := e.Wait(t.Context(), arn); err != nil {
				t.Errorf("Wait() = %v", err)
			}
			d, err := e.Describe(arn)
			if err != nil || d.Output != input {
				t.Errorf("Describe() = %+v, %v; want %s", d, err, input)
			}
			h, err := e.History(arn, 0, 1000, false, true)
			if err != nil || len(h) == 0 || h[len(h)-1].Type != "ExecutionSucceeded" || int(h[len(h)-1].ID) != len(h) {
				t.Errorf("History() of %d events, %v", len(h), err)
			}
		})
	}
	all.Wait()
	answers.Wait()
}
