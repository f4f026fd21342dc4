package asl

import (
	"time"
)

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
	previous := f.Previous
	if status == Aborted {
		previous = 0 // a stop follows no event
	}
	f.Previous = s.aside(previous, typ, d)
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

// expired tells whether the time of the whole execution is over.
func (s *stepper) expired() bool {
	d := s.x.Deadline
	return !d.IsZero() && !s.env.Now.Before(d)
}

// wake does all that is due.
func (s *stepper) wake() {
	now := s.env.Now
	if s.x.Status != Running {
		return
	}
	if s.expired() {
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
