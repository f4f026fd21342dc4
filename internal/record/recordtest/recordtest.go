// Package recordtest is the suite that every record.Store passes.
package recordtest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Run tests the stores that open gives, each with a service that has no record yet.
func Run(t *testing.T, open func(t *testing.T) (record.Store, workload.Service)) {
	for name, test := range map[string]func(*testing.T, record.Store, workload.Service){
		"a service never rolled out has the zero record": zero,
		"every field comes back":                         roundTrip,
		"what is emptied stays empty":                    emptied,
		"a write from an old reading loses":              stale,
		"of two acquirers one wins":                      race,
		"what writers at once are told fits one order":   linearizable,
		"records of two services are apart":              apart,
		"a namespace's record is apart from a service's": ofNamespace,
	} {
		t.Run(name, func(t *testing.T) {
			store, service := open(t)
			test(t, store, service)
		})
	}
}

func zero(t *testing.T, store record.Store, s workload.Service) {
	r, err := store.Read(t.Context(), s)
	if err != nil {
		t.Fatalf("Read(%v) = %v", s, err)
	}
	if diff := cmp.Diff(record.Record{}, r); diff != "" {
		t.Errorf("Read(%v) of nothing (-want +got):\n%s", s, diff)
	}
}

// Full is a record with every field set.
func Full() record.Record {
	at := time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC)
	return record.Record{
		Holder:   "arn:aws:states:eu-west-1:123456789012:execution:stepcanary:checkout-2026-11-21T09-30-00Z-a1b2c3d4e5f6",
		Epoch:    7,
		Acquired: at,
		Number:   12,
		Stable: workload.Version{Name: "checkout-11", Number: 11, Deployment: "checkout-11",
			Image:    "registry.example/checkout@sha256:4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865",
			Replicas: 3, Ours: true, Rollout: "arn:aws:states:eu-west-1:123456789012:execution:stepcanary:checkout-old"},
		Canary: workload.Version{Name: "checkout-12", Number: 12, Deployment: "checkout-12",
			Image: "checkout:12", Replicas: 4, Ours: true, Rollout: "arn"},
		Phase:  record.Rolling,
		Router: "gateway-api",
		Route:  "checkout",
		Last:   record.End{Execution: "arn:last", Outcome: "RolledBack", Reason: "error rate 7 % is above 1 % – “Zürich”\nline two", At: at.Add(-time.Hour)},
		Freeze: record.Freeze{Reason: "Black Friday", Until: at.Add(72 * time.Hour), By: "ann"},
		Queue:  []string{"arn:aws:states:eu-west-1:123456789012:execution:stepcanary:checkout-next", "arn:after"},
	}
}

func roundTrip(t *testing.T, store record.Store, s workload.Service) {
	want := Full()
	written, err := store.Write(t.Context(), s, want)
	if err != nil {
		t.Fatalf("Write(%v) = %v", s, err)
	}
	read, err := store.Read(t.Context(), s)
	if err != nil {
		t.Fatalf("Read(%v) = %v", s, err)
	}
	if written.Revision == "" || written.Revision != read.Revision {
		t.Errorf("Write gave revision %q, Read gives %q; want the same, not empty", written.Revision, read.Revision)
	}
	want.Revision = read.Revision
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("Read(%v) after Write (-want +got):\n%s", s, diff)
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("Write(%v) gave back (-want +got):\n%s", s, diff)
	}
}

func emptied(t *testing.T, store record.Store, s workload.Service) {
	r, err := store.Write(t.Context(), s, Full())
	if err != nil {
		t.Fatalf("Write(%v) = %v", s, err)
	}
	free := record.Record{Epoch: r.Epoch, Number: r.Number, Stable: r.Canary, Last: r.Last, Revision: r.Revision}
	if _, err := store.Write(t.Context(), s, free); err != nil {
		t.Fatalf("Write(%v) of a free record = %v", s, err)
	}
	read, err := store.Read(t.Context(), s)
	if err != nil {
		t.Fatalf("Read(%v) = %v", s, err)
	}
	free.Revision = read.Revision
	if diff := cmp.Diff(free, read); diff != "" {
		t.Errorf("Read(%v) after the lock was given back (-want +got):\n%s", s, diff)
	}
}

func stale(t *testing.T, store record.Store, s workload.Service) {
	first, err := store.Write(t.Context(), s, record.Record{Holder: "one", Epoch: 1})
	if err != nil {
		t.Fatalf("Write(%v) = %v", s, err)
	}
	second := first
	second.Number = 2
	if _, err := store.Write(t.Context(), s, second); err != nil {
		t.Fatalf("Write(%v) from the newest reading = %v", s, err)
	}
	for name, r := range map[string]record.Record{
		"an old revision":                {Holder: "two", Epoch: 2, Revision: first.Revision},
		"a revision of no record at all": {Holder: "two", Epoch: 2},
	} {
		if _, err := store.Write(t.Context(), s, r); !errors.Is(err, fault.Conflict) {
			t.Errorf("Write(%v) from %s = %v; want %v", s, name, err, fault.Conflict)
		}
	}
	if r, err := store.Read(t.Context(), s); err != nil || r.Holder != "one" || r.Number != 2 {
		t.Errorf("Read(%v) = holder %q, number %d, %v; want one, 2: the losers changed something", s, r.Holder, r.Number, err)
	}
}

func race(t *testing.T, store record.Store, s workload.Service) {
	for _, existing := range []bool{false, true} {
		seen, err := store.Read(t.Context(), s)
		if err != nil {
			t.Fatalf("Read(%v) = %v", s, err)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				r := seen
				r.Holder, r.Epoch = string(rune('a'+i)), seen.Epoch+1
				switch _, err := store.Write(t.Context(), s, r); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fault.Conflict):
					t.Errorf("Write(%v) of a loser = %v; want %v", s, err, fault.Conflict)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d of 8 acquirers won (record existed: %v); want 1", won.Load(), existing)
		}
	}
}

func apart(t *testing.T, store record.Store, s workload.Service) {
	other := workload.Service{Namespace: s.Namespace, Name: s.Name + "-2"}
	if _, err := store.Write(t.Context(), s, record.Record{Holder: "one", Epoch: 1}); err != nil {
		t.Fatalf("Write(%v) = %v", s, err)
	}
	if r, err := store.Read(t.Context(), other); err != nil || r.Holder != "" {
		t.Errorf("Read(%v) = holder %q, %v; want none", other, r.Holder, err)
	}
}

// A freeze of the namespace is found by whoever asks for it, and no service's record is it.
func ofNamespace(t *testing.T, store record.Store, s workload.Service) {
	want := record.Record{Freeze: Full().Freeze}
	written, err := store.Write(t.Context(), record.OfNamespace(s.Namespace), want)
	if err != nil {
		t.Fatalf("Write() of the namespace = %v", err)
	}
	want.Revision = written.Revision
	got, err := store.Read(t.Context(), record.OfNamespace(s.Namespace))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Read() of the namespace = %v (-want +got):\n%s", err, diff)
	}
	zero(t, store, s)
}
