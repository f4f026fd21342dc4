package asl

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"
)

// call starts a Task.
func (s *stepper) call(f *Frame, st *state, in any) {
	c := &Call{Frame: f.ID, Number: f.Calls + 1, State: st.name, Service: st.resource.service, Action: st.resource.action}
	if st.resource.callback {
		c.Token = s.env.NewToken()
	}
	f.Call = c // the context object shows the token to Parameters
	request := in
	if st.parameters != nil {
		v, err := st.parameters.eval(s.scope(f, in))
		if err != nil {
			s.crash(f, err)
			return
		}
		request = v
	}
	timeout, err := st.timeout.of(s.scope(f, in), "TimeoutSeconds", 1)
	if err != nil {
		s.crash(f, err)
		return
	}
	heartbeat, err := st.heartbeat.of(s.scope(f, in), "HeartbeatSeconds", 1)
	if err != nil {
		s.crash(f, err)
		return
	}
	data := s.encodeFor(f, request)
	if data == "" {
		s.fail(f, s.tooLarge(f))
		return
	}
	c.Payload = data
	if err := s.address(f, st.resource, request); err != nil {
		s.crash(f, err)
		return
	}
	s.scheduled(f, st, data, timeout, heartbeat)
	f.Status, f.Submitted, f.Calls = FrameCalling, false, c.Number
	f.Deadline, f.HeartBy, f.Heartbeat = time.Time{}, time.Time{}, 0
	if timeout != nil {
		f.Deadline = s.env.Now.Add(time.Duration(*timeout) * time.Second)
		c.Deadline = f.Deadline
	}
	if heartbeat != nil {
		f.Heartbeat = *heartbeat
		f.beat(s.env.Now)
	}
	s.res.Calls = append(s.res.Calls, *c)
}

// address finds the function and its payload in the request.
func (s *stepper) address(f *Frame, r resource, request any) error {
	c := f.Call
	if r.direct {
		c.Function = r.arn
		return nil
	}
	if r.service != "lambda" {
		return nil
	}
	m, _ := request.(map[string]any)
	name, ok := m["FunctionName"].(string)
	if !ok || name == "" {
		return reason("The value of the field 'FunctionName' must be a string that is not empty, found %s", encode(m["FunctionName"]))
	}
	c.Function = name
	if q, ok := m["Qualifier"].(string); ok && q != "" {
		c.Function += ":" + q
	}
	c.Payload = "{}"
	if p, ok := m["Payload"]; ok {
		c.Payload = s.encodeFor(f, p)
	}
	return nil
}

func (f *Frame) beat(now time.Time) {
	if f.Heartbeat > 0 {
		f.HeartBy = now.Add(time.Duration(f.Heartbeat) * time.Second)
	}
}

func (s *stepper) scheduled(f *Frame, st *state, data string, timeout, heartbeat *int64) {
	if st.resource.direct {
		s.log(f, "LambdaFunctionScheduled", withInput(Details{Resource: st.resource.arn, Timeout: timeout}, data))
		s.log(f, "LambdaFunctionStarted", Details{})
		return
	}
	d := st.resource.details()
	d.Region, d.Parameters, d.Timeout, d.Heartbeat = s.env.Region, data, timeout, heartbeat
	s.log(f, "TaskScheduled", d)
	s.log(f, "TaskStarted", st.resource.details())
}

func (r resource) details() Details { return Details{ResourceType: r.service, Resource: r.action} }

// outcome logs how a task ended: Succeeded, Failed or TimedOut.
func (s *stepper) outcome(f *Frame, st *state, how string, d Details) {
	if st.resource.direct {
		s.log(f, "LambdaFunction"+how, d)
		return
	}
	r := st.resource.details()
	d.ResourceType, d.Resource = r.ResourceType, r.Resource
	s.log(f, "Task"+how, d)
}

// returned takes the end of a call. A task with a token goes on waiting.
func (s *stepper) returned(ev Returned) {
	f := s.x.frame(ev.Frame)
	if s.x.Status != Running || f == nil || f.Status != FrameCalling || f.Submitted || f.Call.Number != ev.Number {
		return
	}
	if f.Call.Token == "" || ev.Failure != nil {
		s.ended(f, ev.Output, ev.Failure)
		return
	}
	f.Submitted = true
	d := s.state(f).resource.details()
	s.log(f, "TaskSubmitted", withOutput(d, ev.Output))
}

