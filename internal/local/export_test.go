package local

import "github.com/stepcanary/stepcanary/internal/asl"

// PackEvents and UnpackEvents are for the tests of packing.
var (
	PackEvents   = packEvents
	UnpackEvents = unpackEvents
)

// MemoryHistory is for the tests of packing.
type MemoryHistory struct{ memoryHistory }

// Add is what a commit adds.
func (h *MemoryHistory) Add(events []asl.HistoryEvent) error { return h.add(events) }

// Waiting is what waits for compression.
func (h *MemoryHistory) Waiting() int { return len(h.tail.data) }

// Bytes is what the history takes.
func (h *MemoryHistory) Bytes() int { return h.kept + len(h.tail.data) }
