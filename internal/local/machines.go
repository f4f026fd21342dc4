package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
)

// MachineInput is what CreateStateMachine and UpdateStateMachine take.
type MachineInput struct {
	Name       string // for Create
	ARN        string // for Update
	Definition string // empty in an update leaves it
	RoleARN    string // empty in an update leaves it
	Type       string // for Create: STANDARD or empty
	Logging    json.RawMessage
	Tracing    json.RawMessage
}

// CreateMachine stores a state machine. Creating the same one twice is no
// error.
func (e *Engine) CreateMachine(in MachineInput) (Machine, error) {
	defer e.hold()()
	if err := checkName("a state machine's name", in.Name); err != nil {
		return Machine{}, err
	}
	if in.Type != "" && in.Type != "STANDARD" {
		return Machine{}, fault(StateMachineTypeUnknown, "state machines of type %s are not supported; expected STANDARD", in.Type)
	}
	if err := e.checkDefinition(in.Definition); err != nil {
		return Machine{}, err
	}
	now := e.clock.Now().UTC()
	m := Machine{
		ARN: e.machineARN(in.Name), Name: in.Name, RoleARN: in.RoleARN, Definition: in.Definition,
		Created: now, Updated: now, Revision: "INITIAL", Logging: in.Logging, Tracing: in.Tracing,
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if old, ok := e.machines[m.ARN]; ok {
		if old.Definition != m.Definition || old.RoleARN != m.RoleARN {
			return Machine{}, fault(StateMachineAlreadyExist, "State Machine Already Exists: '%s'", m.ARN)
		}
		return old, nil
	}
	return m, e.put(m)
}

// put stores a machine. It is called with e.mu held.
func (e *Engine) put(m Machine) error {
	if err := e.store.PutMachine(m); err != nil {
		return fmt.Errorf("store state machine %s: %w", m.ARN, err)
	}
	e.machines[m.ARN] = m
	return nil
}

func (e *Engine) checkDefinition(text string) error {
	_, err := e.o.Parse(text)
	if err != nil {
		return fault(InvalidDefinition, "Invalid State Machine Definition: '%v'", err)
	}
	return nil
}

// UpdateMachine changes a state machine for executions that start from now on.
func (e *Engine) UpdateMachine(in MachineInput) (Machine, error) {
	defer e.hold()()
	if in.Definition != "" {
		if err := e.checkDefinition(in.Definition); err != nil {
			return Machine{}, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m, err := e.machine(in.ARN)
	if err != nil {
		return Machine{}, err
	}
	if in.Definition == "" && in.RoleARN == "" && in.Logging == nil && in.Tracing == nil {
		return Machine{}, fault(MissingRequiredParameter, "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified")
	}
	if in.Definition != "" {
		m.Definition = in.Definition
	}
	if in.RoleARN != "" {
		m.RoleARN = in.RoleARN
	}
	if in.Logging != nil {
		m.Logging = in.Logging
	}
	if in.Tracing != nil {
		m.Tracing = in.Tracing
	}
	m.Updated, m.Revision = e.clock.Now().UTC(), e.o.NewUUID()
	return m, e.put(m)
}

// machine is called with e.mu held.
func (e *Engine) machine(arn string) (Machine, error) {
	if _, err := parseARN(arn, "stateMachine"); err != nil {
		return Machine{}, err
	}
	m, ok := e.machines[arn]
	if !ok {
		return Machine{}, fault(StateMachineDoesNotExist, "State Machine Does Not Exist: '%s'", arn)
	}
	return m, nil
}

// DescribeMachine finds a state machine.
func (e *Engine) DescribeMachine(arn string) (Machine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.machine(arn)
}

// Machines are all state machines, newest first, as the API lists them.
func (e *Engine) Machines() []Machine {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := slices.Collect(maps.Values(e.machines))
	slices.SortFunc(out, func(a, b Machine) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return compareText(a.ARN, b.ARN)
	})
	return out
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// DeleteMachine forgets a state machine. Executions that run go on. Deleting
// one that does not exist is no error.
func (e *Engine) DeleteMachine(arn string) error {
	defer e.hold()()
	if _, err := parseARN(arn, "stateMachine"); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.machines[arn]; !ok {
		return nil
	}
	if err := e.store.DeleteMachine(arn); err != nil {
		return fmt.Errorf("delete state machine %s: %w", arn, err)
	}
	delete(e.machines, arn)
	return nil
}

// ValidateDefinition says what is wrong with a definition; nothing if it can be
// created.
func ValidateDefinition(text string) []asl.Problem {
	_, err := asl.Parse([]byte(text), asl.Options{})
	var bad *asl.DefinitionError
	if errors.As(err, &bad) {
		return bad.Problems
	}
	return nil
}

// maxAge is how long an execution can be redriven after its end, and
// Description says so.
const maxAge = 14 * 24 * time.Hour
