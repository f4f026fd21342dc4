// Command health-check is the Lambda behind the HealthCheck state: it watches a step and decides what is next.
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
	lambda.Start(task.Answering(step.HealthCheck{Open: s.Opener(), Meter: s.MeterOpener(), Clock: clock.Real{}, Hooks: s.HookOpener(clock.Real{})}.Run, platform.Answerer()))
}
