package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go/logging"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/stepfunctions"
	"github.com/stepcanary/stepcanary/internal/story"
)

// machineName is the state machine's name, on AWS and in the local engine.
const machineName = "stepcanary"

// A target is the Step Functions API that a command speaks to: the one API it knows.
type target struct {
	endpoint string
	machine  string
}

// flags adds what every command that talks to the API takes.
func (t *target) flags(c *console, f *flag.FlagSet) {
	f.StringVar(&t.endpoint, "endpoint", c.env("STEPCANARY_ENDPOINT"),
		"Step Functions API, such as http://127.0.0.1:8083 of 'stepcanary serve' (or STEPCANARY_ENDPOINT);\nwithout it the AWS SDK's own settings decide")
	f.StringVar(&t.machine, "machine", machineName, "the state machine's name")
}

// A client is an open target.
type client struct {
	*sfn.Client
	machine string
	clock   clock.Clock
}

func (t target) open(ctx context.Context, c *console) (client, error) {
	// What the SDK warns of has no reader here, and would stand in the middle of the screen.
	cfg, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{}))
	if err != nil {
		return client{}, fmt.Errorf("load AWS settings: %w", err)
	}
	endpoint := t.endpoint
	if endpoint != "" {
		u, err := web(endpoint)
		if err != nil {
			return client{}, fmt.Errorf("--endpoint %w", err)
		}
		if isLocal(u.Hostname()) {
			// The local engine knows no accounts: nothing of the person's is sent to it.
			cfg.Region = "us-east-1"
			cfg.Credentials = credentials.NewStaticCredentialsProvider("local", "local", "")
		}
	}
	if cfg.Region == "" {
		return client{}, errors.New("no Step Functions API: give --endpoint (STEPCANARY_ENDPOINT) for the local engine, or an AWS region and credentials")
	}
	api := sfn.NewFromConfig(cfg, func(o *sfn.Options) {
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	return client{Client: api, machine: t.machine, clock: c.clock}, nil
}

// web reads the URL of a service.
func web(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q: a URL such as http://127.0.0.1:8083 is expected", text)
	}
	return u, nil
}

func isLocal(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}

// pick reads the flags of a verb that is about one execution, and finds the execution that its
// argument names.
func pick(ctx context.Context, c *console, f *flag.FlagSet, args []string, running bool) (client, string, error) {
	var t target
	t.flags(c, f)
	rest, err := parse(c, f, args, 1)
	if err != nil {
		return client{}, "", err
	}
	api, err := t.open(ctx, c)
	if err != nil {
		return client{}, "", err
	}
	execution, waiting, err := api.find(ctx, strings.Join(rest, ""), running)
	if len(waiting) > 0 {
		fmt.Fprintf(c.err, "waiting for their turn, and not meant: %s\n", strings.Join(waiting, ", "))
	}
	return api, execution, err
}

// arn finds the state machine by its name.
func (c client) arn(ctx context.Context) (string, error) {
	pages := sfn.NewListStateMachinesPaginator(c.Client, &sfn.ListStateMachinesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list state machines: %w", err)
		}
		for _, m := range page.StateMachines {
			if aws.ToString(m.Name) == c.machine {
				return aws.ToString(m.StateMachineArn), nil
			}
		}
	}
	return "", fmt.Errorf("no state machine is called %q there: is the engine deployed, or 'stepcanary serve' running?", c.machine)
}

// find gives the execution that who names: an ARN, an execution's name, or a service,
// of which the running one counts before the last one that was not refused, and before those
// that wait for their turn, whose names it gives too. Empty is the only running one.
func (c client) find(ctx context.Context, who string, running bool) (execution string, waiting []string, err error) {
	if strings.HasPrefix(who, "arn:") {
		return who, nil, nil
	}
	machine, err := c.arn(ctx)
	if err != nil {
		return "", nil, err
	}
	found, err := c.list(ctx, machine, types.ExecutionStatusRunning, who)
	if err != nil {
		return "", nil, err
	}
	if len(found) > 1 && who != "" {
		if found, waiting, err = c.begun(ctx, found); err != nil {
			return "", nil, err
		}
	}
	if len(found) == 0 && !running {
		if found, err = c.list(ctx, machine, "", who); len(found) > 1 {
			found = found[:1]
		}
		if err != nil {
			return "", nil, err
		}
	}
	switch {
	case len(found) == 1:
		return found[0], waiting, nil
	case len(found) == 0 && who == "":
		return "", nil, exit{exitError, "no rollout is running"}
	case len(found) == 0 && running:
		return "", nil, exit{exitError, fmt.Sprintf("no rollout of %s is running", spec.Visible(who))}
	case len(found) == 0:
		return "", nil, exit{exitError, fmt.Sprintf("no rollout of %s was found", spec.Visible(who))}
	}
	return "", nil, fmt.Errorf("%d rollouts are running; name one of:\n  %s", len(found), strings.Join(found, "\n  "))
}

