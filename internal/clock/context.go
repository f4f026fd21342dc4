package clock

import (
	"context"
	"sync"
	"time"
)

// WithTimeout is context.WithTimeout by the time of s. The context's error
// after d is context.DeadlineExceeded.
func WithTimeout(parent context.Context, s Scheduler, d time.Duration) (context.Context, context.CancelFunc) {
	c := newContext(parent)
	c.deadline = s.Now().Add(d)
	stop := s.AfterFunc(d, func() { c.end(context.DeadlineExceeded) })
	return c, func() {
		stop()
		c.end(context.Canceled)
	}
}

// WithCancel is context.WithCancel, with an end that a virtual clock sees
// before it moves.
func WithCancel(parent context.Context) (context.Context, context.CancelFunc) {
	c := newContext(parent)
	return c, func() { c.end(context.Canceled) }
}

// ownContext finds the nearest clockContext among a context's ancestors.
type ownContext struct{}

// A clockContext calls those who wait for its end before end returns, where the
// standard library's would start goroutines that a virtual clock cannot see.
type clockContext struct {
	context.Context // the parent, for values
	deadline        time.Time
	done            chan struct{}
	exact           bool // no standard context above could end unseen
	detach          func()

	mu      sync.Mutex
	err     error
	next    int
	waiting map[int]func()
}

func newContext(parent context.Context) *clockContext {
	c := &clockContext{Context: parent, done: make(chan struct{}), waiting: map[int]func(){}}
	ended := func() { c.end(parent.Err()) }
	var detach func()
	if p, _ := parent.Value(ownContext{}).(*clockContext); p != nil && p.done == parent.Done() {
		c.exact = p.exact
		detach = p.onEnd(ended)
	} else {
		c.exact = parent.Done() == nil
		stop := context.AfterFunc(parent, ended)
		detach = func() { stop() }
	}
	c.mu.Lock()
	c.detach = detach
	c.mu.Unlock()
	if parent.Err() != nil {
		ended()
	}
	return c
}

// Deadline is the earlier one of this context's and its parent's.
func (c *clockContext) Deadline() (time.Time, bool) {
	t, ok := c.Context.Deadline()
	if c.deadline.IsZero() || ok && t.Before(c.deadline) {
		return t, ok
	}
	return c.deadline, true
}

// Done is closed when the context ends.
func (c *clockContext) Done() <-chan struct{} { return c.done }

// Err says why the context ended; nil while it has not.
func (c *clockContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && !c.exact {
		return c.Context.Err()
	}
	return c.err
}

// Value looks the key up here, then in the parent.
func (c *clockContext) Value(key any) any {
	if key == (ownContext{}) {
		return c
	}
	return c.Context.Value(key)
}

// AfterFunc lets the standard library hang its contexts below this one, so that
// they have ended when end returns. It is not for callers.
func (c *clockContext) AfterFunc(f func()) (stop func() bool) {
	forget := c.onEnd(f)
	if c.Err() != nil {
		f()
	}
	return func() bool {
		forget()
		return c.Err() == nil
	}
}

// onEnd calls f when the context ends. Forget takes f off the list. If the
// context has ended already, f is not called: who waits sees Done closed.
func (c *clockContext) onEnd(f func()) (forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return func() {}
	}
	id := c.next
	c.next++
	c.waiting[id] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, id)
	}
}

func (c *clockContext) end(err error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = err
	close(c.done)
	waiting := c.waiting
	c.waiting = nil
	last, detach := c.next, c.detach
	c.mu.Unlock()
	for id := range last {
		if f := waiting[id]; f != nil {
			f()
		}
	}
	if detach != nil {
		detach()
	}
}
