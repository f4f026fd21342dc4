package lambdahost_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/lambdahost"
)

// The test's own binary is the function: with the Runtime API in its environment it serves calls. A goroutine that is left is a failure.
func TestMain(m *testing.M) {
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		lambda.Start(serve)
		return
	}
	goleak.VerifyTestMain(m)
}

func serve(ctx context.Context, in struct{ Do, Path string }) (map[string]any, error) {
	switch in.Do {
	case "fail":
		return nil, messages.InvokeResponse_Error{Type: "Canary.Transient", Message: "throttled"}
	case "exit":
		os.Exit(3)
	case "hang":
		if in.Path != "" {
			_ = os.WriteFile(in.Path, nil, 0o600)
		}
		select {}
	case "await":
		if err := os.WriteFile(in.Path+".began", nil, 0o600); err != nil {
			return nil, err
		}
		for {
			if _, err := os.Stat(in.Path); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return nil, os.WriteFile(in.Path+".done", nil, 0o600)
	case "large":
		return map[string]any{"x": strings.Repeat("x", 7<<20)}, nil
	}
	deadline, _ := ctx.Deadline()
	return map[string]any{"pid": os.Getpid(), "mark": os.Getenv("MARK"), "left": time.Until(deadline).Seconds()}, nil
}

func newHost(t *testing.T, o lambdahost.Options) (*lambdahost.Host, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Binary = func(name string) string {
		switch name {
		case "echo":
			return self
		case "broken":
			return "/bin/false"
		}
		return ""
	}
	h := lambdahost.New(o)
	t.Cleanup(h.Close)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return h, server.URL
}

// invoke calls over HTTP, as the engine does.
func invoke(t *testing.T, url, function, payload string) (*http.Response, map[string]any) {
	t.Helper()
	resp, err := http.Post(url+"/2015-03-31/functions/"+function+"/invocations", "application/json", strings.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	return resp, answer
}

func TestACallIsAnsweredAndItsProcessStaysWarm(t *testing.T) {
	_, url := newHost(t, lambdahost.Options{
		Env: func(name string) []string { return []string{"MARK=" + name} }, Timeout: time.Minute,
	})
	resp, first := invoke(t, url, "echo", `{}`)
	_, second := invoke(t, url, "arn:aws:lambda:eu-west-1:000000000000:function:echo:7", `{}`)
	if resp.StatusCode != 200 || resp.Header.Get("X-Amz-Function-Error") != "" || first["mark"] != "echo" {
		t.Errorf("answer %v %v", resp.Status, first)
	}
	if first["pid"] != second["pid"] {
		t.Errorf("two processes, %v and %v, for two calls one after the other", first["pid"], second["pid"])
	}
	if left := first["left"].(float64); left < 50 || left > 60 {
		t.Errorf("the function thinks it has %v s of 60", left)
	}
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		payload, kind, message string
		timeout                time.Duration
	}{
		"an error keeps its name":               {`{"Do": "fail"}`, "Canary.Transient", "throttled", time.Minute},
		"an exit is the runtime's error":        {`{"Do": "exit"}`, "Runtime.ExitError", "exit status 3", time.Minute},
		"what takes too long is ended":          {`{"Do": "hang"}`, "Sandbox.Timedout", "Task timed out after 0.30 seconds", 300 * time.Millisecond},
		"an answer over the quota is not given": {`{"Do": "large"}`, "Function.ResponseSizeTooLarge", "payload size exceeded", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := newHost(t, lambdahost.Options{Timeout: tt.timeout})
			resp, answer := invoke(t, url, "echo", tt.payload)
			if resp.StatusCode != 200 || resp.Header.Get("X-Amz-Function-Error") != "Unhandled" {
				t.Errorf("status %s, X-Amz-Function-Error %q", resp.Status, resp.Header.Get("X-Amz-Function-Error"))
			}
			message, _ := answer["errorMessage"].(string)
			if answer["errorType"] != tt.kind || !strings.Contains(message, tt.message) {
				t.Errorf("answer %v, want %s with %q", answer, tt.kind, tt.message)
			}
			if tt.timeout < time.Minute {
				return // a slow machine may need longer for the next process
			}
			if resp, answer := invoke(t, url, "echo", `{}`); resp.Header.Get("X-Amz-Function-Error") != "" {
				t.Errorf("the next call fails too: %v", answer)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	_, url := newHost(t, lambdahost.Options{})
	for name, tt := range map[string]struct {
		function, payload, kind string
		status                  int
	}{
		"an unknown function":       {"other", `{}`, "ResourceNotFoundException", 404},
		"a payload that is no JSON": {"echo", `{`, "InvalidRequestContentException", 400},
		"a payload over the quota":  {"echo", `"` + strings.Repeat("x", 6<<20) + `"`, "RequestTooLargeException", 413},
		"a binary that ends":        {"broken", `{}`, "InvalidRuntimeException", 502},
	} {
		t.Run(name, func(t *testing.T) {
			resp, answer := invoke(t, url, tt.function, tt.payload)
			if resp.StatusCode != tt.status || resp.Header.Get("X-Amzn-ErrorType") != tt.kind {
				t.Errorf("%s %s %v, want %d %s", resp.Status, resp.Header.Get("X-Amzn-ErrorType"), answer, tt.status, tt.kind)
			}
		})
	}
}

func TestCallsBesideEachOtherGetAProcessEach(t *testing.T) {
	h, _ := newHost(t, lambdahost.Options{Most: 3})
	gate := filepath.Join(t.TempDir(), "gate")
	payload := fmt.Appendf(nil, `{"Do": "await", "Path": %q}`, gate)
	var wg sync.WaitGroup
	var throttled sync.WaitGroup
	throttled.Add(2)
	for range 5 {
		wg.Go(func() {
			_, refusal := h.Invoke(context.Background(), "echo", payload)
			if refusal != nil {
				if refusal.Kind != "TooManyRequestsException" || refusal.Status != 429 {
					t.Errorf("refused: %v", refusal)
				}
				throttled.Done()
			}
		})
	}
	throttled.Wait() // the gate is closed, so three run and two find no room
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// On Lambda a function goes on when the state machine that called it was stopped. A stand-in that
// killed it would hide what such a late write does.
func TestAFunctionWorksOnWhenItsCallerHasGone(t *testing.T) {
	h, _ := newHost(t, lambdahost.Options{})
	gate := filepath.Join(t.TempDir(), "gate")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan *lambdahost.Refusal)
	go func() {
		_, refusal := h.Invoke(ctx, "echo", fmt.Appendf(nil, `{"Do": "await", "Path": %q}`, gate))
		done <- refusal
	}()
	appears(t, gate+".began")
	cancel()
	if refusal := <-done; refusal == nil {
		t.Error("the caller got an answer after it had gone")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	appears(t, gate+".done")
}

// appears waits for a file that a function writes.
func appears(t *testing.T, path string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
	}
	t.Errorf("%s did not appear: the function does not work", filepath.Base(path))
}

func TestAnEventCallDoesNotWait(t *testing.T) {
	h, url := newHost(t, lambdahost.Options{})
	mark := filepath.Join(t.TempDir(), "mark")
	req, err := http.NewRequest(http.MethodPost, url+"/2015-03-31/functions/echo/invocations",
		bytes.NewReader(fmt.Appendf(nil, `{"Do": "hang", "Path": %q}`, mark)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Invocation-Type", "Event")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("status %s, want 202", resp.Status)
	}
	appears(t, mark)
	h.Close() // ends the one that hangs, or this test would not end
}

func TestCloseLeavesNoProcess(t *testing.T) {
	h, _ := newHost(t, lambdahost.Options{})
	started, err := h.Warm(context.Background(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	if started.Init <= 0 || started.PID <= 0 {
		t.Errorf("start %+v", started)
	}
	h.Close()
	if err := syscall.Kill(started.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Close: %v", started.PID, err)
	}
	if _, refusal := h.Invoke(context.Background(), "echo", []byte(`{}`)); refusal == nil {
		t.Error("a call after Close was taken")
	}
}
