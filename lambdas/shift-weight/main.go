// Command shift-weight is the Lambda behind the ShiftWeight state: it writes a step's weight and sees it come into force.
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
	lambda.Start(task.Handler(step.ShiftWeight{Open: s.Opener(), Clock: clock.Real{}}.Run))
}
