package local

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// Memory is a Store without a file, for tests and simulations.
type Memory struct {
	mu       sync.Mutex
	machines map[string]Machine
	records  map[string]*memoryRecord
	order    []string
}

// A memoryRecord shares a running execution with the engine, which alone reads
// and changes it, and keeps an ended one as JSON.
type memoryRecord struct {
	live    *Record
	ended   []byte
	history memoryHistory
}

// A memoryHistory keeps events packed: the last ones as they are, those before compressed in
// blocks. A block is read without those before it, so that the end of a long history, where
// people and commands look, costs no more than that of a short one.
type memoryHistory struct {
	blocks []memoryBlock
	kept   int // bytes in blocks
	tail   memoryBlock
	base   base // of what is added next
}

// A memoryBlock holds so many events.
type memoryBlock struct {
	data   []byte
	events int
}

// So many bytes of events wait for compression: few in a short history, of which there are many
// at once, and in a long one half of what it has compressed already. Compression finds more that is
// alike in a large block, and has less to do for each event.
const (
	leastTail = 4 << 10
	mostTail  = 32 << 10 // the compressor looks no farther back
)

func (h *memoryHistory) add(events []asl.HistoryEvent) error {
	if len(events) == 0 {
		return nil
	}
	p := newPacker(h.base)
	defer p.free()
	for _, e := range events {
		if err := p.event(e); err != nil {
			return err
		}
	}
	h.base = p.base()
	h.tail.data = binary.AppendUvarint(h.tail.data, uint64(len(p.out)))
	h.tail.data = append(h.tail.data, p.out...)
	h.tail.events += len(events)
	if len(h.tail.data) < min(max(leastTail, h.kept/2), mostTail) {
		return nil
	}
	block, err := compress(h.tail.data)
	if err != nil {
		return err
	}
	h.blocks = append(h.blocks, memoryBlock{block, h.tail.events})
	h.kept += len(block)
	h.tail, h.base = memoryBlock{data: h.next()}, base{}
	return nil
}

// next is what the next tail is written into: the old one's bytes again, where the history is long.
func (h *memoryHistory) next() []byte {
	if h.kept < mostTail {
		return nil
	}
	return h.tail.data[:0]
}

// read gives up to n events after the first skip ones, or, in reverse, before the last skip ones
// and backwards. It opens the blocks that hold them alone.
func (h *memoryHistory) read(skip, n int, reverse bool) ([]asl.HistoryEvent, error) {
	total := h.tail.events
	for _, b := range h.blocks {
		total += b.events
	}
	from := min(skip, total)
	to := min(from+n, total)
	if reverse {
		from, to = total-to, total-from
	}
	out := make([]asl.HistoryEvent, 0, to-from)
	at := 0
	for i := range len(h.blocks) + 1 {
		b := h.tail
		if i < len(h.blocks) {
			b = h.blocks[i]
		}
		if at < to && at+b.events > from {
			events, err := b.read(i < len(h.blocks))
			if err != nil {
				return nil, err
			}
			out = append(out, events[max(0, from-at):min(len(events), to-at)]...)
		}
		at += b.events
	}
	if reverse {
		slices.Reverse(out)
	}
	return out, nil
}

func (b memoryBlock) read(compressed bool) (events []asl.HistoryEvent, err error) {
	data, u := b.data, newUnpacker(base{}, nil)
	if compressed {
		if data, err = decompress(data); err != nil {
			return nil, err
		}
	}
	for len(data) > 0 {
		n, size := binary.Uvarint(data)
		if size <= 0 || n > uint64(len(data)-size) {
			return nil, errPacked
		}
		u = u.then(data[size : size+int(n)])
		if events, err = u.all(events); err != nil {
			return nil, err
		}
		data = data[size+int(n):]
	}
	if len(events) != b.events {
		return nil, errPacked
	}
	return events, nil
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{machines: map[string]Machine{}, records: map[string]*memoryRecord{}}
}

// PutMachine is for Store.
func (m *Memory) PutMachine(x Machine) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.machines[x.ARN] = x
	return nil
}

// DeleteMachine is for Store.
func (m *Memory) DeleteMachine(arn string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.machines, arn)
	return nil
}

// Machines is for Store.
func (m *Memory) Machines() ([]Machine, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Machine
	for _, k := range slices.Sorted(maps.Keys(m.machines)) {
		out = append(out, m.machines[k])
	}
	return out, nil
}

// Commit is for Store.
func (m *Memory) Commit(r Record, history []asl.HistoryEvent) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	arn := r.Execution.ID
	e := m.records[arn]
	if e == nil {
		e = &memoryRecord{}
		m.records[arn] = e
		m.order = append(m.order, arn)
	}
	if err := e.history.add(history); err != nil {
		return fmt.Errorf("store history of %s: %w", arn, err)
	}
	if r.Execution.Status == asl.Running {
		e.live, e.ended = &r, nil
		return nil
	}
	data, err := json.Marshal(r)
	if err == nil {
		data, err = compress(data)
	}
	if err != nil {
		return fmt.Errorf("store execution %s: %w", arn, err)
	}
	e.live, e.ended = nil, data
	return nil
}

// Record is for Store.
func (m *Memory) Record(arn string) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.records[arn]
	if e == nil {
		return Record{}, ErrNotFound
	}
	if e.live != nil {
		return *e.live, nil
	}
	var r Record
	data, err := decompress(e.ended)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read execution %s: %w", arn, err)
	}
	return r, nil
}

// Records is for Store.
func (m *Memory) Records(f func(Record) bool) error {
	m.mu.Lock()
	order := slices.Clone(m.order)
	m.mu.Unlock()
	for _, arn := range order {
		r, err := m.Record(arn)
		if err != nil {
			return err
		}
		if !f(r) {
			return nil
		}
	}
	return nil
}

// History is for Store.
func (m *Memory) History(arn string, skip, n int, reverse bool) ([]asl.HistoryEvent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.records[arn]
	if e == nil {
		return nil, ErrNotFound
	}
	events, err := e.history.read(skip, n, reverse)
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", arn, err)
	}
	return events, nil
}

// Close is for Store.
func (m *Memory) Close() error { return nil }
