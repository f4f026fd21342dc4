package local

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// A Store keeps state machines, executions and their history. Memory keeps them
// as long as the process runs, Bolt in a file.
type Store interface {
	// PutMachine stores a state machine under its ARN.
	PutMachine(m Machine) error
	// DeleteMachine forgets a state machine. Its executions stay.
	DeleteMachine(arn string) error
	// Machines are all state machines, in the order of their ARNs.
	Machines() ([]Machine, error)

	// Commit stores an execution and adds to its history, all or nothing. When
	// it returns, a crash cannot lose it.
	Commit(r Record, history []asl.HistoryEvent) error
	// Record finds an execution, or ErrNotFound. The engine does not ask for
	// those that it runs.
	Record(arn string) (Record, error)
	// Records calls f with every execution, in the order in which they were
	// first stored, until f returns false.
	Records(f func(Record) bool) error
	// History are up to n events after the first skip ones, or, in reverse,
	// before the last skip ones and backwards.
	History(arn string, skip, n int, reverse bool) ([]asl.HistoryEvent, error)

	// Close frees the store.
	Close() error
}

// ErrNotFound is for an execution that a Store does not have.
var ErrNotFound = errors.New("not found")

// A Machine is a state machine as it was given to the engine.
type Machine struct {
	ARN        string
	Name       string
	RoleARN    string
	Definition string
	Created    time.Time
	Updated    time.Time
	Revision   string
	Logging    json.RawMessage `json:",omitempty"` // kept and given back, without effect
	Tracing    json.RawMessage `json:",omitempty"`
}

// A Record is an execution as it is stored.
type Record struct {
	Execution  *asl.Execution
	Definition string // the machine's when the execution started
	Revision   string
	TraceID    string `json:",omitempty"`
	// RedriveToken is the client token of the last redrive.
	RedriveToken string `json:",omitempty"`
	// HookPending says that the execution has ended and Options.OnEnd has not
	// yet been told with success.
	HookPending bool `json:",omitempty"`
}
