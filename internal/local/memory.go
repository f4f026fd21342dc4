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

// A memoryHistory keeps events packed: the last ones as they are, those before
// compressed in blocks.
type memoryHistory struct {
	blocks [][]byte
	tail   []byte
	base   string // the last payload
}

// maxTail is how many bytes of events wait for compression.
const maxTail = 4 << 10

func (h *memoryHistory) add(events []asl.HistoryEvent) error {
	if len(events) == 0 {
		return nil
	}
	p := newPacker(h.base)
	for _, e := range events {
		if err := p.event(e); err != nil {
			return err
		}
	}
	h.base = p.last()
	h.tail = binary.AppendUvarint(h.tail, uint64(len(p.out)))
	h.tail = append(h.tail, p.out...)
	if len(h.tail) < maxTail {
		return nil
	}
	block, err := compress(h.tail)
	if err != nil {
		return err
	}
	h.blocks = append(h.blocks, block)
	h.tail = nil
	return nil
}

func (h *memoryHistory) all() ([]asl.HistoryEvent, error) {
	var events []asl.HistoryEvent
	base := ""
	read := func(data []byte) error {
		for len(data) > 0 {
			n, size := binary.Uvarint(data)
			if size <= 0 || n > uint64(len(data)-size) {
				return errPacked
			}
			u := newUnpacker(base, data[size:size+int(n)])
			var err error
			if events, err = u.all(events); err != nil {
				return err
			}
			base = u.last()
			data = data[size+int(n):]
		}
		return nil
	}
	for _, b := range h.blocks {
		data, err := decompress(b)
		if err == nil {
			err = read(data)
		}
		if err != nil {
			return nil, err
		}
	}
	return events, read(h.tail)
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
	all, err := e.history.all()
	if err != nil {
		return nil, fmt.Errorf("read history of %s: %w", arn, err)
	}
	if reverse {
		slices.Reverse(all)
	}
	skip = min(skip, len(all))
	return all[skip:min(skip+n, len(all))], nil
}

// Close is for Store.
func (m *Memory) Close() error { return nil }
