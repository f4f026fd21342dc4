// Command hold is the Lambda behind the Hold state: it tells people what a rollout waits for.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
)

func main() {
	s := platform.FromEnvironment()
	lambda.Start(task.Handler(step.Hold{Open: s.Opener()}.Run))
}
