package safety

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
)

// A disk is what engines store on. It outlives them.
type disk struct {
	machines map[string]local.Machine
	kept     map[string]*kept
	order    []string
	// careful disks keep what was committed apart from what the engine works on, so that an
	// engine can die in the middle of a step.
	careful bool
}

// kept is one execution on a disk.
type kept struct {
	record  local.Record
	saved   []byte // as JSON, where the disk is careful
	history []asl.HistoryEvent
	stamp   stamp // of the record's identity; zero where it has changed
}

func newDisk(careful bool) *disk {
	return &disk{machines: map[string]local.Machine{}, kept: map[string]*kept{}, careful: careful}
}

// crashed is the disk as the next engine finds it.
func (d *disk) crashed() *disk {
	out := &disk{machines: d.machines, kept: map[string]*kept{}, order: slices.Clone(d.order), careful: d.careful}
	for arn, k := range d.kept {
		data := k.saved
		if data == nil {
			data = save(k.record)
		}
		n := &kept{saved: k.saved, history: slices.Clone(k.history)}
		if err := json.Unmarshal(data, &n.record); err != nil {
			panic(err) // it was written by save
		}
		out.kept[arn] = n
	}
	return out
}

// expire moves the time limit of an execution that runs to now, in what is stored and in what the
// engine works on. It is called between two steps of the engine, when both say the same.
func (d *disk) expire(arn string, now time.Time) {
	k := d.kept[arn]
	if k.record.Execution.Status != asl.Running {
		return
	}
	k.record.Execution.Deadline, k.stamp = now.Truncate(time.Millisecond), stamp{}
	if d.careful {
		k.saved = save(k.record)
	}
}

func save(r local.Record) []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err) // a record is plain data
	}
	return data
}

// A session is one engine's way to the disk. A dead engine has none.
type session struct {
	*disk
	dead bool
	// committing is asked at every commit whether the engine dies before it, or after.
	committing func() (before, after bool)
	die        func()
}

var errDead = errors.New("this engine is dead")

func (s *session) PutMachine(m local.Machine) error { s.machines[m.ARN] = m; return nil }
func (s *session) DeleteMachine(arn string) error   { delete(s.machines, arn); return nil }
func (s *session) Close() error                     { return nil }
func (s *session) Machines() ([]local.Machine, error) {
	var out []local.Machine
	for _, m := range s.machines {
		out = append(out, m) // there is one
	}
	return out, nil
}

// Commit stores, unless the engine is dead or dies of it.
func (s *session) Commit(r local.Record, history []asl.HistoryEvent) error {
	if s.dead {
		return errDead
	}
	before, after := s.committing()
	if before {
		s.die()
		return errDead
	}
	arn := r.Execution.ID
	k := s.kept[arn]
	if k == nil {
		k = &kept{}
		s.kept[arn] = k
		s.order = append(s.order, arn)
	}
	k.record, k.stamp = r, stamp{}
	k.history = append(k.history, history...)
	if s.careful {
		k.saved = save(r)
	}
	if after {
		s.die()
	}
	return nil
}

func (s *session) Record(arn string) (local.Record, error) {
	k := s.kept[arn]
	if k == nil {
		return local.Record{}, local.ErrNotFound
	}
	return k.record, nil
}

func (s *session) Records(f func(local.Record) bool) error {
	for _, arn := range s.order {
		if !f(s.kept[arn].record) {
			return nil
		}
	}
	return nil
}

// History gives all events in order, which is what the search asks for.
func (s *session) History(arn string, skip, n int, reverse bool) ([]asl.HistoryEvent, error) {
	k := s.kept[arn]
	if k == nil {
		return nil, local.ErrNotFound
	}
	events := slices.Clone(k.history)
	if reverse {
		slices.Reverse(events)
	}
	skip = min(skip, len(events))
	return events[skip:min(skip+n, len(events))], nil
}
