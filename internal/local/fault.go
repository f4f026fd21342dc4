package local

import "fmt"

// A Fault is an error of the Step Functions API.
type Fault struct {
	Kind    FaultKind
	Message string
}

// FaultKind is the name of an error in the API.
type FaultKind string

// The errors that this engine gives.
const (
	ExecutionAlreadyExists   FaultKind = "ExecutionAlreadyExists"
	ExecutionDoesNotExist    FaultKind = "ExecutionDoesNotExist"
	ExecutionNotRedrivable   FaultKind = "ExecutionNotRedrivable"
	InvalidArn               FaultKind = "InvalidArn"
	InvalidDefinition        FaultKind = "InvalidDefinition"
	InvalidExecutionInput    FaultKind = "InvalidExecutionInput"
	InvalidName              FaultKind = "InvalidName"
	InvalidOutput            FaultKind = "InvalidOutput"
	InvalidToken             FaultKind = "InvalidToken"
	MissingRequiredParameter FaultKind = "MissingRequiredParameter"
	StateMachineAlreadyExist FaultKind = "StateMachineAlreadyExists"
	StateMachineDoesNotExist FaultKind = "StateMachineDoesNotExist"
	StateMachineTypeUnknown  FaultKind = "StateMachineTypeNotSupported"
	TaskTimedOut             FaultKind = "TaskTimedOut"
	ValidationException      FaultKind = "ValidationException"
)

// Error gives kind and message.
func (f *Fault) Error() string { return string(f.Kind) + ": " + f.Message }

func fault(kind FaultKind, format string, args ...any) error {
	return &Fault{Kind: kind, Message: fmt.Sprintf(format, args...)}
}
