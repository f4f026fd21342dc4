package asl

import (
	"strings"
)

// branch starts a Parallel or Map state, or starts it again.
func (s *stepper) branch(f *Frame, st *state, in any) {
	b := &Branching{}
	if st.kind == mapping {
		if err := s.mapItems(f, st, in, b); err != nil {
			s.crash(f, err)
			return
		}
	} else {
		if st.parameters != nil {
			v, err := st.parameters.eval(s.scope(f, in))
			if err != nil {
				s.crash(f, err)
				return
			}
			in = v
		}
		b.Total = len(st.branches)
	}
	if b.Input = s.encodeFor(f, in); b.Input == "" {
		s.fail(f, s.tooLarge(f))
		return
	}
	b.Left = b.Total
	b.Results = make([]string, b.Total)
	f.Branching, f.Status = b, FrameJoining
	if st.kind == mapping {
		s.log(f, "MapStateStarted", Details{Length: ptr(b.Total)})
	} else {
		s.log(f, "ParallelStateStarted", Details{})
	}
	if b.Total == 0 {
		s.joined(f, st)
		return
	}
	s.startMore(f, st, f.Previous)
}

// maxIterations is how many iterations of a Map state run at once at the most.
const maxIterations = 40

func (s *stepper) mapItems(f *Frame, st *state, in any, b *Branching) error {
	sc := s.scope(f, in)
	n, err := st.maxConcurrency.of(sc, "MaxConcurrency", 0)
	if err != nil {
		return err
	}
	b.Concurrency = maxIterations
	if n != nil && *n > 0 {
		b.Concurrency = int(min(*n, maxIterations))
	}
	items := in
	if st.items != nil {
		v, found := st.items.in(sc)
		if !found {
			return notFound(st.items, sc, "ItemsPath")
		}
		items = v
	}
	list, ok := open(items).([]any)
	if !ok && st.items != nil {
		return reason("Reference path \"%s\" must point to array.", strings.Replace(st.items.text, "$$", "$", 1))
	}
	if !ok {
		return reason("Map state input must be an array but was: %s", encode(items))
	}
	for _, x := range list {
		b.Items = append(b.Items, encode(x))
	}
	b.Total = len(b.Items)
	return nil
}

// startMore starts as many branches or items as may run at once. Iterations
// follow the event previous.
func (s *stepper) startMore(f *Frame, st *state, previous int64) {
	b := f.Branching
	running := 0
	for _, g := range s.x.Frames {
		if g.Parent == f.ID {
			running++
		}
	}
	for b.Next < b.Total && (b.Concurrency == 0 || running < b.Concurrency) {
		i := b.Next
		b.Next++
		running++
		if st.kind == parallel {
			s.newFrame(f.ID, i, st.branches[i].startAt, b.Input, previous)
			continue
		}
		g := s.newFrame(f.ID, i, st.branches[0].startAt, b.Items[i], previous)
		g.Item = b.Items[i]
		s.log(g, "MapIterationStarted", Details{Name: st.name, Index: ptr(i)})
		if !s.selectItem(f, g, st) {
			return
		}
	}
}

// selectItem gives an iteration its input by ItemSelector, or by Parameters,
// its older name.
func (s *stepper) selectItem(f, g *Frame, st *state) bool {
	selector := st.itemSelector
	if selector == nil {
		selector = st.parameters
	}
	if selector == nil {
		return true
	}
	v, err := selector.eval(s.scope(g, s.stored(f.Branching.Input)))
	if err != nil {
		s.crash(f, err)
		return false
	}
	if g.Input = s.encodeFor(g, v); g.Input == "" {
		s.fail(f, s.tooLarge(f))
		return false
	}
	delete(s.data, g.ID)
	return true
}

// join takes the output of a branch or item that has ended.
func (s *stepper) join(g *Frame) {
	f := s.parent(g)
	st, b := s.state(f), f.Branching
	b.Results[g.Index] = g.Input
	b.Left--
	last := g.Previous
	f.Previous = last
	if st.kind == mapping {
		f.Previous = s.aside(last, "MapIterationSucceeded", Details{Name: st.name, Index: ptr(g.Index)})
	}
	s.remove(g)
	if b.Left == 0 {
		s.joined(f, st)
		return
	}
	s.startMore(f, st, last)
}

// joined ends the Parallel or Map state.
func (s *stepper) joined(f *Frame, st *state) {
	s.aside(f.Previous, string(st.kind)+"StateSucceeded", Details{})
	f.Status = FrameReady
	size := 2
	results := make([]any, f.Branching.Total)
	for i, r := range f.Branching.Results {
		if size += len(r) + 1; size > MaxData+1 && st.resultSelector == nil && !st.result.none {
			s.fail(f, s.tooLarge(f))
			return
		}
		results[i] = s.stored(r)
	}
	s.finish(f, st, results)
}

func (s *stepper) remove(g *Frame) {
	delete(s.data, g.ID)
	for i, o := range s.x.Frames {
		if o == g {
			s.x.Frames = append(s.x.Frames[:i:i], s.x.Frames[i+1:]...)
			return
		}
	}
}
