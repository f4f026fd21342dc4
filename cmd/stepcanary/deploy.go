package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// deploy starts a rollout of what the service's folder says.
func deploy(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("deploy", flag.ContinueOnError)
	var t target
	t.flags(c, f)
	c.outputFlag(f)
	image := f.String("image", "", "the image, where deploy.json has none, or instead of its own")
	follow := f.Bool("watch", false, "follow the rollout to its end")
	rest, err := parse(c, f, args, 1)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return fmt.Errorf("deploy: a service's folder or its deploy.json is expected")
	}
	file, err := loadUntil(ctx, rest[0])
	if err != nil {
		return err
	}
	if given(f, "image") {
		if *image == "" {
			return fmt.Errorf("deploy: --image: found nothing, expected an image such as registry.example/checkout:2")
		}
		if file, err = file.WithImage(*image); err != nil {
			return err
		}
	}
	if file.Spec.Image == "" {
		return fmt.Errorf("%s: container_image is missing: give --image, or let the build write it", file.Path)
	}
	api, err := t.open(ctx, c)
	if err != nil {
		return err
	}
	return api.start(ctx, c, file.Spec.Service, string(file.Raw), *follow)
}

// loadUntil reads a service as spec.Load does, and ends with ctx: a path may be a pipe into which nobody writes, such as one
// that a shell makes, and nothing was begun yet that would have to be ended well.
func loadUntil(ctx context.Context, path string) (spec.File, error) {
	type loaded struct {
		spec.File
		err error
	}
	done := make(chan loaded, 1)
	go func() {
		file, err := spec.Load(path)
		done <- loaded{file, err}
	}()
	select {
	case l := <-done:
		return l.File, l.err
	case <-ctx.Done():
		return spec.File{}, fmt.Errorf("read a service: %s: %w", path, context.Cause(ctx))
	}
}

// start starts an execution and, if asked, follows it.
func (c client) start(ctx context.Context, con *console, service, input string, follow bool) error {
	machine, err := c.arn(ctx)
	if err != nil {
		return err
	}
	name := executionName(service, c.clock.Now())
	out, err := c.StartExecution(ctx, &sfn.StartExecutionInput{
		StateMachineArn: aws.String(machine), Name: aws.String(name), Input: aws.String(input),
	})
	if err != nil {
		return fmt.Errorf("start rollout of %s: %w", service, err)
	}
	if follow {
		return c.follow(ctx, con, aws.ToString(out.ExecutionArn))
	}
	if con.json {
		return con.printJSON(map[string]string{"execution": aws.ToString(out.ExecutionArn)})
	}
	con.printf("started %s\n", name)
	return nil
}

// executionName begins with the service, so that people and commands find it, and stays below
// the API's 80 characters.
func executionName(service string, now time.Time) string {
	var tail [2]byte
	_, _ = rand.Read(tail[:]) // never fails
	return fmt.Sprintf("%.50s-%s-%s", service, now.UTC().Format("20060102-150405"), hex.EncodeToString(tail[:]))
}
