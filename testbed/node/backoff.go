package node

import "time"

// maxBackOff is the longest wait between two starts of a container, as in a
// kubelet.
const maxBackOff = 5 * time.Minute

// A backOff counts how long to wait before a container is started again: the
// first time not at all, then base, and then twice as long each time. A
// container that has run for twice the longest wait starts from the beginning.
type backOff struct {
	base    time.Duration
	current time.Duration
	set     time.Time // when current was last set
	now     func() time.Time
}

func newBackOff(base time.Duration) backOff { return backOff{base: base, now: time.Now} }

// wait is how long to wait before the next start, counted from now.
func (b *backOff) wait() time.Duration {
	if b.current > 0 && b.now().Sub(b.set) > 2*maxBackOff {
		b.current = 0
	}
	return b.current
}

// next takes note of a start.
func (b *backOff) next() {
	b.set = b.now()
	switch {
	case b.current == 0:
		b.current = b.base
	default:
		b.current = min(2*b.current, maxBackOff)
	}
}
