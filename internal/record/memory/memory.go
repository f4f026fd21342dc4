// Package memory keeps records in a map, for simulations and tests.
package memory

import (
	"context"
	"fmt"
	"strconv"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Records is a record.Store in memory. Its operations are named record.Read and
// record.Write for the hooks of the core.
type Records struct {
	core     *memory.Core
	records  map[workload.Service]record.Record
	revision int
	writes   int
}

// New gives a store without records.
func New(c *memory.Core) *Records {
	return &Records{core: c, records: map[workload.Service]record.Record{}}
}

// Read gives the record; a missing one is the zero Record.
func (r *Records) Read(ctx context.Context, s workload.Service) (rec record.Record, err error) {
	err = r.core.Call(ctx, "record.Read", func() error {
		rec = r.records[s]
		return nil
	})
	if err != nil {
		return record.Record{}, err
	}
	return rec, nil
}

// Write stores rec if the stored one still has its revision.
func (r *Records) Write(ctx context.Context, s workload.Service, rec record.Record) (record.Record, error) {
	err := r.core.Call(ctx, "record.Write", func() error {
		if have := r.records[s].Revision; have != rec.Revision {
			return fmt.Errorf("write record of %s/%s: %w: revision %q is stored, %q was read",
				s.Namespace, s.Name, fault.Conflict, have, rec.Revision)
		}
		r.revision++
		r.writes++
		rec.Revision = strconv.Itoa(r.revision)
		r.records[s] = rec
		return nil
	})
	if err != nil {
		return record.Record{}, err
	}
	return rec, nil
}

// Peek gives the record without hooks, for whoever checks a simulation.
func (r *Records) Peek(s workload.Service) (rec record.Record) {
	_ = r.core.Do(func() error { rec = r.records[s]; return nil })
	return rec
}

// Writes counts the writes that took effect.
func (r *Records) Writes() (n int) {
	_ = r.core.Do(func() error { n = r.writes; return nil })
	return n
}
