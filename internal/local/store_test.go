package local_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
)

// stores are all kinds of Store.
func stores(t *testing.T) map[string]local.Store {
	t.Helper()
	b, err := local.OpenBolt(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatalf("OpenBolt() = %v", err)
	}
	return map[string]local.Store{"memory": local.NewMemory(), "bolt": b}
}

// events makes n events from id on.
func events(id, n int) []asl.HistoryEvent {
	var out []asl.HistoryEvent
	for i := id; i < id+n; i++ {
		in := fmt.Sprintf(`{"n":%d}`, i)
		out = append(out, asl.HistoryEvent{ID: int64(i), Previous: int64(i - 1), Type: "PassStateEntered", Time: start, Details: asl.Details{Name: "A", Input: &in}})
	}
	return out
}

func record(name string, status asl.Status) local.Record {
	return local.Record{Definition: "{}", Execution: &asl.Execution{
		ID: "arn:" + name, Name: name, Status: status, Started: start, Input: `{}`,
		Frames: []*asl.Frame{{ID: 1, State: "A", Wake: start.Add(time.Hour), Input: `{"a":1}`}},
	}}
}

func TestStoreKeepsHistoryInPages(t *testing.T) {
	for kind, s := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			defer s.Close()
			next := 1
			for _, n := range []int{3, 1, 200, 1, 45} {
				for _, name := range []string{"x", "y"} {
					if err := s.Commit(record(name, asl.Running), events(next, n)); err != nil {
						t.Fatalf("Commit() = %v", err)
					}
				}
				next += n
			}
			const total = 250
			for _, reverse := range []bool{false, true} {
				for _, size := range []int{1, 7, 100, 1000} {
					var ids []int64
					for skip := 0; ; skip += size {
						page, err := s.History("arn:x", skip, size, reverse)
						if err != nil {
							t.Fatalf("History(%d, %d, %v) = %v", skip, size, reverse, err)
						}
						if len(page) == 0 {
							break
						}
						for _, e := range page {
							ids = append(ids, e.ID)
							if want := fmt.Sprintf(`{"n":%d}`, e.ID); *e.Details.Input != want {
								t.Fatalf("event %d has input %s; want %s", e.ID, *e.Details.Input, want)
							}
						}
					}
					if len(ids) != total {
						t.Fatalf("pages of %d, reverse %v: %d events; want %d", size, reverse, len(ids), total)
					}
					for i, id := range ids {
						want := int64(i + 1)
						if reverse {
							want = int64(total - i)
						}
						if id != want {
							t.Fatalf("pages of %d, reverse %v: event %d at place %d; want %d", size, reverse, id, i, want)
						}
					}
				}
			}
			if _, err := s.History("arn:z", 0, 1, false); !errors.Is(err, local.ErrNotFound) {
				t.Errorf("History() of an unknown execution = %v; want ErrNotFound", err)
			}
		})
	}
}

func TestStoreKeepsRecordsInTheOrderOfTheirStart(t *testing.T) {
	for kind, s := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			defer s.Close()
			for _, name := range []string{"c", "a", "b"} {
				if err := s.Commit(record(name, asl.Running), nil); err != nil {
					t.Fatalf("Commit() = %v", err)
				}
			}
			want := record("a", asl.Failed)
			want.HookPending = true
			if err := s.Commit(want, nil); err != nil {
				t.Fatalf("Commit() = %v", err)
			}
			var names []string
			if err := s.Records(func(r local.Record) bool {
				names = append(names, r.Execution.Name)
				return len(names) < 3
			}); err != nil {
				t.Fatalf("Records() = %v", err)
			}
			if diff := cmp.Diff([]string{"c", "a", "b"}, names); diff != "" {
				t.Errorf("Records (-want +got):\n%s", diff)
			}
			got, err := s.Record("arn:a")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("Record() = %v (-want +got):\n%s", err, diff)
			}
			if _, err := s.Record("arn:z"); !errors.Is(err, local.ErrNotFound) {
				t.Errorf("Record() of an unknown execution = %v; want ErrNotFound", err)
			}
		})
	}
}

func TestExecutionsReadFromAFileShareTheirDefinition(t *testing.T) {
	s := stores(t)["bolt"]
	defer s.Close()
	const n, size = 100, 1 << 20
	definition := strings.Repeat("x", size)
	for i := range n {
		r := record(fmt.Sprint(i), asl.Running)
		r.Definition = definition
		if err := s.Commit(r, nil); err != nil {
			t.Fatalf("Commit() = %v", err)
		}
	}
	var kept []local.Record
	before := heapInUse()
	if err := s.Records(func(r local.Record) bool {
		kept = append(kept, r)
		return true
	}); err != nil {
		t.Fatalf("Records() = %v", err)
	}
	if held := heapInUse() - before; len(kept) != n || held > 10*size {
		t.Errorf("%d records hold %d bytes; want %d, which share one text of %d", len(kept), held, n, size)
	}
}

func TestStoreKeepsMachines(t *testing.T) {
	for kind, s := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			defer s.Close()
			a := local.Machine{ARN: "a", Name: "a", Definition: "{}", Created: start, Updated: start}
			b := local.Machine{ARN: "b", Name: "b", Definition: "{}", Created: start, Updated: start, Logging: json.RawMessage(`{"level":"OFF"}`)}
			for _, m := range []local.Machine{b, a, b} {
				if err := s.PutMachine(m); err != nil {
					t.Fatalf("PutMachine() = %v", err)
				}
			}
			got, err := s.Machines()
			if diff := cmp.Diff([]local.Machine{a, b}, got); err != nil || diff != "" {
				t.Errorf("Machines() = %v (-want +got):\n%s", err, diff)
			}
			if err := s.DeleteMachine("a"); err != nil {
				t.Errorf("DeleteMachine() = %v", err)
			}
			if got, _ := s.Machines(); len(got) != 1 {
				t.Errorf("%d machines after one was deleted; want 1", len(got))
			}
		})
	}
}

func TestBoltFileIsOpenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := local.OpenBolt(path)
	if err != nil {
		t.Fatalf("OpenBolt() = %v", err)
	}
	defer s.Close()
	if _, err := local.OpenBolt(path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("second OpenBolt() = %v; want it refused", err)
	}
}
