// Command prepare is the Lambda behind the Prepare state: it checks deploy.json, takes the lock and decides the rollout.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
)

func main() {
	s := platform.FromEnvironment()
	lambda.Start(task.Handler(step.Prepare{
		Open: s.Opener(), Executions: platform.Executions(), Clock: clock.Real{},
		Hooks: s.HookOpener(clock.Real{}), Meter: s.CheckMetrics,
	}.Run))
}
