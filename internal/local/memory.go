package local

import (
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
	history []asl.HistoryEvent
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
	e.history = append(e.history, history...)
	if r.Execution.Status == asl.Running {
		e.live, e.ended = &r, nil
		return nil
	}
	data, err := json.Marshal(r)
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
	if err := json.Unmarshal(e.ended, &r); err != nil {
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
	all := e.history
	if reverse {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	skip = min(skip, len(all))
	return slices.Clone(all[skip:min(skip+n, len(all))]), nil
}

// Close is for Store.
func (m *Memory) Close() error { return nil }
