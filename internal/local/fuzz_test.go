package local_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
)

// fuzzEngine is an engine in virtual time, which stands still while a request
// is made, with a machine that holds.
func fuzzEngine(t *testing.T, s local.Store) (*local.Engine, *clock.Virtual, func() string) {
	t.Helper()
	v := clock.NewVirtual(start)
	token := ""
	e, err := local.New(local.Options{Clock: v, Store: s, Handlers: map[string]local.Handler{"f": func(ctx context.Context, _ json.RawMessage) (json.RawMessage, error) {
		inv, _ := local.FromContext(ctx)
		token = inv.Token
		return nil, nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e, v, func() string { return token }
}

// A counted store counts what is written. Nothing else is at work while virtual time stands still.
type counted struct {
	local.Store
	writes int
}

func (c *counted) PutMachine(m local.Machine) error {
	c.writes++
	return c.Store.PutMachine(m)
}

func (c *counted) DeleteMachine(arn string) error {
	c.writes++
	return c.Store.DeleteMachine(arn)
}

func (c *counted) Commit(r local.Record, history []asl.HistoryEvent) error {
	c.writes++
	return c.Store.Commit(r, history)
}

// FuzzAPI sends requests in a row. None may be answered with a server's error, and one that is
// refused has changed nothing.
func FuzzAPI(f *testing.F) {
	f.Add("ListStateMachines", `{}`, "StartExecution", `{"stateMachineArn":"arn:aws:states:us-east-1:000000000000:stateMachine:m","name":"x","input":"{}"}`)
	f.Add("CreateStateMachine", `{"name":"n","definition":"{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Succeed\"}}}"}`, "ListExecutions", `{"stateMachineArn":"arn:aws:states:us-east-1:000000000000:stateMachine:m","statusFilter":"FAILED","maxResults":2}`)
	f.Add("GetExecutionHistory", `{"executionArn":"arn:aws:states:us-east-1:000000000000:execution:m:held","reverseOrder":true,"maxResults":1,"nextToken":"e30"}`, "StopExecution", `{"executionArn":"arn:aws:states:us-east-1:000000000000:execution:m:held","cause":"c"}`)
	f.Add("SendTaskFailure", `{"taskToken":"AQCE1","error":"E"}`, "RedriveExecution", `{"executionArn":"arn:aws:states:us-east-1:000000000000:execution:m:held","clientToken":"t"}`)
	f.Add("ValidateStateMachineDefinition", `{"definition":"{","type":"EXPRESS"}`, "UpdateStateMachine", `{"stateMachineArn":"arn:aws:states:us-east-1:000000000000:stateMachine:m","roleArn":"r"}`)
	f.Fuzz(func(t *testing.T, op1, body1, op2, body2 string) {
		if len(op1)+len(body1)+len(op2)+len(body2) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		store := &counted{Store: local.NewMemory()}
		e, v, _ := fuzzEngine(t, store)
		v.Begin()
		defer v.End()
		m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: strings.Replace(holdForever, "600", "60000", 1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Name: "held"}); err != nil {
			t.Fatal(err)
		}
		api := local.API(e)
		for _, r := range [][2]string{{op1, body1}, {op2, body2}, {op1, body1}} {
			req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/", strings.NewReader(r[1]))
			req.Header["Content-Type"] = []string{"application/x-amz-json-1.0"}
			req.Header["X-Amz-Target"] = []string{"AWSStepFunctions." + r[0]}
			w, before := httptest.NewRecorder(), store.writes
			api.ServeHTTP(w, req)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %s: %d %s", r[0], r[1], w.Code, w.Body)
			}
			if n := store.writes - before; n > 0 && w.Code >= 400 {
				t.Errorf("%s %s: %d %s, and yet %d writes", r[0], r[1], w.Code, w.Body, n)
			}
		}
	})
}

// FuzzTokenAnswer answers tokens with anything.
func FuzzTokenAnswer(f *testing.F) {
	f.Add("", `{"ok":true}`, true)
	f.Add("AQCE00", `1`, false)
	f.Add("x", `{`, true)
	f.Fuzz(func(t *testing.T, token, output string, own bool) {
		if len(token)+len(output) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		e, v, given := fuzzEngine(t, local.NewMemory())
		m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: holdForever})
		if err != nil {
			t.Fatal(err)
		}
		v.Begin()
		arn, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Name: "held"})
		if err != nil {
			t.Fatal(err)
		}
		var answered error
		v.AfterFunc(time.Second, func() {
			if own {
				token = given()
			}
			answered = e.SendTaskSuccess(token, output)
		})
		v.End()
		if err := e.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, err := e.Describe(arn)
		if err != nil {
			t.Fatal(err)
		}
		// Only the right token with JSON ends the execution in success.
		if want := own && json.Valid([]byte(output)) && len(output) <= 256*1024; want != (d.Status == "SUCCEEDED") || want != (answered == nil) {
			t.Errorf("SendTaskSuccess(%q, %q) = %v, execution %s", token, output, answered, d.Status)
		}
	})
}

// FuzzPackedHistory reads damaged history. A store's file may be damaged, and
// must not take the engine down.
func FuzzPackedHistory(f *testing.F) {
	block, err := local.PackEvents(events(1, 3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(block)
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		events, err := local.UnpackEvents(data)
		if err == nil && len(events) > 0 {
			again, err := local.PackEvents(events)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := local.UnpackEvents(again); err != nil || len(back) != len(events) {
				t.Fatalf("%d events packed and unpacked are %d, %v", len(events), len(back), err)
			}
		}
	})
}
