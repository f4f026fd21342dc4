package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// A run is an execution that the engine holds: one that runs, or whose end
// OnEnd does not know yet.
type run struct {
	e   *Engine
	arn string
	d   *asl.Definition

	ended chan struct{} // closed when the execution has ended

	mu       sync.Mutex
	record   Record
	x        *asl.Execution
	stop     func() bool // the timer's
	inFlight map[callKey]context.CancelFunc
	tokens   []string
	broken   error // the store has failed: nothing more may happen
}

type callKey struct{ frame, number int }

// adopt takes an execution into the engine's hands, without starting anything.
func (e *Engine) adopt(r Record, d *asl.Definition) *run {
	n := &run{e: e, arn: r.Execution.ID, d: d, record: r, x: r.Execution, ended: make(chan struct{}), inFlight: map[callKey]context.CancelFunc{}}
	e.runs[n.arn] = n
	return n
}

// step takes the execution forward, stores what happened, and only then lets
// loose what follows. It is called with r.mu held.
func (r *run) step(ev asl.Event) error {
	if r.broken != nil {
		return r.broken
	}
	if r.e.isClosed() {
		return fmt.Errorf("the engine is closed")
	}
	res, err := r.d.Step(r.x, ev, r.e.env())
	if err != nil {
		return err
	}
	over := r.x.Status != asl.Running
	if over && len(res.History) > 0 {
		r.record.HookPending = r.e.o.OnEnd != nil && r.x.Status != asl.Succeeded
	}
	if _, beat := ev.(asl.Beaten); beat || len(res.History) > 0 {
		if err := r.e.store.Commit(r.record, res.History); err != nil {
			r.broken = fmt.Errorf("store execution %s: %w", r.arn, err)
			r.e.o.Log("an execution stands still until the engine is restarted", r.broken)
			return r.broken
		}
	}
	for _, c := range res.Abandoned {
		if cancel := r.inFlight[callKey{c.Frame, c.Number}]; cancel != nil {
			cancel()
		}
	}
	r.follow()
	for _, c := range res.Calls {
		r.dispatch(c)
	}
	if over && len(res.History) > 0 {
		close(r.ended)
		r.afterEnd()
	}
	return nil
}

// resume lets loose what a stored execution waits for.
func (r *run) resume() {
	r.follow()
	if r.x.Status != asl.Running {
		close(r.ended)
		r.afterEnd()
		return
	}
	for _, c := range r.x.PendingCalls() {
		r.dispatch(c)
	}
}

// follow sets timer, tokens and index by the execution's state.
func (r *run) follow() {
	r.stopTimer()
	if due, ok := r.x.Due(); ok {
		// The engine counts in whole milliseconds: a wake-up within the one before would
		// find nothing due, and come again at once.
		if whole := due.Truncate(time.Millisecond); whole.Before(due) {
			due = whole.Add(time.Millisecond)
		}
		r.stop = r.e.clock.AfterFunc(due.Sub(r.e.clock.Now()), r.woken)
	}
	tokens := r.x.Tokens()
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	for _, t := range r.tokens {
		delete(r.e.tokens, t)
	}
	for _, t := range tokens {
		r.e.tokens[t] = r
	}
	r.tokens = tokens
	r.e.note(r.x)
}

func (r *run) stopTimer() {
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
}

func (r *run) woken() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.x.Status == asl.Running {
		_ = r.step(asl.Woken{}) // a store's error was logged, and stops the run
	}
}

// dispatch makes a call on its own goroutine.
func (r *run) dispatch(c asl.Call) {
	ctx, cancel := r.e.callContext(r.arn, c)
	key := callKey{c.Frame, c.Number}
	r.inFlight[key] = cancel
	r.e.start(func() {
		out, why := r.e.invoke(ctx, c)
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.inFlight, key)
		if r.e.ctx.Err() != nil {
			return // the next engine makes the call again
		}
		_ = r.step(asl.Returned{Frame: c.Frame, Number: c.Number, Output: out, Failure: why})
	})
}

// start runs f in the engine's name, in its turn where the clock is virtual.
func (e *Engine) start(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.working.Add(1)
	e.clock.AfterFunc(0, func() {
		defer e.working.Done()
		f()
	})
}

func (e *Engine) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// Delays between tries to tell OnEnd, and the time after which it is given up, as EventBridge
// gives an event up after a day.
const (
	hookDelay    = time.Second
	maxHookDelay = time.Minute
	hookPatience = 24 * time.Hour
)

// afterEnd tells OnEnd, and lets go of the execution.
func (r *run) afterEnd() {
	if !r.record.HookPending || r.e.o.OnEnd == nil {
		r.e.forget(r)
		return
	}
	change, redrives := statusChange(r.x), r.x.Redrives
	ctx := r.e.ctx
	r.e.start(func() {
		delay, until := hookDelay, r.e.clock.Now().Add(hookPatience)
		for {
			err := r.e.o.OnEnd(ctx, change)
			if err == nil {
				break
			}
			r.e.o.Log("tell the end of execution "+r.arn, err)
			if !r.e.clock.Now().Before(until) {
				break
			}
			if r.e.clock.Sleep(ctx, delay) != nil {
				return
			}
			delay = min(2*delay, maxHookDelay)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.x.Redrives != redrives {
			return // its next end is told by itself
		}
		r.record.HookPending = false
		if err := r.e.store.Commit(r.record, nil); err != nil {
			r.e.o.Log("store that the end of an execution was told", err)
		}
		r.e.forget(r)
	})
}

func (e *Engine) forget(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runs[r.arn] == r {
		delete(e.runs, r.arn)
	}
}

func statusChange(x *asl.Execution) ExecutionStatusChange {
	stop := x.Ended.UnixMilli()
	return ExecutionStatusChange{
		ExecutionArn: x.ID, StateMachineArn: x.MachineID, Name: x.Name, Status: string(x.Status),
		StartDate: x.Started.UnixMilli(), StopDate: &stop,
		Input: x.Input, InputDetails: &detail{Included: true},
		Error: x.Error, Cause: x.Cause,
	}
}
