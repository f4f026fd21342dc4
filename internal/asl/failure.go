package asl

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Names of errors that the language itself knows.
const (
	allErrors         = "States.ALL"
	taskFailed        = "States.TaskFailed"
	timeoutError      = "States.Timeout"
	heartbeatTimeout  = "States.HeartbeatTimeout"
	runtimeError      = "States.Runtime"
	dataLimitExceeded = "States.DataLimitExceeded"
	resultPathFailure = "States.ResultPathMatchFailure"
)

// A problem is an error on its way to whoever handles it.
type problem struct {
	Failure
	terminal  bool // States.ALL and States.TaskFailed do not match it
	heartbeat bool // the timeout was a missing heartbeat
}

func ptr[T any](v T) *T { return &v }

func failure(name, cause string) Failure { return Failure{Error: &name, Cause: &cause} }

// reason is an error that becomes a Cause. Causes are read by people, and by
// programs that know AWS's words, so they are sentences.
func reason(format string, args ...any) error { return fmt.Errorf(format, args...) }

// atState names the state in the cause, as AWS does.
func (s *stepper) atState(f *Frame, name, cause string) problem {
	return problem{Failure: failure(name, fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). %s", f.State, f.EnteredID, cause))}
}

// crash is an error of the definition: the data does not fit it, which nothing can
// catch, or is too large.
func (s *stepper) crash(f *Frame, err error) {
	if errors.Is(err, errTooLarge) {
		s.fail(f, s.tooLarge(f))
		return
	}
	s.fail(f, s.atState(f, runtimeError, err.Error()))
}

func (s *stepper) tooLarge(f *Frame) problem {
	p := problem{Failure: failure(dataLimitExceeded, fmt.Sprintf("The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", f.State))}
	p.terminal = true
	return p
}

func (s *stepper) failState(f *Frame, st *state, in any) {
	sc := s.scope(f, in)
	name, err := st.err.of(sc, "ErrorPath")
	if err != nil {
		s.crash(f, err)
		return
	}
	cause, err := st.cause.of(sc, "CausePath")
	if err != nil {
		s.crash(f, err)
		return
	}
	s.fail(f, problem{Failure: Failure{Error: name, Cause: cause}})
}

func (t text) of(sc *scope, field string) (*string, error) {
	if t.expr == nil {
		return t.literal, nil
	}
	v, err := t.expr.eval(sc, field)
	if err != nil {
		return nil, err
	}
	s, ok := v.(string)
	if !ok {
		return nil, reason("The value of the field '%s' must be a string but was %s", field, typeName(v))
	}
	return &s, nil
}

// fail takes an error up from a frame, through the Parallel and Map states
// around it, to the first that retries or catches it. If none does, the
// execution fails, and its frames stay for a redrive.
func (s *stepper) fail(f *Frame, p problem) {
	for {
		st := s.state(f)
		if s.retry(f, st, p) {
			return
		}
		if f.Status == FrameJoining {
			s.log(f, string(st.kind)+"StateFailed", Details{})
		}
		if s.catch(f, st, p) {
			return
		}
		if f.Status != FrameJoining {
			f.Status = FrameStuck
		}
		if f.Parent == 0 {
			s.end(Failed, f, p.Failure)
			return
		}
		up := s.parent(f)
		up.Previous = f.Previous
		if s.state(up).kind == mapping {
			s.aside(f.Previous, "MapIterationFailed", Details{Name: up.State, Index: ptr(f.Index)})
		}
		s.abortBelow(up, f.Previous, f)
		f = up
	}
}

// abortBelow stops the frames that work for up, all but one.
func (s *stepper) abortBelow(up *Frame, previous int64, except *Frame) {
	for _, g := range s.x.Frames {
		if g.Parent != up.ID || g == except || g.Status == FrameStuck {
			continue
		}
		s.abandon(g)
		st := s.state(g)
		if g.Status == FrameJoining {
			s.abortBelow(g, previous, nil)
		}
		switch {
		case g.Status == FrameReady: // not entered yet
		case st.kind == task, st.kind == wait, st.kind == parallel, st.kind == mapping:
			s.aside(previous, string(st.kind)+"StateAborted", Details{})
		}
		if s.state(up).kind == mapping {
			s.aside(previous, "MapIterationAborted", Details{Name: up.State, Index: ptr(g.Index)})
		}
		if g.Status != FrameJoining && g.Status != FrameReady {
			g.Status = FrameStuck
		}
	}
}

// drop forgets the frames that work for f.
func (s *stepper) drop(f *Frame) {
	var below []*Frame
	for _, g := range s.x.Frames {
		if g.Parent == f.ID {
			below = append(below, g)
		}
	}
	for _, g := range below {
		s.drop(g)
		s.abandon(g)
		s.remove(g)
	}
	f.Branching = nil
}

// retry starts the delay of the first retrier that matches and has attempts
// left. It writes no event: the next one follows the failure.
func (s *stepper) retry(f *Frame, st *state, p problem) bool {
	for i, r := range st.retry {
		if !p.matches(r.errors) {
			continue
		}
		if f.Retries == nil {
			f.Retries = make([]int, len(st.retry))
		}
		if int64(f.Retries[i]) >= r.maxAttempts {
			return false
		}
		delay := r.delay(f.Retries[i], s.env.Random)
		f.Retries[i]++
		f.RetryCount++
		s.drop(f)
		f.Status, f.Wake = FrameRetrying, s.env.Now.Add(delay)
		return true
	}
	return false
}

// maxRetryWait keeps a growing delay within what a clock can count.
const maxRetryWait = 100 * 365 * 24 * time.Hour

// delay is how long to wait before the attempt that follows done others.
func (r retrier) delay(done int, random func() float64) time.Duration {
	seconds := r.interval * math.Pow(r.backoff, float64(done))
	if r.maxDelay > 0 {
		seconds = min(seconds, r.maxDelay)
	}
	if r.fullJitter {
		seconds *= random()
	}
	if seconds > maxRetryWait.Seconds() {
		return maxRetryWait
	}
	return time.Duration(seconds * float64(time.Second))
}

// catch goes to the state of the first catcher that matches.
func (s *stepper) catch(f *Frame, st *state, p problem) bool {
	for _, k := range st.catch {
		if !p.matches(k.errors) {
			continue
		}
		out, err := k.result.put(s.raw(f), p.value())
		if err != nil {
			return false
		}
		s.drop(f)
		s.exit(f, &state{name: st.name, kind: st.kind}, out, k.next)
		return true
	}
	return false
}

// value is the error as a catcher's state gets it. What is absent is null there,
// but the cause of a timeout is an empty string.
func (p problem) value() any {
	v := map[string]any{"Error": nil, "Cause": nil}
	if p.Error != nil {
		v["Error"] = *p.Error
		if *p.Error == timeoutError {
			v["Cause"] = ""
		}
	}
	if p.Cause != nil {
		v["Cause"] = *p.Cause
	}
	return v
}

// matches says whether a list of ErrorEquals means this problem.
func (p problem) matches(names []string) bool {
	name := ""
	if p.Error != nil {
		name = *p.Error
	}
	if name == runtimeError {
		return false
	}
	for _, n := range names {
		switch {
		case n == name && name != "",
			n == allErrors && !p.terminal,
			n == taskFailed && !p.terminal && name != timeoutError,
			n == heartbeatTimeout && p.heartbeat:
			return true
		}
	}
	return false
}
