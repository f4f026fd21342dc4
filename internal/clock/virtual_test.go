package clock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// A journal notes what happened and when, in virtual time.
type journal struct {
	mu    sync.Mutex
	v     *clock.Virtual
	lines []string
}

func (j *journal) note(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf("%v %s", j.v.Now().Sub(start), what))
}

func wait(t *testing.T, v *clock.Virtual) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := v.Wait(ctx); err != nil {
		t.Fatalf("Wait() = %v; the clock hangs", err)
	}
}

func TestVirtualTimeJumpsOverThreeDays(t *testing.T) {
	v := clock.NewVirtual(start)
	if err := v.Sleep(t.Context(), 72*time.Hour); err != nil {
		t.Fatalf("Sleep() = %v", err)
	}
	if got, want := v.Now(), start.Add(72*time.Hour); !got.Equal(want) {
		t.Errorf("Now() = %v; want %v", got, want)
	}
}

func TestVirtualWakesOneAtATimeInTheOrderOfDueTimeThenOfAsking(t *testing.T) {
	v := clock.NewVirtual(start)
	j := &journal{v: v}
	v.Begin()
	for _, at := range []int{3, 1, 2, 1, 3} {
		name := fmt.Sprintf("timer %d", len(j.lines))
		name = fmt.Sprintf("due %d", at)
		v.AfterFunc(time.Duration(at)*time.Hour, func() {
			j.note(name + " in")
			_ = v.Sleep(t.Context(), 30*time.Minute)
			j.note(name + " out")
		})
	}
	v.AfterFunc(0, func() { j.note("due now") })
	v.End()
	wait(t, v)
	want := []string{
		"0s due now",
		"1h0m0s due 1 in", "1h0m0s due 1 in", "1h30m0s due 1 out", "1h30m0s due 1 out",
		"2h0m0s due 2 in", "2h30m0s due 2 out",
		"3h0m0s due 3 in", "3h0m0s due 3 in", "3h30m0s due 3 out", "3h30m0s due 3 out",
	}
	if diff := cmp.Diff(want, j.lines); diff != "" {
		t.Errorf("order of events (-want +got):\n%s", diff)
	}
}

func TestVirtualHoldsStillWhileSomebodyIsBusy(t *testing.T) {
	v := clock.NewVirtual(start)
	fired := make(chan struct{})
	v.Begin()
	v.AfterFunc(time.Nanosecond, func() { close(fired) })
	release := make(chan struct{})
	v.Go(func() { <-release })
	v.End()
	select {
	case <-fired:
		t.Fatal("the timer fired while a function started by Go was running")
	default:
	}
	if !v.Now().Equal(start) {
		t.Errorf("Now() = %v; want %v", v.Now(), start)
	}
	close(release)
	wait(t, v)
	<-fired
}

func TestVirtualTimerCanBeStopped(t *testing.T) {
	v := clock.NewVirtual(start)
	v.Begin()
	stop := v.AfterFunc(time.Hour, func() { t.Error("a stopped timer fired") })
	if !stop() {
		t.Error("stop() = false before the timer was due")
	}
	if stop() {
		t.Error("stop() = true the second time")
	}
	v.End()
	wait(t, v)
	if !v.Now().Equal(start) {
		t.Errorf("Now() = %v; want %v: nobody waited", v.Now(), start)
	}
}

// Each kind of context must end a sleep at the moment of the cancel, before a
// later timer can move time.
func TestVirtualSleepEndsWithItsContext(t *testing.T) {
	type key struct{}
	type contextFunc = func(context.Context) (context.Context, context.CancelFunc)
	standard := contextFunc(context.WithCancel)
	// below ends the outer context, and has the sleeper hold the inner one.
	below := func(outer, inner contextFunc) contextFunc {
		return func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := outer(ctx)
			ctx, cancelInner := inner(ctx)
			t.Cleanup(cancelInner)
			return ctx, cancel
		}
	}
	withValue := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithValue(ctx, key{}, 1), func() {}
	}
	for name, derive := range map[string]contextFunc{
		"made here":                   clock.WithCancel,
		"made by the standard":        standard,
		"a standard one on one of us": below(clock.WithCancel, standard),
		"one of us on a standard one": below(standard, clock.WithCancel),
		"one of us on one of us":      below(clock.WithCancel, clock.WithCancel),
		"a value on one of us":        below(clock.WithCancel, withValue),
	} {
		t.Run(name, func(t *testing.T) {
			v := clock.NewVirtual(start)
			ctx, cancel := derive(context.Background())
			defer cancel()
			j := &journal{v: v}
			v.Begin()
			v.Go(func() { j.note(fmt.Sprint(v.Sleep(ctx, 5*time.Hour))) })
			v.AfterFunc(time.Hour, cancel)
			v.AfterFunc(2*time.Hour, func() { j.note("later") })
			v.End()
			wait(t, v)
			if diff := cmp.Diff([]string{"1h0m0s context canceled", "2h0m0s later"}, j.lines); diff != "" {
				t.Errorf("order of events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVirtualTimeout(t *testing.T) {
	v := clock.NewVirtual(start)
	v.Begin()
	ctx, cancel := clock.WithTimeout(t.Context(), v, time.Hour)
	defer cancel()
	inner, cancelInner := clock.WithTimeout(ctx, v, 2*time.Hour)
	defer cancelInner()
	if at, ok := inner.Deadline(); !ok || !at.Equal(start.Add(time.Hour)) {
		t.Errorf("Deadline() = %v, %v; want the parent's, which is earlier", at, ok)
	}
	var got error
	v.Go(func() { got = v.Sleep(inner, 3*time.Hour) })
	v.End()
	wait(t, v)
	if !errors.Is(got, context.DeadlineExceeded) || !errors.Is(inner.Err(), context.DeadlineExceeded) {
		t.Errorf("Sleep() = %v, Err() = %v; want deadline exceeded", got, inner.Err())
	}
}

func TestContextOfEndedParentHasEnded(t *testing.T) {
	parent, cancel := clock.WithCancel(t.Context())
	cancel()
	child, cancelChild := clock.WithCancel(parent)
	defer cancelChild()
	if !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("Err() = %v; want context canceled", child.Err())
	}
}

func TestRealSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (clock.Real{}).Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep() = %v; want context canceled", err)
	}
	if err := (clock.Real{}).Sleep(t.Context(), time.Microsecond); err != nil {
		t.Errorf("Sleep() = %v", err)
	}
}
