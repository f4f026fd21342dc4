package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
)

// An Engine runs executions. Its methods mirror the Step Functions API and
// return a *Fault for what the API calls an error.
type Engine struct {
	o      Options
	clock  clock.Scheduler
	store  Store
	ctx    context.Context
	cancel context.CancelFunc

	mu          sync.Mutex
	machines    map[string]Machine
	definitions map[string]*asl.Definition // by text, of machines and running executions
	runs        map[string]*run            // by execution ARN, while they run
	index       map[string]*summary        // of every execution
	order       []string                   // ARNs as they were started
	tokens      map[string]*run
	closed      bool
	working     sync.WaitGroup
}

// A summary is what lists show of an execution.
type summary struct {
	arn, name, machine string
	status             asl.Status
	started, stopped   time.Time
	redrives           int
	redriven           time.Time
}

// New opens an engine on what its store holds, and goes on with the executions
// that run there.
func New(o Options) (*Engine, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Store == nil {
		o.Store = NewMemory()
	}
	if o.Account == "" {
		o.Account = "000000000000"
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{}
	}
	if o.Random == nil {
		o.Random = mathrand.Float64
	}
	if o.NewUUID == nil {
		o.NewUUID = newUUID
	}
	if o.NewToken == nil {
		o.NewToken = func() string { return tokenPrefix + randomHex(48) }
	}
	if o.Parse == nil {
		o.Parse = func(text string) (*asl.Definition, error) { return asl.Parse([]byte(text), asl.Options{}) }
	}
	if o.Log == nil {
		o.Log = func(string, error) {}
	}
	e := &Engine{
		o: o, clock: o.Clock, store: o.Store,
		machines: map[string]Machine{}, definitions: map[string]*asl.Definition{},
		runs: map[string]*run{}, index: map[string]*summary{}, tokens: map[string]*run{},
	}
	e.ctx, e.cancel = clock.WithCancel(context.Background())
	defer e.hold()()
	if err := e.load(); err != nil {
		e.cancel()
		return nil, err
	}
	return e, nil
}

// tokenPrefix tells tokens of an engine from other text.
const tokenPrefix = "AQCE"

func randomHex(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func newUUID() string {
	h := []byte(randomHex(32))
	h[12], h[16] = '4', "89ab"[h[16]&3]
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// hold keeps a virtual clock still while the caller is at work in the engine.
func (e *Engine) hold() (release func()) {
	if v, ok := e.clock.(*clock.Virtual); ok {
		v.Begin()
		return v.End
	}
	return func() {}
}

// load reads the store, and lets loose what was under way.
func (e *Engine) load() error {
	machines, err := e.store.Machines()
	if err != nil {
		return fmt.Errorf("read state machines: %w", err)
	}
	for _, m := range machines {
		e.machines[m.ARN] = m
	}
	var pending []*run
	var broken error
	err = e.store.Records(func(r Record) bool {
		x := r.Execution
		e.note(x)
		if x.Status != asl.Running && !r.HookPending {
			return true
		}
		d, err := e.definition(r.Definition)
		if err != nil {
			broken = fmt.Errorf("resume execution %s: %w", x.ID, err)
			return false
		}
		pending = append(pending, e.adopt(r, d))
		return true
	})
	if err = errors.Join(err, broken); err != nil {
		return fmt.Errorf("read executions: %w", err)
	}
	for _, r := range pending {
		r.mu.Lock()
		r.resume()
		r.mu.Unlock()
	}
	return nil
}

// definition parses a text once.
func (e *Engine) definition(text string) (*asl.Definition, error) {
	if d := e.definitions[text]; d != nil {
		return d, nil
	}
	d, err := e.o.Parse(text)
	if err != nil {
		return nil, err
	}
	e.definitions[text] = d
	return d, nil
}

// note keeps the index up to date. It is called with e.mu held, or before
// anybody else knows the engine.
func (e *Engine) note(x *asl.Execution) {
	s := e.index[x.ID]
	if s == nil {
		s = &summary{arn: x.ID, name: x.Name, machine: x.MachineID, started: x.Started}
		e.index[x.ID] = s
		e.order = append(e.order, x.ID)
	}
	s.status, s.stopped, s.redrives, s.redriven = x.Status, x.Ended, x.Redrives, x.Redriven
}

// Close stops the engine. Running executions stay as they are stored; calls
// that are under way are given up, and made again by the next engine.
func (e *Engine) Close() error {
	if !e.Abandon() {
		return nil
	}
	e.working.Wait()
	return e.store.Close()
}

// Abandon stops the engine where it stands, as the end of its process would: it waits for
// nobody, and the store stays open. It reports whether the engine was running. A simulation
// ends an engine by it, and opens the next one on the same store.
func (e *Engine) Abandon() bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	e.closed = true
	var runs []*run
	for _, r := range e.runs {
		runs = append(runs, r)
	}
	e.mu.Unlock()
	e.cancel()
	for _, r := range runs {
		r.mu.Lock()
		r.stopTimer()
		r.mu.Unlock()
	}
	return true
}

func (e *Engine) env() asl.Env {
	return asl.Env{Now: e.clock.Now().UTC().Truncate(time.Millisecond), Region: e.o.Region, Random: e.o.Random, NewUUID: e.o.NewUUID, NewToken: e.o.NewToken}
}

// Run returns when nothing is left to do at any time: every execution has
// ended. It needs a virtual clock, which it lets run out.
func (e *Engine) Run(ctx context.Context) error {
	v, ok := e.clock.(*clock.Virtual)
	if !ok {
		return errors.New("run until idle: the clock is not virtual")
	}
	return v.Wait(ctx)
}

// Wait returns when the execution has ended.
func (e *Engine) Wait(ctx context.Context, arn string) error {
	e.mu.Lock()
	r, known := e.runs[arn], e.index[arn] != nil
	e.mu.Unlock()
	if !known {
		return fault(ExecutionDoesNotExist, "Execution Does Not Exist: '%s'", arn)
	}
	if r == nil {
		return nil
	}
	r.mu.Lock()
	ended := r.ended
	r.mu.Unlock()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for execution %s: %w", arn, ctx.Err())
	}
}
