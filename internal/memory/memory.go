// Package memory is what the in-memory drivers of all ports share: one clock, one
// place to put faults in, and one way to wait for a change without polling.
//
// The drivers themselves stand beside their ports (traffic/memory and so on), and
// package world wires them into one simulated cluster.
package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
)

// A Core is shared by the drivers of one simulated cluster.
type Core struct {
	// Clock is the only source of time.
	Clock clock.Clock

	mu            sync.Mutex
	before, after Hook
	turn          int
	next          int
	waiting       map[Thing]map[int]context.CancelFunc
}

// A Thing is what changes, and what somebody waits for: a route, a Deployment. Without a name
// it is all of that kind in the namespace.
type Thing struct{ Kind, Namespace, Name string }

// A Hook runs beside each call of a driver, named such as "traffic.Shift". Its error is
// what the caller gets.
type Hook func(op string) error

// Before sets what runs before each call; where it fails, nothing happens. Nil takes it away.
// It may be called while drivers are at work.
func (c *Core) Before(h Hook) { c.set(&c.before, h) }

// After sets what runs after each call that succeeded; where it fails, the call took effect all
// the same, as in a time-out after the write.
func (c *Core) After(h Hook) { c.set(&c.after, h) }

func (c *Core) set(hook *Hook, h Hook) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*hook = h
}

// run calls the hook that is set now.
func (c *Core) run(hook *Hook, op string) error {
	c.mu.Lock()
	h := *hook
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	if err := h(op); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// New gives a core at the clock's time, without faults.
func New(c clock.Clock) *Core {
	return &Core{Clock: c, waiting: map[Thing]map[int]context.CancelFunc{}}
}

// Call runs f as the operation op of a driver: alone among the calls of all
// drivers of this core, between the hooks.
func (c *Core) Call(ctx context.Context, op string, f func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := c.run(&c.before, op); err != nil {
		return err
	}
	if err := c.Do(f); err != nil {
		return err
	}
	return c.run(&c.after, op)
}

// Do runs f alone, without hooks.
func (c *Core) Do(f func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f()
}

// Change runs f alone and wakes everybody who waits. It is for whoever changes the
// world from outside: a person, a test.
func (c *Core) Change(f func()) {
	_ = c.Do(func() error {
		f()
		c.turn++
		c.wake(slices.Collect(maps.Keys(c.waiting))...)
		return nil
	})
}

// Changed wakes those who wait for one of the things: of thousands of rollouts in one core, a
// write wakes its own alone. It is called inside Call or Do.
func (c *Core) Changed(things ...Thing) {
	c.turn++
	for _, t := range things {
		things = append(things, Thing{Kind: t.Kind, Namespace: t.Namespace})
	}
	c.wake(things...)
}

// wake ends the waits for the things, in the order in which they began. In virtual time they end
// when nobody is at work, so that whoever made the change goes on alone, and the same run
// comes out the same each time.
func (c *Core) wake(things ...Thing) {
	var ended map[int]context.CancelFunc
	for _, t := range things {
		if len(c.waiting[t]) > 0 && ended == nil {
			ended = map[int]context.CancelFunc{}
		}
		maps.Copy(ended, c.waiting[t])
		delete(c.waiting, t)
	}
	s, scheduled := c.Clock.(clock.Scheduler)
	for _, id := range slices.Sorted(maps.Keys(ended)) {
		if scheduled {
			s.AfterFunc(0, ended[id])
		} else {
			ended[id]()
		}
	}
}

// Turn counts the changes so far. It is called inside Call or Do, and given to
// Wait, so that no change is missed in between.
func (c *Core) Turn() int { return c.turn }

// Wait returns nil at the given moment, or as soon as one of the things changed since
// turn, and the context's error if that ends first. It may return early: who waits looks again.
func (c *Core) Wait(ctx context.Context, turn int, until time.Time, things ...Thing) error {
	woken, wake := clock.WithCancel(ctx)
	defer wake()
	c.mu.Lock()
	if c.turn != turn {
		c.mu.Unlock()
		return ctx.Err()
	}
	c.next++
	id := c.next
	for _, t := range things {
		if c.waiting[t] == nil {
			c.waiting[t] = map[int]context.CancelFunc{}
		}
		c.waiting[t][id] = wake
	}
	c.mu.Unlock()
	defer c.forget(id, things)
	if err := c.Clock.Sleep(woken, until.Sub(c.Clock.Now())); err != nil {
		return ctx.Err()
	}
	return nil
}

func (c *Core) forget(id int, things []Thing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range things {
		delete(c.waiting[t], id)
		if len(c.waiting[t]) == 0 {
			delete(c.waiting, t)
		}
	}
}
