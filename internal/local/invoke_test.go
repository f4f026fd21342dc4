package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
)

// TestFunctionsAtAnEndpoint calls functions as Lambda's Invoke API offers them.
func TestFunctionsAtAnEndpoint(t *testing.T) {
	for name, tt := range map[string]struct {
		status  int
		failed  bool
		body    string
		outcome string
	}{
		"an answer":                  {200, false, `{"a":1}`, `SUCCEEDED {"a":1}`},
		"no answer":                  {200, false, ``, `SUCCEEDED null`},
		"an error of the function":   {200, true, `{"errorMessage":"m","errorType":"Canary.Unhealthy","stackTrace":[]}`, `FAILED Canary.Unhealthy: {"errorMessage":"m","errorType":"Canary.Unhealthy","stackTrace":[]}`},
		"an error without a type":    {200, true, `{"errorMessage":"m"}`, `FAILED Lambda.Unknown: {"errorMessage":"m"}`},
		"an answer that is not JSON": {200, false, `hello`, `FAILED Lambda.Unknown: the function's answer is not JSON`},
		"too many calls":             {429, false, `slow down`, `FAILED Lambda.TooManyRequestsException: slow down`},
		"no such function":           {404, false, `no f`, `FAILED Lambda.ResourceNotFoundException: no f`},
		"an error of the service":    {503, false, `busy`, `FAILED Lambda.ServiceException: 503 Service Unavailable: busy`},
		"a request that is refused":  {403, false, `no`, `FAILED Lambda.AWSLambdaException: 403 Forbidden: no`},
	} {
		t.Run(name, func(t *testing.T) {
			var path, body string
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				path, body = r.Method+" "+r.URL.Path, string(data)
				if tt.failed {
					w.Header().Set("X-Amz-Function-Error", "Unhandled")
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer s.Close()
			b := newBench(t, local.Options{LambdaEndpoint: s.URL + "/"})
			states := `"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"arn:aws:lambda:us-east-1:000000000000:function:f:7","Payload":{"x":1}},"OutputPath":"$.Payload","End":true}`
			d := b.finish(b.begin(b.machine("m", states), `{}`))
			if path != "POST /2015-03-31/functions/f/invocations" || body != `{"x":1}` {
				t.Errorf("the endpoint got %s %s", path, body)
			}
			got := fmt.Sprintf("%s %s: %s", d.Status, text(d.Error), text(d.Cause))
			if d.Status == asl.Succeeded {
				got = fmt.Sprintf("SUCCEEDED %s", d.Output)
			}
			if got != tt.outcome {
				t.Errorf("outcome %s; want %s", got, tt.outcome)
			}
		})
	}
}

func TestEndpointThatIsNotThere(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	b := newBench(t, local.Options{LambdaEndpoint: s.URL})
	d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"End":true}`), `{}`))
	if text(d.Error) != "Lambda.SdkClientException" {
		t.Errorf("Error = %s; want Lambda.SdkClientException", text(d.Error))
	}
}

// A handler of this process comes before the endpoint.
func TestHandlersComeFirst(t *testing.T) {
	b := newBench(t, local.Options{LambdaEndpoint: "http://127.0.0.1:1", Handlers: map[string]local.Handler{"f": reply(`1`)}})
	d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"OutputPath":"$.Payload","End":true}`), `{}`))
	if d.Output != "1" {
		t.Errorf("Output = %s, Error = %s; want 1", d.Output, text(d.Error))
	}
}

// TestEnvelope compares what lambda:invoke puts around an answer with what AWS
// was recorded to.
func TestEnvelope(t *testing.T) {
	b := newBench(t, local.Options{NewUUID: func() string { return "id" }, Handlers: map[string]local.Handler{"f": func(context.Context, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(` {"a" : 1} `), nil
	}}})
	d := b.finish(b.begin(b.machine("m", `"A":{`+invoke+`,"End":true}`), `{}`))
	for _, want := range []string{`"ExecutedVersion":"$LATEST"`, `"Payload":{"a":1}`, `"StatusCode":200`, `"SdkResponseMetadata":{"RequestId":"id"}`, `"HttpStatusCode":200`} {
		if !strings.Contains(d.Output, want) {
			t.Errorf("Output = %s; want %s in it", d.Output, want)
		}
	}
}
