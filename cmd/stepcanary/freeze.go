package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// openCluster opens a cluster by the person's kubeconfig.
func openCluster(ctx context.Context, s platform.Settings, cluster string) (step.Access, error) {
	return s.Opener()(ctx, cluster)
}

// freeze refuses every start of a service's rollouts for a while, or ends that. It writes into
// the service's record, which every start reads; a rollout that runs goes on.
func freeze(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("freeze", flag.ContinueOnError)
	var s platform.Settings
	f.StringVar(&s.Kubeconfig, "kubeconfig", kubeconfig(c), "path of the kubeconfig")
	f.StringVar(&s.Context, "context", "", "context of the kubeconfig; without it, the one called like cluster_name")
	lasts := f.Duration("for", 0, "how long, such as 2h")
	reason := f.String("reason", "", "why; whoever is refused reads it")
	off := f.Bool("off", false, "end the freeze")
	c.outputFlag(f)
	file, err := load(c, f, args)
	if err != nil {
		return err
	}
	var want record.Freeze
	switch {
	case *off && (*lasts != 0 || *reason != ""):
		return errors.New("freeze: --off stands alone")
	case !*off && (*lasts <= 0 || *reason == ""):
		return errors.New("freeze: --for DURATION and --reason TEXT are expected, or --off")
	case !*off:
		want = record.Freeze{Reason: *reason, Until: c.clock.Now().UTC().Add(*lasts).Truncate(time.Second)}
	}
	access, err := c.cluster(ctx, s, file.Spec.Cluster)
	if err != nil {
		return fmt.Errorf("open cluster %q: %w", file.Spec.Cluster, err)
	}
	if err := write(ctx, access.Records, serviceOf(file.Spec), want); err != nil {
		return fmt.Errorf("freeze %s: %w", file.Spec.Service, err)
	}
	switch {
	case c.json:
		return c.printJSON(map[string]any{"service": file.Spec.Service, "freeze": want})
	case *off:
		c.printf("%s is not frozen any more\n", file.Spec.Service)
	default:
		c.printf("%s is frozen until %s: %s\n", file.Spec.Service, want.Until.Format(time.RFC3339), want.Reason)
	}
	return nil
}

func serviceOf(s spec.Spec) workload.Service {
	return workload.Service{Namespace: s.Namespace, Name: s.Service}
}

// write puts the freeze on the record as it is then: a rollout may be writing it too.
func write(ctx context.Context, records record.Store, s workload.Service, want record.Freeze) error {
	var err error
	for range 5 {
		var rec record.Record
		if rec, err = records.Read(ctx, s); err != nil {
			return err
		}
		rec.Freeze = want
		if _, err = records.Write(ctx, s, rec); !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return err
}
