package node

import (
	"testing"
	"time"
)

func TestBackOffDoublesAndForgets(t *testing.T) {
	now := time.Unix(0, 0)
	b := newBackOff(10 * time.Second)
	b.now = func() time.Time { return now }
	for i, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300} {
		if got := b.wait(); got != want*time.Second {
			t.Errorf("wait before start %d: %v, want %v", i+2, got, want*time.Second)
		}
		b.next()
	}
	now = now.Add(2*maxBackOff + time.Second)
	if got := b.wait(); got != 0 {
		t.Errorf("wait after a long run: %v, want 0", got)
	}
}
