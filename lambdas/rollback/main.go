// Command rollback is the Lambda behind the Rollback state: it brings users back to one ready version. It is also the target of the rule on
// executions that end without their own way back.
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
	lambda.Start(task.Handler(step.Rollback{Open: s.Opener(), Executions: platform.Executions(), Clock: clock.Real{}, Hooks: s.HookOpener(clock.Real{})}.Run))
}
