// Package lambdahost runs Lambda functions' own binaries on this machine: it is Lambda's Runtime
// API towards the binary, and Lambda's Invoke API towards callers.
//
// The binaries are those that AWS runs, unchanged. What differs is named here: there is no
// container around a function, no limit on its memory, and an Event call is not repeated.
// Sources: "Using the Lambda runtime API for custom runtimes" and "Invoke" in AWS's documentation.
package lambdahost

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say which functions there are and how they run.
type Options struct {
	// Binary gives the path of a function's bootstrap, or "" where there is no such function.
	Binary func(name string) string
	// Env gives a function's environment, without what Lambda adds. Default: empty.
	Env func(name string) []string
	// Timeout ends a call that takes longer, and the process with it. Default: 900 s.
	Timeout time.Duration
	// Log gets what the functions write. Default: nothing is kept.
	Log io.Writer
	// Most is the most processes of one function; a call beyond them is throttled. Default: 50.
	Most int
}

// maxPayload is Lambda's quota on a synchronous call, each way.
const maxPayload = 6 << 20

// A Host serves the Invoke API. It is an http.Handler; Close ends all processes.
type Host struct {
	o Options

	mu     sync.Mutex
	idle   map[string][]*instance
	all    map[*instance]bool
	count  map[string]int
	closed bool
	calls  sync.WaitGroup
}

// New makes a host. Processes start at the first call.
func New(o Options) *Host {
	if o.Timeout == 0 {
		o.Timeout = 900 * time.Second
	}
	if o.Most == 0 {
		o.Most = 50
	}
	if o.Env == nil {
		o.Env = func(string) []string { return nil }
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	o.Log = &lines{w: o.Log}
	return &Host{o: o, idle: map[string][]*instance{}, all: map[*instance]bool{}, count: map[string]int{}}
}

var invocation = regexp.MustCompile(`^/2015-03-31/functions/([^/]+)/invocations/?$`)

// ServeHTTP is Lambda's Invoke.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	match := invocation.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPost || match == nil {
		refuse(w, http.StatusNotFound, "UnknownOperationException", r.Method+" "+r.URL.Path)
		return
	}
	name := Name(match[1])
	if h.o.Binary(name) == "" {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+match[1])
		return
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", err.Error())
		return
	case len(payload) > maxPayload:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", fmt.Sprintf("%d bytes are the most", maxPayload))
		return
	case len(payload) == 0:
		payload = []byte("{}")
	case !json.Valid(payload):
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json")
		return
	}
	h.answer(w, r, name, payload)
}

func (h *Host) answer(w http.ResponseWriter, r *http.Request, name string, payload []byte) {
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "DryRun":
		w.WriteHeader(http.StatusNoContent)
	case "Event":
		h.calls.Go(func() { _, _ = h.Invoke(context.WithoutCancel(r.Context()), name, payload) })
		w.WriteHeader(http.StatusAccepted)
	case "", "RequestResponse":
		result, err := h.Invoke(r.Context(), name, payload)
		if err != nil {
			refuse(w, err.Status, err.Kind, err.Message)
			return
		}
		if result.Failed {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Amz-Executed-Version", "$LATEST")
		_, _ = w.Write(result.Payload)
	default:
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "invocation type "+kind)
	}
}

// A Refusal is Lambda's own error about a call, as opposed to the function's.
type Refusal struct {
	// Status is the HTTP status, Kind the name of the error.
	Status        int
	Kind, Message string
}

// Error is for the interface.
func (r *Refusal) Error() string { return r.Kind + ": " + r.Message }

// A Result is what a function answered, or with Failed the report of its error.
type Result struct {
	Payload []byte
	Failed  bool
}

// Invoke calls a function and waits for its answer, or until ctx ends.
func (h *Host) Invoke(ctx context.Context, name string, payload []byte) (Result, *Refusal) {
	i, refusal := h.take(ctx, name)
	if refusal != nil {
		return Result{}, refusal
	}
	// A function works on when its caller has gone, here as on Lambda.
	done := make(chan Result, 1)
	h.calls.Go(func() {
		result, alive := i.call(payload, h.o.Timeout)
		h.give(name, i, alive)
		done <- result
	})
	select {
	case result := <-done:
		return result, nil
	case <-ctx.Done():
		return Result{}, &Refusal{http.StatusRequestTimeout, "RequestTimeout", ctx.Err().Error()}
	}
}

// take gives an idle process or starts one.
func (h *Host) take(ctx context.Context, name string) (*instance, *Refusal) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, &Refusal{http.StatusServiceUnavailable, "ServiceException", "closed"}
	}
	if free := h.idle[name]; len(free) > 0 {
		i := free[len(free)-1]
		h.idle[name] = free[:len(free)-1]
		h.mu.Unlock()
		return i, nil
	}
	if h.count[name] >= h.o.Most {
		h.mu.Unlock()
		return nil, &Refusal{http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded."}
	}
	h.count[name]++
	h.mu.Unlock()
	i, err := start(ctx, name, h.o)
	if err != nil {
		h.give(name, nil, false)
		return nil, &Refusal{http.StatusBadGateway, "InvalidRuntimeException", err.Error()}
	}
	h.mu.Lock()
	h.all[i] = true
	h.mu.Unlock()
	return i, nil
}

// give takes a process back; one that is dead makes room for another.
func (h *Host) give(name string, i *instance, alive bool) {
	h.mu.Lock()
	keep := alive && !h.closed
	if keep {
		h.idle[name] = append(h.idle[name], i)
	} else {
		h.count[name]--
		delete(h.all, i)
	}
	h.mu.Unlock()
	if !keep && i != nil {
		i.stop()
	}
}

// A Start is what it took to bring a function up.
type Start struct {
	// Init is the time from the process's start to its first request for work.
	Init time.Duration
	// PID is the process's.
	PID int
}

// Warm brings a function up without calling it, and tells what that took.
func (h *Host) Warm(ctx context.Context, name string) (Start, error) {
	i, refusal := h.take(ctx, name)
	if refusal != nil {
		return Start{}, refusal
	}
	h.give(name, i, true)
	return Start{Init: i.init, PID: i.cmd.Process.Pid}, nil
}

// Close ends all processes; calls that are under way fail.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	all := slices.Collect(maps.Keys(h.all))
	h.mu.Unlock()
	for _, i := range all {
		i.stop()
	}
	h.calls.Wait()
}

// Name is the function's name in a name, a partial ARN or an ARN, with or without version.
func Name(reference string) string {
	parts := strings.Split(reference, ":")
	for k, p := range parts {
		if p == "function" && k+1 < len(parts) {
			return parts[k+1]
		}
	}
	return parts[0]
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"Type": "User", "Message": message})
}

// lines lets many processes write to one place.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
