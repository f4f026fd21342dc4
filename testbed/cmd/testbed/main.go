// Command testbed runs a Kubernetes cluster to try things on: a real API
// server, pods that are processes, a real gateway and a real Prometheus.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/stepcanary/stepcanary/testbed/apiserver"
	"github.com/stepcanary/stepcanary/testbed/bed"
	"github.com/stepcanary/stepcanary/testbed/controllers"
	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/netns"
)

const usage = `usage:
  testbed up [flags]                 bring a bed up, until Ctrl-C
  testbed run [flags] -- COMMAND     run a command against a fresh bed
  testbed status                     show the beds of this user that run
  testbed start|stop|kill|restart PART [--dir DIR]
                                     act on a part of a bed

flags:
`

func main() {
	err := run(os.Args[1:])
	var exit exitError
	switch {
	case errors.As(err, &exit):
		os.Exit(int(exit))
	case err != nil:
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

// An exitError is the exit code of a command that testbed ran.
type exitError int

func (e exitError) Error() string { return "exit code " + strconv.Itoa(int(e)) }

func run(args []string) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "up":
		return up(args)
	case "run":
		return runCommand(args)
	case "status":
		return status()
	case bed.ActionStart, bed.ActionStop, bed.ActionKill, bed.ActionRestart:
		return control(command, args)
	case "part":
		return runPart(args)
	case "help", "-h", "--help":
		printUsage(os.Stdout)
		return nil
	case "":
		printUsage(os.Stderr)
		return exitError(2)
	}
	return fmt.Errorf("unknown command %q; testbed help lists them", command)
}

func printUsage(w *os.File) {
	fmt.Fprint(w, usage)
	_, flags := newFlags("testbed")
	flags.SetOutput(w)
	flags.PrintDefaults()
}

func newFlags(name string) (*bed.Options, *flag.FlagSet) {
	o := new(bed.Options)
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", "", "keep the bed's files in this directory and leave them there (default a temporary one)")
	flags.StringVar(&o.Images, "images", "", "directory of the pods' executables (default the one of testbed)")
	flags.BoolVar(&o.Audit, "audit", false, "log every API request to audit.log in the bed's directory")
	flags.StringVar(&o.AuthenticationWebhook, "authentication-webhook", "", "kubeconfig-like file of a webhook that checks bearer tokens")
	flags.DurationVar(&o.CrashBackOff, "crash-back-off", 0, "first wait of a crash loop; a cluster has 10s (default 1s)")
	flags.BoolVar(&o.OwnNetwork, "own-network", false, "give the bed a network namespace; only run's command can reach it then")
	flags.BoolVar(&o.Mesh, "mesh", false, "add the stand-in for App Mesh")
	flags.BoolVar(&o.CloudWatch, "cloudwatch", false, "add the stand-in for Amazon CloudWatch")
	flags.DurationVar(&o.CloudWatchDelay, "cloudwatch-delay", 0, "how long CloudWatch keeps data back; the real one up to 2m (default 0s)")
	flags.DurationVar(&o.CloudWatchResolution, "cloudwatch-resolution", 0, "shortest period of CloudWatch's data (default 1m)")
	flags.BoolVar(&o.AMP, "amp", false, "add the stand-in for Amazon Managed Prometheus, which wants signed requests")
	return o, flags
}

// start brings a bed up as the flags say, with progress on standard error.
func start(ctx context.Context, name string, args []string) (*bed.Bed, error) {
	options, flags := newFlags(name)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, exitError(0)
		}
		return nil, exitError(2)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%s: unexpected %q; flags alone are expected there", strings.TrimPrefix(name, "testbed "), flags.Args())
	}
	if options.OwnNetwork && !netns.Inside() {
		code, err := netns.Run()
		if err != nil {
			return nil, err
		}
		return nil, exitError(code)
	}
	options.Progress = newProgress(os.Stderr)
	// What client libraries say of a connection that broke goes to a log.
	klog.SetSlogLogger(slog.New(slog.DiscardHandler))
	b, err := bed.Start(ctx, *options)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(b.Log("testbed"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	klog.SetSlogLogger(slog.New(slog.NewTextHandler(log, nil)))
	return b, nil
}

func up(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := start(ctx, "testbed up", args)
	if err != nil {
		return err
	}
	fmt.Printf("\nReady after %.1f s. Ctrl-C ends it.\n\n", b.ReadyAfter().Seconds())
	fmt.Printf("  export KUBECONFIG=%s\n", b.Kubeconfig("admin"))
	fmt.Printf("  gateway     %s\n", b.GatewayURL())
	fmt.Printf("  prometheus  %s\n", b.PrometheusURL())
	for name, url := range map[string]string{"mesh": b.MeshURL(), "cloudwatch": b.CloudWatchURL(), "amp": b.AMPURL()} {
		if url != "" {
			fmt.Printf("  %-11s %s\n", name, url)
		}
	}
	fmt.Println()
	<-ctx.Done()
	stop()
	fmt.Fprintln(os.Stderr, "ending")
	return b.Stop()
}

func runCommand(args []string) error {
	var command []string
	for i, a := range args {
		if a == "--" {
			args, command = args[:i], args[i+1:]
			break
		}
	}
	if len(command) == 0 {
		return errors.New("run: no command; write testbed run [flags] -- COMMAND")
	}
	if _, err := exec.LookPath(command[0]); err != nil { // before anything is brought up for it
		return fmt.Errorf("run: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := start(ctx, "testbed run", args)
	if err != nil {
		return err
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = layout.Environment(os.Environ(), b.Environment())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("run: %w", err), b.Stop())
	}
	// A terminal's Ctrl-C reaches the command by itself; SIGTERM does not.
	passOn := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	err = cmd.Wait()
	passOn()
	stopErr := b.Stop()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if stopErr != nil {
			fmt.Fprintln(os.Stderr, "testbed:", stopErr)
		}
		return exitError(exitCode(exit))
	}
	return errors.Join(err, stopErr)
}

// exitCode is the code that a shell would show.
func exitCode(e *exec.ExitError) int {
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return e.ExitCode()
}

// runPart is the program of a part that the bed starts as a process of its own.
func runPart(args []string) error {
	if len(args) != 2 {
		return errors.New("part: want a part and a bed's directory")
	}
	l, err := layout.Load(args[1])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch args[0] {
	case layout.APIServer:
		return apiserver.Run(ctx, l)
	case layout.Controllers:
		return controllers.Run(ctx, l)
	}
	return fmt.Errorf("part %q: not one of this program's", args[0])
}
