package lambdahost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// startWithin is how long a process may take to ask for work. Lambda allows ten seconds.
const startWithin = 10 * time.Second

// An instance is one process of a function, and the Runtime API that it talks to. It handles one
// call at a time.
type instance struct {
	name   string
	cmd    *exec.Cmd
	server *http.Server
	init   time.Duration

	// ready is closed at the first request for work, gone when the process has ended.
	ready, gone chan struct{}
	isReady     sync.Once
	// work hands a call to the process's next request for it.
	work chan *call
	// current is the call that the process works on.
	current  atomic.Pointer[call]
	initFail atomic.Pointer[[]byte]
}

type call struct {
	id       string
	payload  []byte
	deadline time.Time
	result   chan Result
}

var calls atomic.Int64

// start runs the function's binary and waits until it asks for work.
func start(ctx context.Context, name string, o Options) (*instance, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", name, err)
	}
	i := &instance{name: name, ready: make(chan struct{}), gone: make(chan struct{}), work: make(chan *call)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", i.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", i.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", i.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", i.initFailure)
	i.server = &http.Server{Handler: mux}
	go func() { _ = i.server.Serve(listener) }()

	i.cmd = exec.Command(o.Binary(name))
	i.cmd.Env = append(slices.Clone(o.Env(name)),
		"AWS_LAMBDA_RUNTIME_API="+listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME="+name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "_HANDLER=bootstrap")
	i.cmd.Stdout, i.cmd.Stderr = o.Log, o.Log
	// The process must not outlive us, whatever ends us.
	i.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := i.cmd.Start(); err != nil {
		_ = i.server.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = i.cmd.Wait()
		close(i.gone)
	}()
	select {
	case <-i.ready:
		i.init = time.Since(began)
		return i, nil
	case <-i.gone:
		err = errors.New("it ended before it asked for work")
	case <-time.After(startWithin):
		err = fmt.Errorf("it did not ask for work within %v", startWithin)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if report := i.initFail.Load(); report != nil {
		err = fmt.Errorf("%w: %s", err, *report)
	}
	i.stop()
	return nil, fmt.Errorf("start %s: %w", name, err)
}

// call gives the process one payload. Alive tells whether it can take another.
func (i *instance) call(payload []byte, timeout time.Duration) (result Result, alive bool) {
	c := &call{
		id: fmt.Sprintf("00000000-0000-4000-8000-%012d", calls.Add(1)), payload: payload,
		deadline: time.Now().Add(timeout), result: make(chan Result, 1),
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case i.work <- c:
	case <-i.gone:
		return crashed(c.id, "before the call"), false
	}
	select {
	case r := <-c.result:
		return r, true
	case <-i.gone:
		return crashed(c.id, i.cmd.ProcessState.String()), false
	case <-timer.C:
		return report("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", c.id, timeout.Seconds())), false
	}
}

// crashed is Lambda's report of a process that ended in the middle of a call.
func crashed(id, how string) Result {
	return report("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited: %s", id, how))
}

func report(kind, message string) Result {
	payload, err := json.Marshal(map[string]string{"errorType": kind, "errorMessage": message})
	if err != nil {
		panic(err) // two strings are always JSON
	}
	return Result{Payload: payload, Failed: true}
}

// next hands out work: the Runtime API's long poll.
func (i *instance) next(w http.ResponseWriter, r *http.Request) {
	i.isReady.Do(func() { close(i.ready) })
	select {
	case c := <-i.work:
		i.current.Store(c)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", c.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:"+i.name)
		_, _ = w.Write(c.payload)
	case <-r.Context().Done():
	case <-i.gone:
	}
}

func (i *instance) response(w http.ResponseWriter, r *http.Request) { i.done(w, r, false) }
func (i *instance) failure(w http.ResponseWriter, r *http.Request)  { i.done(w, r, true) }

func (i *instance) done(w http.ResponseWriter, r *http.Request, failed bool) {
	c := i.current.Load()
	if c == nil || c.id != r.PathValue("id") {
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload+1))
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case len(body) > maxPayload:
		c.result <- report("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload))
	default:
		c.result <- Result{Payload: body, Failed: failed}
	}
	i.current.Store(nil)
	w.WriteHeader(http.StatusAccepted)
}

func (i *instance) initFailure(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	i.initFail.Store(&body)
	w.WriteHeader(http.StatusAccepted)
}

// stop ends the process and waits for it. It may be called twice.
func (i *instance) stop() {
	select {
	case <-i.gone:
	default:
		_ = syscall.Kill(-i.cmd.Process.Pid, syscall.SIGKILL)
		<-i.gone
	}
	_ = i.server.Close()
}
