package local

import (
	"encoding/json"

	"github.com/stepcanary/stepcanary/internal/asl"
)

func createStateMachine(e *Engine, in struct {
	Name       string          `json:"name"`
	Definition string          `json:"definition"`
	RoleARN    string          `json:"roleArn"`
	Type       string          `json:"type"`
	Logging    json.RawMessage `json:"loggingConfiguration"`
	Tracing    json.RawMessage `json:"tracingConfiguration"`
}) (any, error) {
	m, err := e.CreateMachine(MachineInput{Name: in.Name, Definition: in.Definition, RoleARN: in.RoleARN, Type: in.Type, Logging: in.Logging, Tracing: in.Tracing})
	if err != nil {
		return nil, err
	}
	return struct {
		ARN     string   `json:"stateMachineArn"`
		Created *float64 `json:"creationDate"`
	}{m.ARN, date(m.Created)}, nil
}

func updateStateMachine(e *Engine, in struct {
	ARN        string          `json:"stateMachineArn"`
	Definition string          `json:"definition"`
	RoleARN    string          `json:"roleArn"`
	Logging    json.RawMessage `json:"loggingConfiguration"`
	Tracing    json.RawMessage `json:"tracingConfiguration"`
}) (any, error) {
	m, err := e.UpdateMachine(MachineInput{ARN: in.ARN, Definition: in.Definition, RoleARN: in.RoleARN, Logging: in.Logging, Tracing: in.Tracing})
	if err != nil {
		return nil, err
	}
	return struct {
		Updated  *float64 `json:"updateDate"`
		Revision string   `json:"revisionId"`
	}{date(m.Updated), m.Revision}, nil
}

// machineAnswer is a state machine as the API shows it.
type machineAnswer struct {
	ARN        string          `json:"stateMachineArn"`
	Name       string          `json:"name"`
	Status     string          `json:"status,omitempty"`
	Definition string          `json:"definition,omitempty"`
	RoleARN    string          `json:"roleArn"`
	Type       string          `json:"type,omitempty"`
	Created    *float64        `json:"creationDate,omitempty"`
	Updated    *float64        `json:"updateDate,omitempty"`
	Revision   string          `json:"revisionId,omitempty"`
	Logging    json.RawMessage `json:"loggingConfiguration,omitempty"`
	Tracing    json.RawMessage `json:"tracingConfiguration,omitempty"`
}

func describeStateMachine(e *Engine, in struct {
	ARN      string `json:"stateMachineArn"`
	Included string `json:"includedData"`
}) (any, error) {
	m, err := e.DescribeMachine(in.ARN)
	if err != nil {
		return nil, err
	}
	a := machineAnswer{
		ARN: m.ARN, Name: m.Name, Status: "ACTIVE", Definition: m.Definition, RoleARN: m.RoleARN, Type: "STANDARD",
		Created: date(m.Created), Logging: m.Logging, Tracing: m.Tracing,
	}
	if m.Revision != "INITIAL" {
		a.Revision = m.Revision
	}
	if in.Included == "METADATA_ONLY" {
		a.Definition = ""
	}
	return a, nil
}

func describeStateMachineForExecution(e *Engine, in struct {
	ARN      string `json:"executionArn"`
	Included string `json:"includedData"`
}) (any, error) {
	m, err := e.MachineOf(in.ARN)
	if err != nil {
		return nil, err
	}
	a := machineAnswer{ARN: m.ARN, Name: m.Name, Definition: m.Definition, RoleARN: m.RoleARN, Updated: date(m.Updated), Revision: m.Revision}
	if in.Included == "METADATA_ONLY" {
		a.Definition = ""
	}
	return a, nil
}

func listStateMachines(e *Engine, in struct {
	MaxResults int    `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}) (any, error) {
	type item struct {
		ARN     string   `json:"stateMachineArn"`
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		Created *float64 `json:"creationDate"`
	}
	var out struct {
		Machines  []item  `json:"stateMachines"`
		NextToken *string `json:"nextToken,omitempty"`
	}
	n, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	at, err := pageAt(in.NextToken, "machines")
	if err != nil {
		return nil, err
	}
	all := e.Machines()
	out.Machines = []item{}
	for i := at; i < len(all); i++ {
		if len(out.Machines) == n {
			out.NextToken = pageToken{"machines", i}.encode()
			break
		}
		m := all[i]
		out.Machines = append(out.Machines, item{m.ARN, m.Name, "STANDARD", date(m.Created)})
	}
	return out, nil
}

func deleteStateMachine(e *Engine, in struct {
	ARN string `json:"stateMachineArn"`
}) (any, error) {
	return struct{}{}, e.DeleteMachine(in.ARN)
}

func validateStateMachineDefinition(_ *Engine, in struct {
	Definition string `json:"definition"`
	Type       string `json:"type"`
	Severity   string `json:"severity"`
	MaxResults int    `json:"maxResults"`
}) (any, error) {
	type diagnostic struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		Message  string `json:"message"`
		Location string `json:"location,omitempty"`
	}
	var out struct {
		Result      string       `json:"result"`
		Diagnostics []diagnostic `json:"diagnostics"`
		Truncated   bool         `json:"truncated"`
	}
	if err := required("definition", in.Definition); err != nil {
		return nil, err
	}
	n, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	problems := ValidateDefinition(in.Definition)
	if in.Type == "EXPRESS" {
		problems = append(problems, asl.Problem{Code: string(StateMachineTypeUnknown), Path: "/", Message: "state machines of type EXPRESS are not supported"})
	}
	out.Result, out.Diagnostics = "OK", []diagnostic{}
	for i, p := range problems {
		out.Result = "FAIL"
		if i == n {
			out.Truncated = true
			break
		}
		out.Diagnostics = append(out.Diagnostics, diagnostic{"ERROR", p.Code, p.Message, p.Path})
	}
	return out, nil
}
