// Package engine puts the steps behind the Task states, and the state machine into the
// local engine. AWS Lambda runs the same functions, wired by the mains below lambdas/.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
	"github.com/stepcanary/stepcanary/statemachine"
)

// MachineName is the state machine's name, here and on AWS.
const MachineName = "stepcanary"

// Ports are what the steps reach the world through.
type Ports struct {
	Open       step.Opener
	Meter      step.MeterOpener
	Executions step.Executions
	Answerer   task.Answerer
	Clock      clock.Clock
	// Hooks opens what asks gates and tells receivers; without it a deploy.json that has some
	// is refused.
	Hooks step.HookOpener
}

// Functions are the functions behind the Task states, by the state's name.
func Functions(p Ports) map[string]task.Func {
	return map[string]task.Func{
		"Prepare":      task.Handler(step.Prepare{Open: p.Open, Executions: p.Executions, Clock: p.Clock, Hooks: p.Hooks, Meter: p.Meter.Check}.Run),
		"DeployCanary": task.Handler(step.Deploy{Open: p.Open, Clock: p.Clock}.Run),
		"AwaitReady":   task.Answering(step.AwaitReady{Open: p.Open, Clock: p.Clock, Hooks: p.Hooks}.Run, p.Answerer),
		"ShiftWeight":  task.Handler(step.ShiftWeight{Open: p.Open, Clock: p.Clock}.Run),
		"HealthCheck":  task.Answering(step.HealthCheck{Open: p.Open, Meter: p.Meter, Clock: p.Clock, Hooks: p.Hooks}.Run, p.Answerer),
		"Hold":         task.Handler(step.Hold{Open: p.Open}.Run),
		"Promote":      task.Handler(step.Promote{Open: p.Open, Clock: p.Clock, Hooks: p.Hooks}.Run),
		"Rollback":     task.Handler(step.Rollback{Open: p.Open, Executions: p.Executions, Clock: p.Clock, Hooks: p.Hooks}.Run),
	}
}

// Local starts a local engine with the state machine in it. What the ports leave open,
// executions and answers, the engine itself provides; what the options leave open, the
// functions and the rule on ended executions, is filled in. The caller closes it.
func Local(o local.Options, p Ports) (*local.Engine, error) {
	return LocalWith(o, p, func(_ string, h local.Handler) local.Handler { return h })
}

// LocalWith is Local with something around each function, such as a fault.
func LocalWith(o local.Options, p Ports, around func(name string, h local.Handler) local.Handler) (*local.Engine, error) {
	self := &itself{}
	if p.Executions == nil {
		p.Executions = self
	}
	if p.Answerer == nil {
		p.Answerer = self
	}
	functions := Functions(p)
	o.Aliases = placeholders()
	if o.LambdaEndpoint == "" {
		o.Handlers = map[string]local.Handler{}
		for _, state := range statemachine.Tasks {
			name := statemachine.Function(state)
			o.Handlers[name] = around(name, local.Handler(functions[state]))
		}
	}
	if o.OnEnd == nil {
		rollback := around(statemachine.Function("Rollback"), local.Handler(functions["Rollback"]))
		o.OnEnd = func(ctx context.Context, change local.ExecutionStatusChange) error {
			if !strings.HasSuffix(change.StateMachineArn, ":"+MachineName) {
				return nil // somebody else's state machine: there is nothing of ours to take back
			}
			return goBack(ctx, rollback, change)
		}
	}
	e, err := local.New(o)
	if err != nil {
		return nil, fmt.Errorf("start local engine: %w", err)
	}
	self.Engine = e
	if err := install(e); err != nil {
		_ = e.Close()
		return nil, fmt.Errorf("install state machine: %w", err)
	}
	return e, nil
}

// placeholders lead ${Prepare} and the like to the functions, as CDK does, so that rollout.asl.json
// runs as it is when somebody creates a state machine from it.
func placeholders() map[string]string {
	to := map[string]string{}
	for _, state := range statemachine.Tasks {
		to["${"+state+"}"] = statemachine.Function(state)
	}
	return to
}

// goBack is the rule on FAILED, TIMED_OUT and ABORTED.
func goBack(ctx context.Context, rollback local.Handler, change local.ExecutionStatusChange) error {
	event, err := json.Marshal(map[string]any{
		"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": change,
	})
	if err != nil {
		return err
	}
	_, err = rollback(ctx, event)
	return err
}

// install creates the state machine, or updates it to the definition of this build.
func install(e *local.Engine) error {
	in := local.MachineInput{Name: MachineName, Definition: statemachine.With(statemachine.Function)}
	for _, m := range e.Machines() {
		if m.Name == MachineName {
			in.ARN = m.ARN
			_, err := e.UpdateMachine(in)
			return err
		}
	}
	_, err := e.CreateMachine(in)
	return err
}

// itself answers for the engine what AWS would answer.
type itself struct{ *local.Engine }

func (s *itself) Answer(_ context.Context, token string, output json.RawMessage) error {
	return spent(s.SendTaskSuccess(token, string(output)))
}

// spent gives task.ErrAnswered for a token that is over.
func spent(err error) error {
	var f *local.Fault
	if errors.As(err, &f) && f.Kind == local.TaskTimedOut {
		return task.ErrAnswered
	}
	return err
}

func (s *itself) Ended(_ context.Context, execution string) (bool, error) {
	d, err := s.Describe(execution)
	var f *local.Fault
	if errors.As(err, &f) {
		return true, nil
	}
	return err == nil && d.Status != asl.Running, err
}

func (s *itself) Input(_ context.Context, execution string) (json.RawMessage, error) {
	d, err := s.Describe(execution)
	if err != nil {
		return nil, err
	}
	return json.RawMessage(d.Input), nil
}
