package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/local"
)

// lambdaStub is a Lambda endpoint that both engines call. "echo" answers with
// its input, "bad" fails, "flaky" fails twice before it answers.
func lambdaStub(t *testing.T) *httptest.Server {
	t.Helper()
	var flaky atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		name := strings.Split(r.URL.Path, "/")[3]
		if name == "bad" || name == "flaky" && flaky.Add(1)%3 != 0 {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			body = []byte(`{"errorMessage":"no","errorType":"Canary.Unhealthy"}`)
		}
		_, _ = w.Write(body) // a client that has gone needs no answer
	}))
	t.Cleanup(s.Close)
	return s
}

// startMoto starts moto, an independent interpreter of state machines, with
// Lambda at the stub.
func startMoto(t *testing.T, lambda string) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("moto_server is not in PATH: histories are not compared with another engine's")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(cmd.Environ(), "MOTO_PORT="+lambda[strings.LastIndex(lambda, ":")+1:], "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it says that it was killed
	})
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

// tellMoto posts to moto's own API.
func tellMoto(t *testing.T, url, body string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("POST %s: %s", url, resp.Status)
	}
}

// ran runs a definition to its end, and gives its history.
func ran(t *testing.T, c *sfn.Client, definition, input string) []any {
	t.Helper()
	ctx, name, role := t.Context(), "peer", "arn:aws:iam::000000000000:role/r"
	m, err := c.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{Name: &name, Definition: &definition, RoleArn: &role})
	if err != nil {
		t.Fatalf("CreateStateMachine() = %v", err)
	}
	x, err := c.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: m.StateMachineArn, Name: &name, Input: &input})
	if err != nil {
		t.Fatalf("StartExecution() = %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		d, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: x.ExecutionArn})
		if err != nil {
			t.Fatalf("DescribeExecution() = %v", err)
		}
		if d.Status != "RUNNING" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the execution does not end")
		}
	}
	h, err := c.GetExecutionHistory(ctx, &sfn.GetExecutionHistoryInput{ExecutionArn: x.ExecutionArn, MaxResults: 1000})
	if err != nil {
		t.Fatalf("GetExecutionHistory() = %v", err)
	}
	data, err := json.Marshal(h.Events)
	if err != nil {
		t.Fatal(err)
	}
	var out []any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return comparable(out).([]any)
}

// comparable opens payloads, and leaves out what is each engine's own.
func comparable(v any) any {
	switch v := v.(type) {
	case string:
		var inner any
		if strings.HasPrefix(v, "{") && json.NewDecoder(bytes.NewBufferString(v)).Decode(&inner) == nil {
			return comparable(inner)
		}
	case []any:
		for i := range v {
			v[i] = comparable(v[i])
		}
	case map[string]any:
		for k, x := range v {
			switch k {
			case "Timestamp", "SdkHttpMetadata", "SdkResponseMetadata", "RoleArn", "Region", "token":
				delete(v, k)
			default:
				v[k] = comparable(x)
			}
		}
	}
	return v
}

// TestHistoriesAreThoseOfAnotherEngine runs the same definitions here and in
// moto, over the same API, and compares event by event. Where moto is known to
// be wrong, nothing is compared: it drops the cause of SendTaskFailure and
// StopExecution, and goes on from a Choice whose variable is missing.
func TestHistoriesAreThoseOfAnotherEngine(t *testing.T) {
	lambda := lambdaStub(t)
	moto := startMoto(t, lambda.URL)
	call := func(function string) string {
		return fmt.Sprintf(`"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":%q,"Payload.$":"$"}`, function)
	}
	for name, tt := range map[string]struct{ states, input string }{
		"data, choice and functions": {`"A":{` + call("echo") + `,"ResultSelector":{"v.$":"$.Payload.n"},"ResultPath":"$.r","Next":"B"},
			"B":{"Type":"Choice","Choices":[{"Variable":"$.r.v","NumericGreaterThan":3,"Next":"C"}],"Default":"D"},"C":{"Type":"Wait","Seconds":1,"Next":"D"},
			"D":{"Type":"Pass","Parameters":{"x.$":"States.Format('{}-{}', $.n, $$.State.Name)","y.$":"States.MathAdd($.n,1)"},"End":true}`, `{"n":5}`},
		"retry":               {`"A":{` + call("flaky") + `,"Retry":[{"ErrorEquals":["Canary.Unhealthy"],"IntervalSeconds":1,"BackoffRate":1}],"ResultSelector":{"n.$":"$$.State.RetryCount"},"End":true}`, `{"a":1}`},
		"catch and fail":      {`"A":{` + call("bad") + `,"Catch":[{"ErrorEquals":["Canary.Unhealthy"],"ResultPath":"$.error","Next":"B"}],"End":true},"B":{"Type":"Fail","ErrorPath":"$.error.Error","CausePath":"$.error.Cause"}`, `{"a":1}`},
		"an uncaught error":   {`"A":{` + call("bad") + `,"End":true}`, `{"a":1}`},
		"map":                 {`"A":{"Type":"Map","ItemsPath":"$.l","MaxConcurrency":1,"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"S","States":{"S":{` + call("echo") + `,"OutputPath":"$.Payload","End":true}}},"ResultPath":"$.out","End":true}`, `{"l":[{"a":1},{"a":2}]}`},
		"parallel":            {`"A":{"Type":"Parallel","Branches":[{"StartAt":"S","States":{"S":{` + call("echo") + `,"OutputPath":"$.Payload","End":true}}}],"End":true}`, `{"q":1}`},
		"a path that is lost": {`"A":{"Type":"Pass","InputPath":"$.no","End":true}`, `{"n":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			definition := `{"StartAt":"A","States":{` + tt.states + `}}`
			// A second execution in one life of moto fails, so each has its own.
			tellMoto(t, moto+"/moto-api/reset", "")
			tellMoto(t, moto+"/moto-api/config", `{"stepfunctions":{"execute_state_machine":true},"lambda":{"use_docker":false}}`)
			_, url := serve(t, local.Options{LambdaEndpoint: lambda.URL})
			want := ran(t, client(moto), definition, tt.input)
			got := ran(t, client(url), definition, tt.input)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("history (-moto +here):\n%s", diff)
			}
		})
	}
}
