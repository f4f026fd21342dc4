package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/user"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// openCluster opens a cluster by the person's kubeconfig.
func openCluster(ctx context.Context, s platform.Settings, cluster string) (step.Access, error) {
	return s.Opener()(ctx, cluster)
}

// freeze refuses every start of a service's rollouts for a while, or of all services in a
// namespace. It writes into the record that every start reads; a rollout that runs goes on.
func freeze(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("freeze", flag.ContinueOnError)
	var p place
	p.flags(c, f)
	lasts := f.Duration("for", 0, "how long, such as 2h")
	reason := f.String("reason", "", "why; whoever is refused reads it")
	by := f.String("by", person(c), "who asks for it; whoever is refused reads it")
	if err := p.find(ctx, c, f, args); err != nil {
		return err
	}
	if given(f, "for") && *lasts <= 0 {
		return fmt.Errorf("freeze: --for %v: a duration above 0 is expected, such as 2h", *lasts)
	}
	if *by == "" {
		return errors.New("freeze: --by NAME is expected: whoever is refused reads it")
	}
	if *lasts == 0 || *reason == "" {
		return errors.New("freeze: --for DURATION and --reason TEXT are expected")
	}
	want := record.Freeze{Reason: *reason, By: *by, Until: c.clock.Now().UTC().Add(*lasts).Truncate(time.Second)}
	if _, err := p.write(ctx, c, want); err != nil {
		return fmt.Errorf("freeze %v: %w", p, err)
	}
	if c.json {
		return c.printJSON(map[string]any{"namespace": p.service.Namespace, "service": p.service.Name, "freeze": want})
	}
	c.printf("%v is frozen %v\n", p, want)
	return nil
}

// person is who uses the command, as the environment or else the system knows.
func person(c *console) string {
	if name := c.env("USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// unfreeze ends a freeze before its time.
func unfreeze(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("unfreeze", flag.ContinueOnError)
	var p place
	p.flags(c, f)
	if err := p.find(ctx, c, f, args); err != nil {
		return err
	}
	was, err := p.write(ctx, c, record.Freeze{})
	switch {
	case err != nil:
		return fmt.Errorf("unfreeze %v: %w", p, err)
	case c.json:
		return c.printJSON(map[string]any{"namespace": p.service.Namespace, "service": p.service.Name, "was": was})
	case was.Lasts(c.clock.Now()):
		c.printf("%v is not frozen any more\n", p)
	default:
		c.printf("%v was not frozen\n", p)
	}
	return nil
}

// A place is where a freeze stands: on a service, or on a whole namespace.
type place struct {
	settings platform.Settings
	cluster  string
	service  workload.Service
}

func (p *place) flags(c *console, f *flag.FlagSet) {
	f.StringVar(&p.settings.Kubeconfig, "kubeconfig", kubeconfig(c), "path of the kubeconfig")
	f.StringVar(&p.settings.Context, "context", "", "context of the kubeconfig; without it, the one called like the cluster")
	f.StringVar(&p.service.Namespace, "namespace", "", "all services in this namespace, instead of one by its folder")
	f.StringVar(&p.cluster, "cluster", "", "the namespace's cluster, as cluster_name in deploy.json")
	c.outputFlag(f)
}

// find takes the place from the flags, or from a service's folder.
func (p *place) find(ctx context.Context, c *console, f *flag.FlagSet, args []string) error {
	rest, err := parse(c, f, args, 1)
	whole := p.service.Namespace != ""
	switch {
	case err != nil:
		return err
	case whole == (len(rest) == 1):
		return fmt.Errorf("%s: a service's folder or its deploy.json is expected, or else --namespace NAME", f.Name())
	case whole && p.cluster == "" && p.settings.Context == "":
		return fmt.Errorf("%s: --namespace %s: its cluster is expected too, by --cluster or --context", f.Name(), p.service.Namespace)
	case whole:
		p.service = record.OfNamespace(p.service.Namespace)
		return nil
	case p.cluster != "":
		return fmt.Errorf("%s: --cluster goes with --namespace; a service's cluster stands in its deploy.json", f.Name())
	}
	file, err := loadUntil(ctx, rest[0])
	p.cluster = file.Spec.Cluster
	p.service = workload.Service{Namespace: file.Spec.Namespace, Name: file.Spec.Service}
	return err
}

// String names the place for people.
func (p place) String() string {
	if p.service.Name == "" {
		return "namespace " + p.service.Namespace
	}
	return p.service.Name
}

// write puts the freeze on the record as it is then, since a rollout may be writing it too, and
// gives the one that stood there.
func (p place) write(ctx context.Context, c *console, want record.Freeze) (was record.Freeze, err error) {
	access, err := c.cluster(ctx, p.settings, p.cluster)
	if err != nil {
		return was, fmt.Errorf("open cluster %q: %w", p.cluster, err)
	}
	for range 5 {
		var rec record.Record
		if rec, err = access.Records.Read(ctx, p.service); err != nil {
			return was, err
		}
		was = rec.Freeze
		if was == want {
			return was, nil
		}
		rec.Freeze = want
		if _, err = access.Records.Write(ctx, p.service, rec); !errors.Is(err, fault.Conflict) {
			return was, err
		}
	}
	return was, err
}
