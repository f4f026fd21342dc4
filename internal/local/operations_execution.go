package local

import (
	"github.com/stepcanary/stepcanary/internal/asl"
)

func startExecution(e *Engine, in struct {
	MachineARN string `json:"stateMachineArn"`
	Name       string `json:"name"`
	Input      string `json:"input"`
	Trace      string `json:"traceHeader"`
}) (any, error) {
	arn, started, err := e.Start(StartInput{MachineARN: in.MachineARN, Name: in.Name, Input: in.Input, TraceID: in.Trace})
	if err != nil {
		return nil, err
	}
	return struct {
		ARN     string   `json:"executionArn"`
		Started *float64 `json:"startDate"`
	}{arn, date(started)}, nil
}

func stopExecution(e *Engine, in struct {
	ARN   string  `json:"executionArn"`
	Error *string `json:"error"`
	Cause *string `json:"cause"`
}) (any, error) {
	at, err := e.Stop(in.ARN, asl.Failure{Error: in.Error, Cause: in.Cause})
	if err != nil {
		return nil, err
	}
	return struct {
		Stopped *float64 `json:"stopDate"`
	}{date(at)}, nil
}

func redriveExecution(e *Engine, in struct {
	ARN         string `json:"executionArn"`
	ClientToken string `json:"clientToken"`
}) (any, error) {
	at, err := e.Redrive(in.ARN, in.ClientToken)
	if err != nil {
		return nil, err
	}
	return struct {
		Redriven *float64 `json:"redriveDate"`
	}{date(at)}, nil
}

// included says that a payload is whole.
type included struct {
	Included bool `json:"included"`
}

func describeExecution(e *Engine, in struct {
	ARN      string `json:"executionArn"`
	Included string `json:"includedData"`
}) (any, error) {
	d, err := e.Describe(in.ARN)
	if err != nil {
		return nil, err
	}
	out := struct {
		ARN           string    `json:"executionArn"`
		MachineARN    string    `json:"stateMachineArn"`
		Name          string    `json:"name"`
		Status        string    `json:"status"`
		Started       *float64  `json:"startDate"`
		Stopped       *float64  `json:"stopDate,omitempty"`
		Input         string    `json:"input,omitempty"`
		InputDetails  *included `json:"inputDetails,omitempty"`
		Output        string    `json:"output,omitempty"`
		OutputDetails *included `json:"outputDetails,omitempty"`
		Error         *string   `json:"error,omitempty"`
		Cause         *string   `json:"cause,omitempty"`
		Trace         string    `json:"traceHeader,omitempty"`
		Redrives      int       `json:"redriveCount"`
		Redriven      *float64  `json:"redriveDate,omitempty"`
		RedriveStatus string    `json:"redriveStatus"`
		RedriveReason string    `json:"redriveStatusReason,omitempty"`
	}{
		ARN: d.ARN, MachineARN: d.MachineARN, Name: d.Name, Status: string(d.Status), Started: date(d.Started), Stopped: date(d.Stopped),
		Input: d.Input, InputDetails: &included{true}, Output: d.Output, Error: d.Error, Cause: d.Cause, Trace: d.TraceID,
		Redrives: d.Redrives, Redriven: date(d.Redriven), RedriveStatus: "REDRIVABLE", RedriveReason: d.NotRedrivable,
	}
	if d.Output != "" {
		out.OutputDetails = &included{true}
	}
	if in.Included == "METADATA_ONLY" {
		out.Input, out.Output, out.InputDetails, out.OutputDetails = "", "", nil, nil
	}
	if d.NotRedrivable != "" {
		out.RedriveStatus = "NOT_REDRIVABLE"
	}
	return out, nil
}

// executionItem is an execution in a list.
type executionItem struct {
	ARN        string   `json:"executionArn"`
	MachineARN string   `json:"stateMachineArn"`
	Name       string   `json:"name"`
	Status     string   `json:"status"`
	Started    *float64 `json:"startDate"`
	Stopped    *float64 `json:"stopDate,omitempty"`
	Redrives   int      `json:"redriveCount"`
	Redriven   *float64 `json:"redriveDate,omitempty"`
}

