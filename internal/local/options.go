package local

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
)

// A Handler is a function that Task states call, as it would run in Lambda. Its
// context carries the Invocation, and ends when the task has timed out or the
// execution has ended.
//
// An error is reported as Lambda reports it: by the name of its Go type. An
// error that has a method ErrorType() string, or that writes itself as JSON
// with errorType and errorMessage, as InvokeResponse_Error of aws-lambda-go
// does, names itself.
type Handler func(ctx context.Context, input json.RawMessage) (json.RawMessage, error)

// Options say what an Engine works with.
type Options struct {
	// Clock is real or virtual; real if nil.
	Clock clock.Scheduler

	// Store keeps everything; memory if nil. The engine closes it.
	Store Store

	// Handlers are the functions in this process, by name.
	Handlers map[string]Handler

	// Aliases are other names by which definitions may call functions, such as the placeholders
	// that a deployment would replace.
	Aliases map[string]string

	// LambdaEndpoint is the URL of a Lambda-compatible service that serves the
	// functions that are not among Handlers. Empty for none.
	LambdaEndpoint string

	// HTTP calls the LambdaEndpoint; a client without timeout if nil, since
	// tasks have their own.
	HTTP *http.Client

	// OnEnd is told when an execution has failed, timed out or was aborted, as
	// an EventBridge rule would be. It is told again, after a while and after
	// a restart, until it returns nil or a day has passed.
	OnEnd func(ctx context.Context, change ExecutionStatusChange) error

	// Account and Region appear in ARNs; 000000000000 and us-east-1 if empty.
	Account, Region string

	// Random gives numbers in [0, 1), for jitter and States.MathRandom.
	Random func() float64

	// NewUUID and NewToken make identifiers; random ones if nil. A token must
	// be hard to guess wherever strangers reach the API.
	NewUUID, NewToken func() string

	// Parse reads definitions; asl.Parse if nil. Whoever opens many engines on the same
	// few definitions may keep what was read.
	Parse func(text string) (*asl.Definition, error)

	// Log is told of what goes wrong and has no caller to tell; nothing is
	// said if nil.
	Log func(message string, err error)
}

// ExecutionStatusChange is the detail of EventBridge's event "Step Functions
// Execution Status Change". Dates are milliseconds since 1970.
type ExecutionStatusChange struct {
	ExecutionArn    string  `json:"executionArn"`
	StateMachineArn string  `json:"stateMachineArn"`
	Name            string  `json:"name"`
	Status          string  `json:"status"`
	StartDate       int64   `json:"startDate"`
	StopDate        *int64  `json:"stopDate"`
	Input           string  `json:"input"`
	InputDetails    *detail `json:"inputDetails"`
	Output          *string `json:"output"`
	OutputDetails   *detail `json:"outputDetails"`
	Error           *string `json:"error"`
	Cause           *string `json:"cause"`
}

// detail says that a payload is whole.
type detail struct {
	Included bool `json:"included"`
}

// An Invocation is what a Handler may know about its call.
type Invocation struct {
	ExecutionARN string
	State        string
	Function     string
	Number       int       // counts the calls of one line of work, from 1
	Token        string    // the task token, if there is one
	Deadline     time.Time // when the task times out; zero for never
}

type invocationKey struct{}

// FromContext gives the invocation that a handler's context carries.
func FromContext(ctx context.Context) (Invocation, bool) {
	i, ok := ctx.Value(invocationKey{}).(Invocation)
	return i, ok
}
