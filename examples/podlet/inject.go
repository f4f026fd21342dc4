package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// An injector decides for each request what the fault in force does to it.
type injector struct {
	random func() float64 // in [0,1)

	mu     sync.Mutex
	fault  fault
	served int64 // requests since the fault was set
	rate   rateMeter
}

func newInjector(f fault) *injector { return &injector{fault: f, random: rand.Float64} }

// A blow is what happens to one request; the zero value is nothing.
type blow struct {
	crash bool
	delay time.Duration
	code  int // 0 when the request is answered as usual
}

// set replaces the fault in force and starts counting requests afresh.
func (in *injector) set(f fault) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fault, in.served = f, 0
}

func (in *injector) get() fault {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.fault
}

// next counts one user request and says what befalls it.
func (in *injector) next() blow {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.fault
	in.served++
	rate := in.rate.hit(time.Now())
	b := blow{crash: f.Crash > 0 && in.served > f.Crash}
	if f.Above > 0 && rate <= f.Above {
		return b
	}
	if f.Latency > 0 && (f.Slow == 0 || in.random()*100 < f.Slow) {
		b.delay = time.Duration(f.Latency)
	}
	if in.random()*100 < f.Errors {
		b.code = f.Code
		if b.code == 0 {
			b.code = 500
		}
	}
	return b
}

const (
	rateSlots = 10
	rateSlot  = 100 * time.Millisecond
)

// A rateMeter counts the requests of the last second, in tenths of it.
type rateMeter struct {
	slots [rateSlots]int
	last  int64 // number of the newest slot since the epoch
}

// hit counts a request at t and gives the requests seen in the second that ends with it.
func (m *rateMeter) hit(t time.Time) float64 {
	now := t.UnixNano() / int64(rateSlot)
	for s := max(m.last+1, now-rateSlots+1); s <= now; s++ {
		m.slots[s%rateSlots] = 0
	}
	m.last = max(m.last, now)
	m.slots[m.last%rateSlots]++
	sum := 0
	for _, n := range m.slots {
		sum += n
	}
	return float64(sum)
}
