// Command abort is the Lambda behind the rule on CloudWatch alarms: it aborts the rollouts that name
// an alarm which goes off.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/alarm"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
)

func main() {
	machine := os.Getenv("STEPCANARY_STATE_MACHINE")
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil || machine == "" {
		slog.Error("start abort", "state machine", machine, "error", err)
		os.Exit(1)
	}
	a := alarm.Abort{Rollouts: stepfunctions.New(sfn.NewFromConfig(cfg)), Machine: machine, Clock: clock.Real{}}
	lambda.Start(a.Handle)
}
