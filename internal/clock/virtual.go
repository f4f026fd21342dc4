package clock

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// A Virtual clock moves only when nobody is busy: it then jumps to the earliest
// moment that a sleeper or a timer waits for, and wakes that one alone. Equal
// moments come in the order in which they were asked for, so work done under
// the clock is serial and repeatable.
//
// Busy are the functions started by Go or AfterFunc while they run, and every
// stretch between Begin and End. A busy goroutine that calls Sleep is idle
// until it wakes. A goroutine that is not busy may sleep only while nobody else
// is busy, for example a test that starts nothing else.
type Virtual struct {
	mu     sync.Mutex
	now    time.Time
	busy   int
	seq    uint64
	timers timerHeap
	odd    map[*timer]struct{} // sleepers whose context ends without telling the clock
	idle   []chan struct{}
}

// NewVirtual returns a clock that stands at start.
func NewVirtual(start time.Time) *Virtual {
	return &Virtual{now: start, odd: map[*timer]struct{}{}}
}

// Now is the virtual time.
func (v *Virtual) Now() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now
}

// Begin holds time still until the matching End.
func (v *Virtual) Begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy++
}

// End undoes one Begin. The last one lets time jump.
func (v *Virtual) End() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy == 0 {
		panic("clock: End without Begin")
	}
	v.busy--
	v.advance()
}

// Go runs f on its own goroutine, at once, and counts it as busy.
func (v *Virtual) Go(f func()) {
	v.Begin()
	go func() {
		defer v.End()
		f()
	}()
}

// AfterFunc runs f after d, on its own goroutine and counted as busy. With a
// zero d it runs as soon as nobody else is busy, before time moves.
func (v *Virtual) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.add(d)
	t.fire = func(error) {
		go func() {
			defer v.End()
			f()
		}()
	}
	v.advance()
	return func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.remove(t)
	}
}

// Sleep waits until d has passed in virtual time or ctx ends.
//
// The end of a context made by WithTimeout or WithCancel of this package wakes
// the sleeper before time moves on. Any other context is looked at each time
// before the clock moves, which is as exact but slower with thousands of them.
func (v *Virtual) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	woken := make(chan error, 1)
	v.mu.Lock()
	t := v.add(d)
	counted := v.busy > 0
	t.ctx = ctx
	t.fire = func(err error) {
		if !counted {
			v.busy--
		}
		woken <- err
	}
	forget := v.watch(ctx, t)
	if counted {
		v.busy--
	}
	v.advance()
	v.mu.Unlock()
	defer forget()

	select {
	case err := <-woken:
		return err
	case <-ctx.Done():
		v.wake(t, ctx.Err())
		return <-woken
	}
}

// Wait returns when nobody is busy and nobody waits for a moment to come, or
// with the error of ctx. The caller must not be busy itself.
func (v *Virtual) Wait(ctx context.Context) error {
	v.mu.Lock()
	if v.busy == 0 && len(v.timers) == 0 {
		v.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	v.idle = append(v.idle, done)
	v.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch makes sure that t wakes when ctx ends. It is called with v.mu held, and
// what it returns is called without.
func (v *Virtual) watch(ctx context.Context, t *timer) (forget func()) {
	switch c, _ := ctx.Value(ownContext{}).(*clockContext); {
	case ctx.Done() == nil:
		return func() {}
	case c != nil && c.exact && c.done == ctx.Done():
		return c.onEnd(func() { v.wake(t, c.Err()) })
	default:
		v.odd[t] = struct{}{}
		return func() {}
	}
}

// wake ends the sleep of t now, with err, unless it is over already.
func (v *Virtual) wake(t *timer, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.remove(t) {
		v.busy++
		t.fire(err)
	}
}

// advance wakes the next one when nobody is busy. It is called with v.mu held.
func (v *Virtual) advance() {
	for v.busy == 0 {
		if t := v.ended(); t != nil {
			v.remove(t)
			v.busy++
			t.fire(t.ctx.Err())
			continue
		}
		if len(v.timers) == 0 {
			for _, done := range v.idle {
				close(done)
			}
			v.idle = nil
			return
		}
		t := v.timers[0]
		v.remove(t)
		if t.at.After(v.now) {
			v.now = t.at
		}
		v.busy++
		t.fire(nil)
	}
}

// ended is the sleeper that came first of those whose context has ended.
func (v *Virtual) ended() *timer {
	var first *timer
	for t := range v.odd {
		if t.ctx.Err() != nil && (first == nil || t.seq < first.seq) {
			first = t
		}
	}
	return first
}

func (v *Virtual) add(d time.Duration) *timer {
	v.seq++
	t := &timer{at: v.now.Add(d), seq: v.seq}
	heap.Push(&v.timers, t)
	return t
}

func (v *Virtual) remove(t *timer) bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&v.timers, t.index)
	delete(v.odd, t)
	return true
}
