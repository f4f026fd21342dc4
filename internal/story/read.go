package story

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
)

// Read tells the story of a history, which starts at its first event. What it does not
// know it passes over: a history may come from another version of the state machine.
func Read(execution string, events []types.HistoryEvent) *Story {
	s := &Story{Execution: execution, Name: execution[strings.LastIndexByte(execution, ':')+1:], Events: len(events)}
	for i := range events {
		s.read(&events[i])
	}
	return s
}

func (s *Story) read(e *types.HistoryEvent) {
	at := aws.ToTime(e.Timestamp).UTC()
	switch {
	case e.ExecutionStartedEventDetails != nil:
		s.Began = at
		s.add(e, Started, "started")
	case e.StateEnteredEventDetails != nil:
		s.State, s.Since = aws.ToString(e.StateEnteredEventDetails.Name), at
		s.Transitions++
	case e.TaskScheduledEventDetails != nil:
		s.token(aws.ToString(e.TaskScheduledEventDetails.Parameters))
	case e.TaskSucceededEventDetails != nil:
		s.back(e, aws.ToString(e.TaskSucceededEventDetails.Output))
	case e.StateExitedEventDetails != nil:
		s.Token = ""
		s.exited(e, aws.ToString(e.StateExitedEventDetails.Name), aws.ToString(e.StateExitedEventDetails.Output))
	case e.TaskFailedEventDetails != nil:
		s.Token = ""
		s.failed(e, aws.ToString(e.TaskFailedEventDetails.Error), aws.ToString(e.TaskFailedEventDetails.Cause))
	case e.TaskTimedOutEventDetails != nil:
		s.Token = ""
		if s.State == "Hold" {
			return // that is how a hold ends by itself
		}
		s.failed(e, aws.ToString(e.TaskTimedOutEventDetails.Error), aws.ToString(e.TaskTimedOutEventDetails.Cause))
	case e.ExecutionSucceededEventDetails != nil:
		var end step.End
		_ = json.Unmarshal([]byte(aws.ToString(e.ExecutionSucceededEventDetails.Output)), &end)
		s.over(e, step.OutcomePromoted, end.Reason)
	case e.ExecutionFailedEventDetails != nil:
		d := e.ExecutionFailedEventDetails
		s.Fault = fault.Kind(aws.ToString(d.Error))
		s.over(e, outcome(s.State, aws.ToString(d.Error)), step.Words(aws.ToString(d.Cause)))
	case e.Type == types.HistoryEventTypeExecutionTimedOut:
		s.over(e, "TimedOut", "the execution was older than its limit")
	case e.Type == types.HistoryEventTypeExecutionAborted:
		text := "the execution was stopped"
		if d := e.ExecutionAbortedEventDetails; d != nil && aws.ToString(d.Cause) != "" {
			text += ": " + aws.ToString(d.Cause)
		}
		s.over(e, "Aborted", text)
	case e.Type == types.HistoryEventTypeExecutionRedriven:
		s.Ended, s.Outcome, s.Reason, s.Fault = time.Time{}, "", "", ""
		s.add(e, Started, "started again from where it failed")
	}
}

// outcome names the end: the Fail state, or Failed where no state of ours was reached.
func outcome(state, name string) string {
	switch state {
	case step.OutcomeRolledBack, step.OutcomeRefused, step.OutcomeNeedsOperator:
		return state
	}
	if name == "Canary."+step.OutcomeRolledBack {
		return step.OutcomeRolledBack
	}
	return "Failed"
}

// token keeps the key of the task that waits, until the task is over.
func (s *Story) token(parameters string) {
	var p struct {
		Payload struct {
			Token string `json:"token"`
		} `json:"Payload"`
	}
	if json.Unmarshal([]byte(parameters), &p) == nil {
		s.Token = p.Payload.Token
	}
}

// A document is what a state hands on: one of ours with, at the end, its end.
type document struct {
	step.Document
	End *step.End `json:"end"`
}

func (s *Story) exited(e *types.HistoryEvent, state, output string) {
	var d document
	if json.Unmarshal([]byte(output), &d) != nil {
		return
	}
	switch {
	case state == "Prepare" && d.Rollout != nil:
		s.Rollout = shown(*d.Rollout)
		s.add(e, Prepared, prepared(s.Rollout))
	case state == "DeployCanary" && d.Deployed != nil:
		s.add(e, Deployed, d.Deployed.Name+" is starting beside "+beside(s.Rollout)+", with weight 0")
	case state == "AwaitReady" && d.Ready != nil && d.Ready.Action == "ready":
		s.add(e, Ready, d.Ready.Reason)
	case state == "AwaitReady" && d.Ready != nil && d.Ready.Action != "wait":
		s.add(e, Troubled, d.Ready.Reason)
	case state == "AwaitReady" && d.Ready != nil && len(d.Ready.Gates) > 0:
		s.holding(e, d.Ready.Reason)
	case state == "ShiftWeight" && d.Shift != nil && (s.Shift == nil || *s.Shift != *d.Shift):
		s.shifted(e, d.Shift) // after an error, the document still has the shift before
	case state == "HealthCheck" && d.Watch != nil:
		s.looked(e, d.Watch)
	}
}

