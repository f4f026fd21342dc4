// Command await-ready is the Lambda behind the AwaitReady state: it watches the new version until it is ready.
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
	lambda.Start(task.Answering(step.AwaitReady{Open: s.Opener(), Clock: clock.Real{}, Hooks: s.HookOpener(clock.Real{})}.Run, platform.Answerer()))
}