func listExecutions(e *Engine, in struct {
	MachineARN string     `json:"stateMachineArn"`
	Status     asl.Status `json:"statusFilter"`
	MaxResults int        `json:"maxResults"`
	NextToken  string     `json:"nextToken"`
	Redrive    string     `json:"redriveFilter"`
}) (any, error) {
	n, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	list := in.MachineARN + " " + string(in.Status) + " " + in.Redrive
	before, err := pageAt(in.NextToken, list)
	if err != nil {
		return nil, err
	}
	switch in.Status {
	case "", asl.Running, asl.Succeeded, asl.Failed, asl.TimedOut, asl.Aborted, "PENDING_REDRIVE":
	default:
		return nil, fault(ValidationException, "1 validation error detected: Value '%s' at 'statusFilter' failed to satisfy constraint: Member must be a status", in.Status)
	}
	items, next, err := e.list(listFilter{machine: in.MachineARN, status: in.Status, redrive: in.Redrive, before: before, n: n})
	if err != nil {
		return nil, err
	}
	out := struct {
		Executions []executionItem `json:"executions"`
		NextToken  *string         `json:"nextToken,omitempty"`
	}{Executions: items}
	if next > 0 {
		out.NextToken = pageToken{list, next}.encode()
	}
	return out, nil
}

// listFilter says which executions a page of a list holds.
type listFilter struct {
	machine string
	status  asl.Status
	redrive string // REDRIVEN, NOT_REDRIVEN or empty
	before  int    // in the order of starts; 0 for the newest
	n       int
}

// list gives executions, newest first, and where the next page begins; 0 at the
// end.
func (e *Engine) list(f listFilter) ([]executionItem, int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.machine(f.machine); err != nil {
		return nil, 0, err
	}
	items := []executionItem{}
	i := len(e.order)
	if f.before > 0 {
		i = min(f.before, i)
	}
	for ; i > 0; i-- {
		s := e.index[e.order[i-1]]
		if s.machine != f.machine || f.status != "" && s.status != f.status ||
			f.redrive == "REDRIVEN" && s.redrives == 0 || f.redrive == "NOT_REDRIVEN" && s.redrives > 0 {
			continue
		}
		if len(items) == f.n {
			return items, i, nil
		}
		items = append(items, executionItem{
			ARN: s.arn, MachineARN: s.machine, Name: s.name, Status: string(s.status), Started: date(s.started), Stopped: date(s.stopped),
			Redrives: s.redrives, Redriven: date(s.redriven),
		})
	}
	return items, 0, nil
}

func getExecutionHistory(e *Engine, in struct {
	ARN        string `json:"executionArn"`
	MaxResults int    `json:"maxResults"`
	Reverse    bool   `json:"reverseOrder"`
	NextToken  string `json:"nextToken"`
	Data       *bool  `json:"includeExecutionData"`
}) (any, error) {
	n, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	list := in.ARN
	if in.Reverse {
		list += " reversed"
	}
	at, err := pageAt(in.NextToken, list)
	if err != nil {
		return nil, err
	}
	events, err := e.History(in.ARN, at, n+1, in.Reverse, in.Data == nil || *in.Data)
	if err != nil {
		return nil, err
	}
	out := struct {
		Events    []asl.HistoryEvent `json:"events"`
		NextToken *string            `json:"nextToken,omitempty"`
	}{Events: events}
	if len(events) > n {
		out.Events, out.NextToken = events[:n], pageToken{list, at + n}.encode()
	}
	if out.Events == nil {
		out.Events = []asl.HistoryEvent{}
	}
	return out, nil
}

func sendTaskSuccess(e *Engine, in struct {
	Token  string `json:"taskToken"`
	Output string `json:"output"`
}) (any, error) {
	return struct{}{}, e.SendTaskSuccess(in.Token, in.Output)
}

func sendTaskFailure(e *Engine, in struct {
	Token string  `json:"taskToken"`
	Error *string `json:"error"`
	Cause *string `json:"cause"`
}) (any, error) {
	return struct{}{}, e.SendTaskFailure(in.Token, asl.Failure{Error: in.Error, Cause: in.Cause})
}

func sendTaskHeartbeat(e *Engine, in struct {
	Token string `json:"taskToken"`
}) (any, error) {
	return struct{}{}, e.SendTaskHeartbeat(in.Token)
}
