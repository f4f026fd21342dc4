package asl

import (
	"fmt"
	"reflect"
	"time"
)

// Step takes an execution forward by one event, as far as it goes without
// waiting. An error leaves the execution as it was.
//
// A Returned event that nobody waits for is no error: the task may have timed
// out, or been answered by its token. Begun, Woken and Returned events for an
// execution that has ended do nothing.
func (d *Definition) Step(x *Execution, ev Event, env Env) (Result, error) {
	s := &stepper{d: d, x: x, env: env, data: map[int]any{}}
	switch ev := ev.(type) {
	case Begun:
		s.begin()
	case Woken:
		s.wake()
	case Returned:
		s.returned(ev)
	case Answered:
		f := x.byToken(ev.Token)
		if f == nil {
			return Result{}, ErrNoTask
		}
		s.ended(f, ev.Output, ev.Failure)
	case Beaten:
		f := x.byToken(ev.Token)
		if f == nil {
			return Result{}, ErrNoTask
		}
		f.beat(env.Now)
	case Stopped:
		if x.Status != Running {
			return Result{}, ErrNotRunning
		}
		s.end(Aborted, s.root(), ev.Failure)
	case Redriven:
		if x.Status == Running || x.Status == Succeeded || x.LastEvent >= MaxEvents-1 {
			return Result{}, ErrNotRedrivable
		}
		s.redrive()
	}
	s.run()
	return s.res, nil
}

// overflow fails an execution whose history is full.
func (s *stepper) overflow() {
	if s.full && s.x.Status == Running {
		cause := fmt.Sprintf("The execution reached the maximum number of history events (%d).", MaxEvents)
		s.end(Failed, s.root(), failure(runtimeError, cause))
	}
}

// A stepper is the work of one step.
type stepper struct {
	d    *Definition
	x    *Execution
	env  Env
	res  Result
	data map[int]any // decoded inputs of frames, where known
	full bool        // the history has no room

	logged int // bytes of events
}

// maxStep is how many bytes of events one step makes, roughly. Whatever is
// ready then is due at once, in the next step.
const maxStep = 1 << 20

func (x *Execution) byToken(token string) *Frame {
	for _, f := range x.Frames {
		if x.Status == Running && f.Status == FrameCalling && f.Call.Token == token && token != "" {
			return f
		}
	}
	return nil
}

func (s *stepper) root() *Frame { return s.x.Frames[0] }

func (s *stepper) parent(f *Frame) *Frame { return s.x.frame(f.Parent) }

func (s *stepper) state(f *Frame) *state { return s.d.stateOf(s.x, f) }

// begin enters the first state.
func (s *stepper) begin() {
	x := s.x
	if x.Status != "" {
		return
	}
	x.Status = Running
	if s.d.timeout > 0 {
		x.Deadline = x.Started.Add(time.Duration(s.d.timeout) * time.Second)
	}
	input := x.Input
	f := s.newFrame(0, 0, s.d.top.startAt, input, 0)
	s.log(f, "ExecutionStarted", withInput(Details{RoleARN: x.RoleARN}, input))
	f.Previous = 0 // as recorded: the first state does not follow the start
}

func (s *stepper) newFrame(parent, index int, start string, input string, previous int64) *Frame {
	s.x.LastFrame++
	f := &Frame{ID: s.x.LastFrame, Parent: parent, Index: index, State: start, Input: input, Status: FrameReady, Previous: previous}
	s.x.Frames = append(s.x.Frames, f)
	return f
}

// run lets every ready frame go on, oldest first.
func (s *stepper) run() {
	for {
		s.overflow()
		if s.x.Status != Running {
			return
		}
		var next *Frame
		for _, f := range s.x.Frames {
			if f.Status == FrameReady {
				next = f
				break
			}
		}
		if next == nil || len(s.res.History) > 0 && s.logged > maxStep {
			return
		}
		s.enter(next)
	}
}

// log adds an event that the frame's next one follows.
func (s *stepper) log(f *Frame, typ string, d Details) int64 {
	id := s.aside(f.Previous, typ, d)
	f.Previous = id
	return id
}

// aside adds an event that follows previous and that nothing follows. The last
// event that fits is kept for the end of the execution.
func (s *stepper) aside(previous int64, typ string, d Details) int64 {
	if s.x.LastEvent >= MaxEvents-1 && s.x.Status == Running {
		s.full = true
		return s.x.LastEvent
	}
	s.x.LastEvent++
	s.logged += d.size()
	s.res.History = append(s.res.History, HistoryEvent{ID: s.x.LastEvent, Previous: previous, Type: typ, Time: s.env.Now, Details: d})
	return s.x.LastEvent
}

