package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// A Description is what DescribeExecution tells of an execution.
type Description struct {
	ARN, Name, MachineARN string
	Status                asl.Status
	Started               time.Time
	Stopped               time.Time // zero while it runs
	Input                 string
	Output                string // of one that has succeeded
	Error, Cause          *string
	TraceID               string
	Redrives              int
	Redriven              time.Time // zero if never
	// NotRedrivable says why the execution cannot be redriven; empty if it can.
	NotRedrivable string
}

// StartInput is what StartExecution takes.
type StartInput struct {
	MachineARN string
	Name       string // a random one if empty
	Input      string // {} if empty
	TraceID    string
}

// Start starts an execution and gives its ARN and when it started. Starting it
// again, with the same name and input while it runs, gives the same.
func (e *Engine) Start(in StartInput) (arn string, started time.Time, err error) {
	defer e.hold()()
	if in.Name == "" {
		in.Name = e.o.NewUUID()
	}
	if in.Input == "" {
		in.Input = "{}"
	}
	if err := checkName("an execution's name", in.Name); err != nil {
		return "", started, err
	}
	if len(in.Input) > asl.MaxData {
		return "", started, fault(ValidationException, "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to %d", asl.MaxData)
	}
	if !json.Valid([]byte(in.Input)) {
		return "", started, fault(InvalidExecutionInput, "Invalid State Machine Execution Input: the input is not JSON")
	}
	r, x, err := e.prepare(in)
	if err != nil {
		return "", started, err
	}
	if r == nil {
		return x.arn, x.started, nil
	}
	defer r.mu.Unlock()
	if err := r.step(asl.Begun{}); err != nil {
		return "", started, fmt.Errorf("start execution %s: %w", r.arn, err)
	}
	return r.arn, r.x.Started, nil
}

// prepare makes a run that nobody else can step before its lock, which it is
// returned with, is free. Or it finds the same execution, running already.
func (e *Engine) prepare(in StartInput) (*run, *summary, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m, err := e.machine(in.MachineARN)
	if err != nil {
		return nil, nil, err
	}
	arn := e.executionARN(m.Name, in.Name)
	if s := e.index[arn]; s != nil {
		if r := e.runs[arn]; r != nil && s.status == asl.Running && r.record.Execution.Input == in.Input {
			return nil, s, nil
		}
		return nil, nil, fault(ExecutionAlreadyExists, "Execution Already Exists: '%s'", arn)
	}
	d, err := e.definition(m.Definition)
	if err != nil {
		return nil, nil, fault(InvalidDefinition, "Invalid State Machine Definition: '%v'", err)
	}
	x := &asl.Execution{
		ID: arn, Name: in.Name, MachineID: m.ARN, MachineName: m.Name, RoleARN: m.RoleARN,
		Input: in.Input, Started: e.clock.Now().UTC().Truncate(time.Millisecond),
	}
	r := e.adopt(Record{Execution: x, Definition: m.Definition, Revision: m.Revision, TraceID: in.TraceID}, d)
	r.mu.Lock()
	e.note(x)
	e.index[arn].status = asl.Running
	return r, nil, nil
}

