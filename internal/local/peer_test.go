package local_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/local/mototest"
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
	moto := mototest.Start(t, lambda.URL)
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
			mototest.Reset(t, moto)
			_, url := serve(t, local.Options{LambdaEndpoint: lambda.URL})
			want := ran(t, client(moto), definition, tt.input)
			got := ran(t, client(url), definition, tt.input)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("history (-moto +here):\n%s", diff)
			}
		})
	}
}
