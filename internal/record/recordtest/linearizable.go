package recordtest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A write is what a client asked for: a record with this number, over the revision that it had read.
// The zero write is a reading.
type write struct {
	over   string
	number int
}

// A reply is what a client was told: the revision and number that are stored, or that it had lost.
type reply struct {
	revision string
	number   int
	lost     bool
}

// register is what a record is to those who write it at once: one place, where a write over the revision
// that is stored takes effect, and any other one is lost.
var register = porcupine.Model{
	Init: func() any { return reply{} },
	Step: func(state, input, output any) (bool, any) {
		now, asked, told := state.(reply), input.(write), output.(reply)
		switch {
		case asked == write{}:
			return told == now, now
		case told.lost:
			return asked.over != now.revision, now
		default:
			return asked.over == now.revision && told.number == asked.number && told.revision != now.revision, told
		}
	},
}

// linearizable has clients read and write one record at once, and asks whether what each of them was told fits one
// order of all their calls, in which none comes before one that had ended before it began (Herlihy and Wing, 1990).
func linearizable(t *testing.T, store record.Store, s workload.Service) {
	const clients, calls = 6, 15
	began := time.Now()
	var mu sync.Mutex
	var history []porcupine.Operation
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(client), 0))
			seen := record.Record{}
			for call := range calls {
				op := porcupine.Operation{ClientId: client, Call: int64(time.Since(began))}
				var got record.Record
				var err error
				asked := write{}
				if rng.IntN(2) == 0 {
					got, err = store.Read(t.Context(), s)
				} else {
					asked = write{over: seen.Revision, number: 1 + client*calls + call}
					next := seen
					next.Number = asked.number
					got, err = store.Write(t.Context(), s, next)
				}
				op.Return = int64(time.Since(began))
				lost := errors.Is(err, fault.Conflict)
				if err != nil && !lost {
					t.Errorf("client %d, call %d, %+v: %v", client, call, asked, err)
					return
				}
				if lost {
					got = record.Record{}
				} else {
					seen = got
				}
				op.Input, op.Output = asked, reply{got.Revision, got.Number, lost}
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if verdict := porcupine.CheckOperationsTimeout(register, history, time.Minute); verdict != porcupine.Ok {
		t.Errorf("no order of all calls explains what the clients were told (%s): %+v", verdict, history)
	}
}