// begun tells the one of a service's running rollouts that has the lock from those that wait for their turn. Where it is
// not one, or the service's name stands for several, all are given as found.
func (c client) begun(ctx context.Context, found []string) (begun, waiting []string, err error) {
	services := map[location]bool{}
	for _, execution := range found {
		d, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
		if err != nil {
			return nil, nil, fmt.Errorf("describe %s: %w", execution, err)
		}
		var at location
		_ = json.Unmarshal([]byte(aws.ToString(d.Input)), &at)
		services[at] = true
		state, _, err := stepfunctions.New(c.Client).Waiting(ctx, execution)
		if err != nil {
			return nil, nil, fmt.Errorf("look at %s: %w", execution, err)
		}
		if state == "Prepare" {
			waiting = append(waiting, execution[strings.LastIndexByte(execution, ':')+1:])
		} else {
			begun = append(begun, execution)
		}
	}
	if len(begun) != 1 || len(services) > 1 {
		return found, nil, nil
	}
	return begun, waiting, nil
}

// A location is where a service is, as deploy.json says it.
type location struct {
	Cluster   string `json:"cluster_name"`
	Namespace string `json:"kubernetes_namespace"`
}

// list gives the executions, newest first, that who names. Without who: all. Without status it
// gives one: the newest that was not refused, for a refused start did nothing to the service; where
// all were refused, the newest of them.
func (c client) list(ctx context.Context, machine string, status types.ExecutionStatus, who string) ([]string, error) {
	var found, refused []string
	pages := sfn.NewListExecutionsPaginator(c.Client, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(machine), StatusFilter: status,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list executions: %w", err)
		}
		for _, e := range page.Executions {
			is, err := c.names(ctx, who, e)
			switch {
			case err != nil:
				return nil, err
			case is == refusedOne:
				refused = append(refused, aws.ToString(e.ExecutionArn))
			case is == meant:
				found = append(found, aws.ToString(e.ExecutionArn))
				if status == "" {
					return found, nil
				}
			}
		}
	}
	if len(found) == 0 {
		return refused[:min(len(refused), 1)], nil
	}
	return found, nil
}

// A match tells how well an execution fits what a person named.
type match int

const (
	other      match = iota
	refusedOne       // of that service, refused before it changed anything
	meant
)

// names tells whether who is the execution's name or its service. A service is looked up in the
// input only where the name could be of it, because each look is a request.
func (c client) names(ctx context.Context, who string, e types.ExecutionListItem) (match, error) {
	name := aws.ToString(e.Name)
	if who == "" || who == name {
		return meant, nil
	}
	if !strings.HasPrefix(name, who+"-") {
		return other, nil
	}
	d, err := c.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: e.ExecutionArn})
	if err != nil {
		return other, fmt.Errorf("describe %s: %w", name, err)
	}
	var in struct {
		Service string `json:"microservice_name"`
	}
	_ = json.Unmarshal([]byte(aws.ToString(d.Input)), &in)
	switch ended := fault.Kind(aws.ToString(d.Error)); {
	case in.Service != who:
		return other, nil
	case ended == fault.Refused || ended == fault.Invalid: // only the state Refused ends by these
		return refusedOne, nil
	}
	return meant, nil
}

// known puts into words what the API says of an execution that it does not know.
func known(err error) error {
	var unknown *types.ExecutionDoesNotExist
	var arn *types.InvalidArn
	switch {
	case errors.As(err, &unknown):
		return errors.New("there is no such execution: it may belong to another account, region or engine, or was forgotten")
	case errors.As(err, &arn):
		return errors.New("that is no ARN of an execution; a service, an execution's name or its ARN is expected")
	}
	return err
}

// story reads the whole history of an execution.
func (c client) story(ctx context.Context, execution string) (*story.Story, error) {
	var events []types.HistoryEvent
	pages := sfn.NewGetExecutionHistoryPaginator(c.Client, &sfn.GetExecutionHistoryInput{
		ExecutionArn: aws.String(execution), MaxResults: 1000,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read history of %s: %w", execution, known(err))
		}
		events = append(events, page.Events...)
	}
	return story.Read(execution, events), nil
}