// locked gives an execution's run with its lock held, or nil where the engine
// holds it no more.
func (e *Engine) locked(arn string) (*run, error) {
	if _, err := parseARN(arn, "execution"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	r, known := e.runs[arn], e.index[arn] != nil
	e.mu.Unlock()
	if !known {
		return nil, fault(ExecutionDoesNotExist, "Execution Does Not Exist: '%s'", arn)
	}
	if r != nil {
		r.mu.Lock()
	}
	return r, nil
}

// record gives what is known of an execution to f, which must not keep it.
func (e *Engine) record(arn string, f func(Record)) error {
	r, err := e.locked(arn)
	if err != nil {
		return err
	}
	if r != nil {
		defer r.mu.Unlock()
		f(r.record)
		return nil
	}
	stored, err := e.store.Record(arn)
	if err != nil {
		return fmt.Errorf("read execution %s: %w", arn, err)
	}
	f(stored)
	return nil
}

// Describe tells where an execution stands.
func (e *Engine) Describe(arn string) (Description, error) {
	var d Description
	err := e.record(arn, func(r Record) {
		x := r.Execution
		d = Description{
			ARN: x.ID, Name: x.Name, MachineARN: x.MachineID, Status: x.Status, Started: x.Started, Stopped: x.Ended,
			Input: x.Input, Output: x.Output, Error: x.Error, Cause: x.Cause, TraceID: r.TraceID,
			Redrives: x.Redrives, Redriven: x.Redriven, NotRedrivable: e.notRedrivable(x),
		}
	})
	return d, err
}

func (e *Engine) notRedrivable(x *asl.Execution) string {
	switch {
	case x.Status == asl.Running:
		return "Execution is RUNNING and cannot be redriven"
	case x.Status == asl.Succeeded:
		return "Execution is SUCCEEDED and cannot be redriven"
	case e.clock.Now().Sub(x.Started) > maxAge:
		return "Execution started more than 14 days ago and cannot be redriven"
	case x.LastEvent >= asl.MaxEvents-1:
		return "Execution history event limit exceeded"
	}
	return ""
}

// Stop ends a running execution as ABORTED. Stopping one that has ended does
// nothing, and gives when it ended.
func (e *Engine) Stop(arn string, why asl.Failure) (time.Time, error) {
	defer e.hold()()
	r, err := e.locked(arn)
	if err != nil {
		return time.Time{}, err
	}
	if r == nil {
		d, err := e.Describe(arn)
		return d.Stopped, err
	}
	defer r.mu.Unlock()
	if err := r.step(asl.Stopped{Failure: why}); err != nil && !errors.Is(err, asl.ErrNotRunning) {
		return time.Time{}, fmt.Errorf("stop execution %s: %w", arn, err)
	}
	return r.x.Ended, nil
}

// Redrive takes up an execution that failed, timed out or was aborted, where it
// stopped. A second request with the same client token, if it is not empty,
// does nothing and gives the time of the first.
func (e *Engine) Redrive(arn, clientToken string) (time.Time, error) {
	defer e.hold()()
	r, err := e.locked(arn)
	if err != nil {
		return time.Time{}, err
	}
	if r == nil {
		if r, err = e.reopen(arn); err != nil {
			return time.Time{}, err
		}
	}
	defer r.mu.Unlock()
	if clientToken != "" && r.record.RedriveToken == clientToken {
		e.letGo(r)
		return r.x.Redriven, nil
	}
	if why := e.notRedrivable(r.x); why != "" {
		e.letGo(r)
		return time.Time{}, fault(ExecutionNotRedrivable, "%s", why)
	}
	r.ended = make(chan struct{})
	r.record.RedriveToken = clientToken
	if err := r.step(asl.Redriven{}); err != nil {
		return time.Time{}, fmt.Errorf("redrive execution %s: %w", arn, err)
	}
	return r.x.Redriven, nil
}

// letGo forgets a run that was only looked at.
func (e *Engine) letGo(r *run) {
	if r.x.Status != asl.Running && !r.record.HookPending {
		e.forget(r)
	}
}

// reopen takes an ended execution back from the store, with its lock held.
func (e *Engine) reopen(arn string) (*run, error) {
	r, err := e.taken(arn)
	if err == nil {
		r.mu.Lock()
	}
	return r, err
}

func (e *Engine) taken(arn string) (*run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[arn]; r != nil {
		return r, nil
	}
	record, err := e.store.Record(arn)
	if err != nil {
		return nil, fmt.Errorf("read execution %s: %w", arn, err)
	}
	d, err := e.definition(record.Definition)
	if err != nil {
		return nil, fault(InvalidDefinition, "Invalid State Machine Definition: '%v'", err)
	}
	return e.adopt(record, d), nil
}

// History are up to n events of an execution after the first skip ones; in
// reverse, before the last skip ones and backwards. Events without data have no
// inputs and outputs.
func (e *Engine) History(arn string, skip, n int, reverse, data bool) ([]asl.HistoryEvent, error) {
	var events []asl.HistoryEvent
	var err error
	if found := e.record(arn, func(Record) { events, err = e.store.History(arn, skip, n, reverse) }); found != nil {
		return nil, found
	}
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", arn, err)
	}
	if !data {
		for i := range events {
			events[i] = events[i].WithoutData()
		}
	}
	return events, nil
}

// MachineOf is the state machine as it was when the execution started.
func (e *Engine) MachineOf(arn string) (Machine, error) {
	var m Machine
	err := e.record(arn, func(r Record) {
		x := r.Execution
		m = Machine{ARN: x.MachineID, Name: x.MachineName, RoleARN: x.RoleARN, Definition: r.Definition, Revision: r.Revision, Updated: x.Started}
	})
	return m, err
}

// SendTaskSuccess answers a task token with a result, which is JSON.
func (e *Engine) SendTaskSuccess(token, output string) error {
	if len(output) > asl.MaxData {
		return fault(ValidationException, "1 validation error detected: Value at 'output' failed to satisfy constraint: Member must have length less than or equal to %d", asl.MaxData)
	}
	if !json.Valid([]byte(output)) {
		return fault(InvalidOutput, "Invalid Output: the output is not JSON")
	}
	return e.answer(token, asl.Answered{Token: token, Output: output})
}

// SendTaskFailure answers a task token with an error.
func (e *Engine) SendTaskFailure(token string, why asl.Failure) error {
	return e.answer(token, asl.Answered{Token: token, Failure: &why})
}

// SendTaskHeartbeat says that a task is alive.
func (e *Engine) SendTaskHeartbeat(token string) error {
	return e.answer(token, asl.Beaten{Token: token})
}

func (e *Engine) answer(token string, ev asl.Event) error {
	defer e.hold()()
	e.mu.Lock()
	r := e.tokens[token]
	e.mu.Unlock()
	if r == nil {
		return unknownToken(token)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.step(ev)
	if errors.Is(err, asl.ErrNoTask) {
		return unknownToken(token)
	}
	if err != nil {
		return fmt.Errorf("answer a task of execution %s: %w", r.arn, err)
	}
	return nil
}

// unknownToken tells a token whose task is over from what never was one.
func unknownToken(token string) error {
	if len(token) > len(tokenPrefix) && token[:len(tokenPrefix)] == tokenPrefix {
		return fault(TaskTimedOut, "Task Timed Out: 'Provided task does not exist anymore'")
	}
	return fault(InvalidToken, "Invalid Token: 'Invalid token'")
}
