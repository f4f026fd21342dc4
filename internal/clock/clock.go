// Package clock tells the time and waits for it, in real time or in virtual
// time.
//
// In virtual time nothing waits: whenever nobody has work left for the present
// moment, time jumps to the next moment that somebody asked for. A wait of
// three days takes microseconds, and a run gives the same result each time.
package clock

import (
	"context"
	"time"
)

// A Clock is what code needs that reads the time or waits.
type Clock interface {
	// Now is the current time of this clock.
	Now() time.Time

	// Sleep returns nil after d, or the context's error as soon as ctx ends.
	// A zero or negative d returns at once.
	Sleep(ctx context.Context, d time.Duration) error
}

// A Scheduler is a Clock that also starts work. Work that is started through
// it is known to a virtual clock, which holds time still until it is done.
type Scheduler interface {
	Clock

	// Go runs f on its own goroutine, at once.
	Go(f func())

	// AfterFunc runs f on its own goroutine after d. Stop keeps f from
	// running and reports whether it did.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Real is the system's clock.
type Real struct{}

// Now is the system's time.
func (Real) Now() time.Time { return time.Now() }

// Sleep waits for d or for the end of ctx.
func (Real) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Go runs f on its own goroutine.
func (Real) Go(f func()) { go f() }

// AfterFunc runs f after d.
func (Real) AfterFunc(d time.Duration, f func()) (stop func() bool) {
	return time.AfterFunc(d, f).Stop
}
