package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
)

// callContext is what a handler gets: it ends when the engine closes or gives
// up the call.
func (e *Engine) callContext(arn string, c asl.Call) (context.Context, context.CancelFunc) {
	ctx, cancel := clock.WithCancel(e.ctx)
	return context.WithValue(ctx, invocationKey{}, Invocation{
		ExecutionARN: arn, State: c.State, Function: e.function(c.Function), Number: c.Number, Token: c.Token, Deadline: c.Deadline,
	}), cancel
}

// invoke makes a call, and gives what the task gets: the function's answer, in
// the envelope of lambda:invoke where the task goes through it.
func (e *Engine) invoke(ctx context.Context, c asl.Call) (string, *asl.Failure) {
	name := e.function(c.Function)
	var out json.RawMessage
	var why *asl.Failure
	switch h := e.o.Handlers[name]; {
	case h != nil:
		out, why = callHandler(ctx, h, json.RawMessage(c.Payload))
	case e.o.LambdaEndpoint != "":
		out, why = e.callEndpoint(ctx, c)
	default:
		cause := fmt.Sprintf("Function not found: arn:aws:lambda:%s:%s:function:%s (Service: AWSLambda; Status Code: 404; Error Code: ResourceNotFoundException; Request ID: %s; Proxy: null)",
			e.o.Region, e.o.Account, name, e.o.NewUUID())
		return "", failure("Lambda.ResourceNotFoundException", cause)
	}
	if why != nil || c.Action == "" {
		return string(out), why
	}
	return e.envelope(out), nil
}

func failure(name, cause string) *asl.Failure { return &asl.Failure{Error: &name, Cause: &cause} }

// callHandler runs a function of this process. A panic is an error, as it is in
// Lambda.
func callHandler(ctx context.Context, h Handler, input json.RawMessage) (out json.RawMessage, why *asl.Failure) {
	defer func() {
		if p := recover(); p != nil {
			out, why = nil, reported(fmt.Sprint(p), typeName(p))
		}
	}()
	out, err := h(ctx, input)
	if err != nil {
		return nil, reportError(err)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		return json.RawMessage("null"), nil
	}
	if !json.Valid(out) {
		return nil, failure("Lambda.Unknown", "the function's answer is not JSON")
	}
	return out, nil
}

// reported is an error as Lambda hands it to Step Functions: the name by
// itself, and the whole report as the cause.
func reported(message, kind string) *asl.Failure {
	cause, err := json.Marshal(struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}{message, kind})
	if err != nil {
		panic(err) // two strings are always JSON
	}
	return failure(kind, string(cause))
}

func reportError(err error) *asl.Failure {
	var named interface{ ErrorType() string }
	if errors.As(err, &named) {
		return reported(err.Error(), named.ErrorType())
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		var r struct {
			Message string `json:"errorMessage"`
			Type    string `json:"errorType"`
		}
		data, jsonErr := json.Marshal(e)
		if jsonErr == nil && json.Unmarshal(data, &r) == nil && r.Type != "" {
			return failure(r.Type, string(data))
		}
	}
	return reported(err.Error(), typeName(err))
}

// typeName is how aws-lambda-go names an error that does not name itself.
func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// maxAnswer is more than Lambda ever answers.
const maxAnswer = 6<<20 + 64<<10

// callEndpoint calls a function over Lambda's Invoke API.
func (e *Engine) callEndpoint(ctx context.Context, c asl.Call) (json.RawMessage, *asl.Failure) {
	target := strings.TrimSuffix(e.o.LambdaEndpoint, "/") + "/2015-03-31/functions/" + url.PathEscape(e.function(c.Function)) + "/invocations"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(c.Payload))
	if err != nil {
		return nil, failure("Lambda.SdkClientException", err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	resp, err := e.o.HTTP.Do(req)
	if err != nil {
		return nil, failure("Lambda.SdkClientException", err.Error())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, failure("Lambda.SdkClientException", err.Error())
	}
	return readAnswer(resp, body)
}

func readAnswer(resp *http.Response, body []byte) (json.RawMessage, *asl.Failure) {
	switch {
	case len(body) > maxAnswer:
		return nil, failure("Lambda.Unknown", fmt.Sprintf("the function's answer has more than %d bytes", maxAnswer))
	case resp.StatusCode == http.StatusTooManyRequests:
		return nil, failure("Lambda.TooManyRequestsException", string(body))
	case resp.StatusCode == http.StatusNotFound:
		return nil, failure("Lambda.ResourceNotFoundException", string(body))
	case resp.StatusCode >= 500:
		return nil, failure("Lambda.ServiceException", fmt.Sprintf("%s: %s", resp.Status, body))
	case resp.StatusCode >= 300:
		return nil, failure("Lambda.AWSLambdaException", fmt.Sprintf("%s: %s", resp.Status, body))
	}
	if resp.Header.Get("X-Amz-Function-Error") != "" {
		var r struct {
			Type string `json:"errorType"`
		}
		if json.Unmarshal(body, &r) != nil || r.Type == "" {
			r.Type = "Lambda.Unknown"
		}
		return nil, failure(r.Type, string(body))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return json.RawMessage("null"), nil
	}
	if !json.Valid(body) {
		return nil, failure("Lambda.Unknown", "the function's answer is not JSON")
	}
	return body, nil
}

// envelope is what lambda:invoke gives a task around the function's answer.
func (e *Engine) envelope(payload json.RawMessage) string {
	id, length := e.o.NewUUID(), len(payload)
	var b bytes.Buffer
	b.WriteString(`{"ExecutedVersion":"$LATEST","Payload":`)
	if err := json.Compact(&b, payload); err != nil {
		panic(err) // the payload was checked
	}
	fmt.Fprintf(&b, `,"SdkHttpMetadata":{"AllHttpHeaders":{"Content-Length":["%d"],"Content-Type":["application/json"],"X-Amz-Executed-Version":["$LATEST"],"x-amzn-RequestId":[%q]},`, length, id)
	fmt.Fprintf(&b, `"HttpHeaders":{"Content-Length":"%d","Content-Type":"application/json","X-Amz-Executed-Version":"$LATEST","x-amzn-RequestId":%q},`, length, id)
	fmt.Fprintf(&b, `"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":%q},"StatusCode":200}`, id)
	return b.String()
}
