package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/task"
)

// kinds are the names that a function's error may have.
var kinds = []fault.Kind{
	fault.Invalid, fault.Refused, fault.Queued, fault.Transient, fault.Conflict, fault.Fenced, fault.NotReady,
	fault.NotObserved, fault.NotFound, fault.Aborted, fault.Asked, fault.Internal,
}

// maxEvent is the most that Step Functions hands over.
const maxEvent = 256 << 10

// FuzzFunctionEvent calls the functions behind the states with events that no state machine sends,
// in a world where version 1 serves. None may panic or hang, an error has a name that the state
// machine knows, what is refused as invalid leaves the world as it was, the shares of the route stay
// whole, and nobody else's route is touched.
func FuzzFunctionEvent(f *testing.F) {
	for state, events := range recorded(f) {
		for _, ev := range events {
			f.Add(state, ev)
		}
	}
	f.Add("Rollback", []byte(`{"detail-type":"x","detail":{"executionArn":"a","status":"ABORTED","input":"{"}}`))
	f.Add("Prepare", []byte(`{"execution":"a","input":{"cluster_name":"c"}}`))
	f.Add("HealthCheck", []byte(`{"execution":"a","document":{"rollout":{"plan":{"steps":[]}},"shift":{"step":7}},"token":"t"}`))
	f.Add("HealthCheck", []byte(`{"execution":"a","document":{"rollout":{"plan":{"steps":[{"weight":50}]}},"shift":{"step":7}},"token":"t"}`))
	f.Fuzz(func(t *testing.T, state string, event []byte) {
		if len(event) > maxEvent {
			return
		}
		r := newRun(Scenario{Name: "fuzz"}, nil)
		r.build()
		r.counting = false
		defer func() { _ = r.engine.Close() }()
		h := functions(r)[state]
		if h == nil {
			return
		}
		before := r.written()
		var out json.RawMessage
		var err error
		r.clock.Go(func() { out, err = h(context.Background(), event) })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if r.clock.Wait(ctx) != nil {
			t.Fatalf("%s is still at work", state)
		}
		checkAnswer(t, out, err)
		var named messages.InvokeResponse_Error
		if errors.As(err, &named) && named.Type == string(fault.Invalid) {
			if diff := cmp.Diff(before, r.written()); diff != "" {
				t.Errorf("%s: %s, and yet this was done (-before +after):\n%s", named.Type, named.Message, diff)
			}
		}
		// That a weight is right in this world is for the state machine to say, not for the event.
		for _, b := range keys(r.broken) {
			if strings.HasPrefix(b, "I1 ") {
				t.Error(b)
			}
		}
		if got := r.world.Router.Served(foreign, r.clock.Now()); got["basket"] != 70 || got["basket-next"] != 30 {
			t.Errorf("somebody else's route is %v", got)
		}
	})
}

// written is what functions have written into the world.
func (r *run) written() string {
	b := r.world.Router.AppendState(r.world.Cluster.AppendState(nil))
	return fmt.Sprintf("%s%d records", b, r.world.Records.Writes())
}

func checkAnswer(t *testing.T, out json.RawMessage, err error) {
	t.Helper()
	var named messages.InvokeResponse_Error
	switch {
	case err == nil && !json.Valid(out):
		t.Errorf("the answer is no JSON: %q", out)
	case err != nil && !errors.As(err, &named):
		t.Errorf("an error without a name: %v", err)
	case err != nil && !slices.Contains(kinds, fault.Kind(named.Type)):
		t.Errorf("an error of an unknown name: %s: %s", named.Type, named.Message)
	}
}

// functions are those of the run's world.
func functions(r *run) map[string]task.Func { return engine.Functions(r.ports()) }

// recorded are the events of whole rollouts, by the state that sends them.
func recorded(f *testing.F) map[string][][]byte {
	out := map[string][][]byte{}
	for _, s := range slices.Concat(Small, Scenarios) {
		r := newRun(s, nil)
		r.build()
		r.begin(searched, s.fields())
		r.rest()
		for _, k := range slices.Collect(maps.Values(r.disk.kept)) {
			state := ""
			for _, e := range k.history {
				if strings.HasSuffix(e.Type, "StateEntered") {
					state = e.Details.Name
				}
				var p struct{ Payload json.RawMessage }
				if e.Type == "TaskScheduled" && json.Unmarshal([]byte(e.Details.Parameters), &p) == nil {
					out[state] = append(out[state], p.Payload)
				}
			}
		}
		if err := r.engine.Close(); err != nil {
			f.Fatal(err)
		}
	}
	return out
}