func withInput(d Details, input string) Details {
	d.Input, d.InputInfo = &input, &payload{}
	return d
}

func withOutput(d Details, output string) Details {
	d.Output, d.OutputInfo = &output, &payload{}
	return d
}

// enter starts the state that the frame stands before.
func (s *stepper) enter(f *Frame) {
	st := s.state(f)
	f.Entered = s.env.Now
	f.Retries, f.RetryCount = nil, 0
	f.EnteredID = s.log(f, string(st.kind)+"StateEntered", withInput(Details{Name: st.name}, f.Input))
	s.work(f, st)
}

// work does what the state is for; it is called again for each retry.
func (s *stepper) work(f *Frame, st *state) {
	in, err := s.effectiveInput(f, st)
	if err != nil {
		s.crash(f, err)
		return
	}
	switch st.kind {
	case pass:
		s.pass(f, st, in)
	case choice:
		s.choose(f, st, in)
	case wait:
		s.wait(f, st, in)
	case task:
		s.call(f, st, in)
	case succeed:
		s.leave(f, st, in)
	case fail:
		s.failState(f, st, in)
	case parallel, mapping:
		s.branch(f, st, in)
	}
}

// raw is the frame's raw input as a value.
func (s *stepper) raw(f *Frame) any {
	if v, ok := s.data[f.ID]; ok {
		return v
	}
	v, err := decode(f.Input)
	if err != nil {
		panic(fmt.Sprintf("asl: stored input of state %q: %v", f.State, err)) // it was checked when it was stored
	}
	s.data[f.ID] = v
	return v
}

func (s *stepper) scope(f *Frame, data any) *scope {
	return &scope{data: data, random: s.env.Random, uuid: s.env.NewUUID, context: func() any { return s.context(f) }}
}

func (s *stepper) effectiveInput(f *Frame, st *state) (any, error) {
	return st.input.from(s.scope(f, s.raw(f)), "InputPath")
}

// from takes the place's value out of the scope's data.
func (p place) from(sc *scope, field string) (any, error) {
	switch {
	case p.none:
		return map[string]any{}, nil
	case p.path == nil:
		return sc.data, nil
	}
	v, found := p.path.in(sc)
	if !found {
		return nil, notFound(p.path, sc, field)
	}
	return v, nil
}

func (s *stepper) pass(f *Frame, st *state, in any) {
	result := in
	var err error
	if st.parameters != nil {
		if result, err = st.parameters.eval(s.scope(f, in)); err != nil {
			s.crash(f, err)
			return
		}
	}
	if st.hasLiteral {
		result = st.literal
	}
	s.finish(f, st, result)
}

func (s *stepper) choose(f *Frame, st *state, in any) {
	sc := s.scope(f, in)
	next := st.defaultState
	for i := range st.rules {
		ok, err := st.rules[i].holds(sc)
		if err != nil {
			s.crash(f, err)
			return
		}
		if ok {
			next = st.rules[i].next
			break
		}
	}
	if next == "" {
		s.fail(f, s.atState(f, noChoiceMatched, "Failed to transition out of the state. The state does not point to a next state."))
		return
	}
	s.leaveTo(f, st, in, next)
}

// finish puts a state's result into its input and leaves.
func (s *stepper) finish(f *Frame, st *state, result any) {
	if st.resultSelector != nil {
		v, err := st.resultSelector.eval(s.scope(f, result))
		if err != nil {
			s.crash(f, err)
			return
		}
		result = v
	}
	out, err := st.result.put(s.raw(f), result)
	if err != nil {
		s.fail(f, s.atState(f, resultPathFailure, err.Error()))
		return
	}
	s.leave(f, st, out)
}

// put gives the raw input with the result in its place.
func (p place) put(raw, result any) (any, error) {
	switch {
	case p.none:
		return raw, nil
	case p.path == nil:
		return result, nil
	}
	v, err := p.path.set(raw, result)
	if err != nil {
		return nil, fmt.Errorf("Unable to apply ResultPath '%s': %w", p.path.text, err) //nolint:staticcheck // a cause, shown to people
	}
	return v, nil
}

// leave applies OutputPath and goes on.
func (s *stepper) leave(f *Frame, st *state, out any) { s.leaveTo(f, st, out, st.next) }

