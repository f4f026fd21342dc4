package asl

import (
	"reflect"
)

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
		return nil, reason("Unable to apply ResultPath '%s': %w", p.path.text, err)
	}
	return v, nil
}

// leave applies OutputPath and goes on.
func (s *stepper) leave(f *Frame, st *state, out any) { s.leaveTo(f, st, out, st.next) }

func (s *stepper) leaveTo(f *Frame, st *state, out any, next string) {
	v, err := st.output.from(s.scope(f, out))
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
	if data != f.Input {
		f.Input = data
		delete(s.data, f.ID) // what is written once is copied from now on
	}
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
