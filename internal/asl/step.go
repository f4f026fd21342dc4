package asl

import (
	"fmt"
	"sync"
	"time"
)

// Step takes an execution forward by one event, as far as it goes without
// waiting. An error leaves the execution as it was.
//
// A Returned event that nobody waits for is no error: the task may have timed
// out, or been answered by its token. Begun, Woken and Returned events for an
// execution that has ended do nothing. A Stopped event that comes when the time
// of the whole is over finds that it has timed out.
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
		if s.expired() {
			s.end(TimedOut, s.root(), Failure{})
		} else {
			s.end(Aborted, s.root(), ev.Failure)
		}
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
	v := open(s.stored(f.Input))
	s.data[f.ID] = v
	return v
}

// stored is the value of a text that the execution keeps. All but its own input, which is kept as
// it was given, are compact.
func (s *stepper) stored(text string) any { return read(text, text != s.x.Input) }

func (s *stepper) scope(f *Frame, data any) *scope {
	return &scope{data: data, random: s.env.Random, uuid: s.env.NewUUID, context: sync.OnceValue(func() any { return s.context(f) })}
}

func (s *stepper) effectiveInput(f *Frame, st *state) (any, error) {
	return st.input.from(s.scope(f, s.raw(f)))
}

// from takes the place's value out of the scope's data.
func (p place) from(sc *scope) (any, error) {
	switch {
	case p.none:
		return map[string]any{}, nil
	case p.path == nil:
		return sc.data, nil
	}
	v, found := p.path.in(sc)
	if !found {
		return nil, invalidPath(p.path, sc)
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
		// The specification has States.NoChoiceMatched for this; AWS has not.
		s.crash(f, reason("Failed to transition out of the state. The state does not point to a next state."))
		return
	}
	s.leaveTo(f, st, in, next)
}