func (s *stepper) leaveTo(f *Frame, st *state, out any, next string) {
	v, err := st.output.from(s.scope(f, out), "OutputPath")
	if err != nil {
		s.crash(f, err)
		return
	}
	s.exit(f, st, v, next)
}

// exit ends the state with an output, which the next state gets, or the one who
// waits for the end of this line.
func (s *stepper) exit(f *Frame, st *state, out any, next string) {
	data := s.encodeFor(f, out)
	if data == "" {
		s.fail(f, s.tooLarge(f))
		return
	}
	s.log(f, string(st.kind)+"StateExited", withOutput(Details{Name: st.name}, data))
	f.Call, f.Branching, f.Submitted = nil, nil, false
	f.Input = data
	s.data[f.ID] = out
	if next != "" {
		f.State, f.Status = next, FrameReady
		return
	}
	if f.Parent != 0 {
		s.join(f)
		return
	}
	s.end(Succeeded, f, Failure{})
}

// encodeFor writes a value, or gives nothing where it is larger than data may
// be. It keeps the frame's own text where nothing has changed.
func (s *stepper) encodeFor(f *Frame, v any) string {
	if in, ok := s.data[f.ID]; ok && sameObject(in, v) {
		return f.Input
	}
	if !fits(v, MaxData) {
		return ""
	}
	data := encode(v)
	if len(data) > MaxData {
		return ""
	}
	if data == f.Input {
		return f.Input
	}
	return data
}

// sameObject says whether two values are one and the same in memory. Values do
// not change, so their text is the same then.
func sameObject(a, b any) bool {
	x, ok := a.(map[string]any)
	y, ok2 := b.(map[string]any)
	return ok && ok2 && reflect.ValueOf(x).Pointer() == reflect.ValueOf(y).Pointer()
}

// end closes the execution.
func (s *stepper) end(status Status, f *Frame, why Failure) {
	x := s.x
	d := Details{Error: why.Error, Cause: why.Cause}
	typ := map[Status]string{Succeeded: "ExecutionSucceeded", Failed: "ExecutionFailed", TimedOut: "ExecutionTimedOut", Aborted: "ExecutionAborted"}[status]
	x.Status, x.Ended, x.Error, x.Cause = status, s.env.Now, why.Error, why.Cause
	if status == Succeeded {
		x.Output = f.Input
		d = withOutput(d, f.Input)
	}
	s.log(f, typ, d)
	for _, g := range x.Frames {
		s.abandon(g)
		if g.Status != FrameJoining && g.Status != FrameReady {
			g.Status = FrameStuck
		}
	}
	if status == Succeeded {
		x.Frames = nil
	}
}

// abandon gives up the frame's call, if there is one.
func (s *stepper) abandon(f *Frame) {
	if f.Status == FrameCalling && !f.Submitted {
		s.res.Abandoned = append(s.res.Abandoned, *f.Call)
	}
}

// wake does all that is due.
func (s *stepper) wake() {
	now := s.env.Now
	if s.x.Status != Running {
		return
	}
	if d := s.x.Deadline; !d.IsZero() && !now.Before(d) {
		s.end(TimedOut, s.root(), Failure{})
		return
	}
	for _, f := range append([]*Frame(nil), s.x.Frames...) {
		at := f.due()
		if s.x.Status != Running || s.x.frame(f.ID) != f || at.IsZero() || now.Before(at) {
			continue
		}
		st, status := s.state(f), f.Status
		if status == FrameCalling {
			s.timeOut(f, st)
			continue
		}
		f.Status = FrameReady
		switch status {
		case FrameSleeping:
			in, err := s.effectiveInput(f, st)
			if err != nil {
				s.crash(f, err)
				continue
			}
			s.leave(f, st, in)
		case FrameRetrying:
			s.work(f, st)
		}
	}
}

// redrive goes on where the execution stopped, without entering states anew.
func (s *stepper) redrive() {
	x := s.x
	x.Status, x.Ended, x.Error, x.Cause = Running, time.Time{}, nil, nil
	x.Redrives++
	x.Redriven = s.env.Now
	if s.d.timeout > 0 {
		x.Deadline = s.env.Now.Add(time.Duration(s.d.timeout) * time.Second)
	}
	count := x.Redrives
	id := s.aside(x.LastEvent, "ExecutionRedriven", Details{RedriveCount: &count})
	for _, f := range append([]*Frame(nil), x.Frames...) {
		if f.Status != FrameStuck || s.x.Status != Running {
			continue
		}
		f.Previous, f.Retries, f.RetryCount, f.Status = id, nil, 0, FrameReady
		s.work(f, s.state(f))
	}
}