// ended takes the outcome of a task.
func (s *stepper) ended(f *Frame, output string, why *Failure) {
	st := s.state(f)
	f.Status = FrameReady
	if why == nil && len(output) > MaxData {
		w := failure(dataLimitExceeded, fmt.Sprintf("The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", st.resource.arn))
		why = &w
	}
	var result any
	if why == nil {
		if text, err := compacted(output); err != nil {
			w := failure(runtimeError, fmt.Sprintf("The task's result is not JSON: %v", err))
			why = &w
		} else {
			result = read(text, true)
		}
	}
	if why != nil {
		s.outcome(f, st, "Failed", Details{Error: why.Error, Cause: why.Cause})
		s.fail(f, problem{Failure: *why})
		return
	}
	s.outcome(f, st, "Succeeded", withOutput(Details{}, output))
	s.finish(f, st, result)
}

// timeOut ends a task whose time, or time without heartbeat, has run out.
func (s *stepper) timeOut(f *Frame, st *state) {
	s.abandon(f)
	p := problem{Failure: Failure{Error: ptr(timeoutError)}}
	p.heartbeat = !f.HeartBy.IsZero() && !s.env.Now.Before(f.HeartBy) && (f.Deadline.IsZero() || s.env.Now.Before(f.Deadline))
	f.Status = FrameReady
	s.outcome(f, st, "TimedOut", Details{Error: p.Error})
	s.fail(f, p)
}

// of reads a number of seconds. It is nil where the field is absent.
func (n seconds) of(sc *scope, field string, least int64) (*int64, error) {
	if !n.set {
		return nil, nil
	}
	if n.path == nil {
		return &n.number, nil
	}
	v, found := n.path.in(sc)
	if !found {
		return nil, invalidPath(n.path, sc)
	}
	i, ok := integer(v)
	if !ok || i < least || i > maxSeconds {
		return nil, reason("The %sPath field refers to value \"%s\" which is not a valid integer: %s", field, plain(v), n.path.text)
	}
	return &i, nil
}

// plain is a value as AWS puts it into a cause: strings without quotes.
func plain(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return encode(v)
}

// maxWait is the longest wait in seconds; AWS counts it in a 32-bit number.
const maxWait = math.MaxInt32

// wait sleeps, or goes on at once where the moment has passed.
func (s *stepper) wait(f *Frame, st *state, in any) {
	until, err := st.until(s.scope(f, in), s.env.Now)
	if err != nil {
		s.crash(f, err)
		return
	}
	if until.Sub(s.env.Now) > maxWait*time.Second {
		s.crash(f, reason("Wait state delay is too long"))
		return
	}
	if !until.After(s.env.Now) {
		s.leave(f, st, in)
		return
	}
	f.Status, f.Wake = FrameSleeping, until
}

func (st *state) until(sc *scope, now time.Time) (time.Time, error) {
	if w := st.waitUntil; w.set {
		if w.path == nil {
			return w.at, nil
		}
		v, found := w.path.in(sc)
		if !found {
			return now, reason("The TimestampPath parameter does not reference an input value: %s", w.path.text)
		}
		at, ok := parseTime(plain(v))
		if !ok {
			return now, reason("The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: %s == %s", w.path.text, plain(v))
		}
		return at, nil
	}
	w := st.waitFor
	if w.path == nil {
		return now.Add(time.Duration(w.number) * time.Second), nil
	}
	v, found := w.path.in(sc)
	if !found {
		return now, reason("The SecondsPath parameter does not reference an input value: %s", w.path.text)
	}
	i, ok := integer(v)
	n, isNumber := v.(json.Number)
	switch {
	case !isNumber, !ok, strings.ContainsAny(n.String(), ".eE"):
		return now, reason("The SecondsPath parameter cannot be parsed as a long value: %s == %s", w.path.text, plain(v))
	case i < 0:
		return now, reason("The SecondsPath parameter references a negative value: %s == %d", w.path.text, i)
	case i > maxWait:
		return now, reason("Wait state delay is too long")
	}
	return now.Add(time.Duration(i) * time.Second), nil
}
