// Command promote is the Lambda behind the Promote state: it makes the canary the stable version.
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
	lambda.Start(task.Handler(step.Promote{Open: s.Opener(), Clock: clock.Real{}, Hooks: s.HookOpener(clock.Real{})}.Run))
}
