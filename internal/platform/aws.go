package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/eks"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
	"github.com/stepcanary/stepcanary/internal/task"
)

// lazy opens Step Functions at the first use, with the environment's settings: a
// function that needs it rarely does not pay for it at every start.
type lazy struct {
	open func() (*stepfunctions.Client, error)
}

func newLazy() lazy {
	return lazy{open: sync.OnceValues(func() (*stepfunctions.Client, error) {
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			return nil, fmt.Errorf("load AWS settings: %w: %w", fault.Internal, err)
		}
		return stepfunctions.New(sfn.NewFromConfig(cfg)), nil
	})}
}

// Executions looks rollouts up in Step Functions.
func Executions() step.Executions { return newLazy() }

// Answerer answers tokens through Step Functions.
func Answerer() task.Answerer { return newLazy() }

func (l lazy) Ended(ctx context.Context, execution string) (bool, error) {
	c, err := l.open()
	if err != nil {
		return false, err
	}
	return c.Ended(ctx, execution)
}

func (l lazy) Input(ctx context.Context, execution string) (json.RawMessage, error) {
	c, err := l.open()
	if err != nil {
		return nil, err
	}
	return c.Input(ctx, execution)
}

func (l lazy) Answer(ctx context.Context, token string, output json.RawMessage) error {
	c, err := l.open()
	if err != nil {
		return err
	}
	return c.Answer(ctx, token, output)
}

// newEKS asks AWS about clusters.
func newEKS() kube.EKS { return eks.FromEnvironment() }
