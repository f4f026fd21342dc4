package clock

import (
	"context"
	"time"
)

// A timer is a moment that somebody waits for. Its fire is called with the
// clock's lock held and the woken work already counted as busy.
type timer struct {
	at    time.Time
	seq   uint64
	index int // in the heap; -1 once it is out
	ctx   context.Context
	fire  func(error)
}

// timerHeap orders timers by moment, and by age where moments are equal.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }

func (h timerHeap) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop is for container/heap.
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
