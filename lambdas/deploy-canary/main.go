// Command deploy-canary is the Lambda behind the DeployCanary state: it applies the new version beside the old one.
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
	lambda.Start(task.Handler(step.Deploy{Open: s.Opener(), Clock: clock.Real{}}.Run))
}