// shown is what was decided, as people may read it: without the addresses of gates and receivers,
// which often are secrets, and without what gates are told.
func shown(ro step.Rollout) *step.Rollout {
	ro.Gates, ro.Receivers = slices.Clone(ro.Gates), slices.Clone(ro.Receivers)
	for i := range ro.Gates {
		ro.Gates[i].URL, ro.Gates[i].Metadata = "", nil
	}
	for i := range ro.Receivers {
		ro.Receivers[i].URL = ""
	}
	return &ro
}

// back tells when all users were on stable again. Rollback answers only after the drain, and the time is in what its
// function answered.
func (s *Story) back(e *types.HistoryEvent, output string) {
	var answer struct {
		Payload step.End `json:"Payload"`
	}
	if s.State != "Rollback" || json.Unmarshal([]byte(output), &answer) != nil {
		return
	}
	if s.Away = answer.Payload.Away; s.Shift == nil || answer.Payload.Back.IsZero() {
		return
	}
	s.Weight = 0
	s.add(e, Shifted, "0 % is in force: all users are back on "+beside(s.Rollout)).At = answer.Payload.Back
}

func (s *Story) shifted(e *types.HistoryEvent, shift *step.Shift) {
	s.Shift, s.Step = shift, shift.Step
	if shift.Observed {
		s.Weight = shift.Weight
	}
	s.add(e, Shifted, shift.Reason)
}

func (s *Story) looked(e *types.HistoryEvent, w *step.Watch) {
	if s.Watch != nil && s.Watch.At.Equal(w.At) && s.Watch.Of == w.Of {
		return // a request came instead of a look: the document still has the last one
	}
	s.Watch = w
	j := w.Judgement
	m := s.add(e, Looked, w.Reason)
	m.Action, m.Judgement, m.Intervals, m.Of, m.Trouble = w.Action, &j, w.Intervals, w.Of, w.Trouble
}

func (s *Story) failed(e *types.HistoryEvent, name, cause string) {
	switch name {
	case string(fault.Asked):
		var r step.Request
		if json.Unmarshal([]byte(cause), &r) != nil || r.Wish == "" {
			s.add(e, Asked, "somebody asked for what is not known: "+cause)
			return
		}
		text := "a person asked to " + string(r.Wish)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		s.add(e, Asked, text)
	case string(fault.Aborted):
		s.add(e, Asked, strings.TrimSuffix("abort: "+cause, ": "))
	case string(fault.Queued):
		text := step.Words(cause)
		if of, why, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(of, "start rollout of ") {
			text = why
		}
		s.holding(e, "waits for its turn: "+text)
	default:
		s.add(e, Troubled, s.State+": "+name+": "+step.Words(cause))
	}
}

// holding tells what is waited for, once and not at every look.
func (s *Story) holding(e *types.HistoryEvent, why string) {
	if n := len(s.Moments); n == 0 || s.Moments[n-1].Text != why {
		s.add(e, Holding, why)
	}
}

func (s *Story) over(e *types.HistoryEvent, outcome, reason string) {
	s.Ended, s.Outcome, s.Reason, s.Token = aws.ToTime(e.Timestamp).UTC(), outcome, reason, ""
	if outcome == step.OutcomeRolledBack {
		s.Weight = 0
	}
	s.add(e, Over, strings.TrimSuffix(outcome+": "+reason, ": "))
}

func (s *Story) add(e *types.HistoryEvent, k Kind, text string) *Moment {
	s.Moments = append(s.Moments, Moment{
		At: aws.ToTime(e.Timestamp).UTC(), Kind: k, Event: e.Id, Weight: s.Weight, Text: text,
	})
	return &s.Moments[len(s.Moments)-1]
}

func beside(ro *step.Rollout) string {
	if ro == nil || ro.First() {
		return "nothing"
	}
	return ro.Stable.Name
}

func prepared(ro *step.Rollout) string {
	weights := make([]string, len(ro.Plan.Steps))
	for i, st := range ro.Plan.Steps {
		weights[i] = fmt.Sprint(st.Weight)
	}
	if ro.First() {
		return fmt.Sprintf("first deployment of %s: %s", ro.Service.Name, ro.Canary.Name)
	}
	return fmt.Sprintf("%s -> %s in steps %s", ro.Stable.Name, ro.Canary.Name, strings.Join(weights, ", "))
}
