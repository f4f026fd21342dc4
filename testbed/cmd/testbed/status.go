package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/stepcanary/stepcanary/testbed/bed"
)

// status shows every bed of this user that runs.
func status() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	dirs, err := bed.Find()
	if err != nil {
		return err
	}
	if len(dirs) == 0 {
		fmt.Println("no bed runs")
		return nil
	}
	for _, dir := range dirs {
		s, err := bed.Ask(ctx, dir)
		if err != nil {
			return err
		}
		printStatus(s)
	}
	return nil
}

func printStatus(s bed.Status) {
	fmt.Printf("%s\n", s.Dir)
	fmt.Printf("  up for %v, was ready after %.1f s\n", time.Since(s.Started).Round(time.Second), s.ReadyAfter.Seconds())
	fmt.Printf("  kubeconfig %s\n  gateway    %s\n  prometheus %s\n", s.Kubeconfig, s.Gateway, s.Prometheus)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	var sum int64
	for _, p := range s.Parts {
		fmt.Fprintf(w, "  %s\tpid %d\t%d MiB\t\n", p.Name, p.PID, p.Memory>>20)
		sum += p.Memory
	}
	fmt.Fprintf(w, "  all\t\t%d MiB\t\n", sum>>20)
	w.Flush()
}

// control stops or starts a part of a bed.
func control(action string, args []string) error {
	flags := flag.NewFlagSet("testbed "+action, flag.ContinueOnError)
	dir := flags.String("dir", os.Getenv("TESTBED_DIR"), "the bed's directory (default $TESTBED_DIR, else the one bed that runs)")
	if len(args) == 0 {
		return fmt.Errorf("%s: no part named", action)
	}
	if err := flags.Parse(args[1:]); err != nil {
		return exitError(2)
	}
	if *dir == "" {
		dirs, err := bed.Find()
		if err != nil {
			return err
		}
		if len(dirs) != 1 {
			return errors.New("say which bed with --dir: " + fmt.Sprint(len(dirs)) + " run")
		}
		*dir = dirs[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return bed.Act(ctx, *dir, args[0], action)
}
