// Command stepcanary rolls services out with AWS Step Functions, or with the local
// engine that speaks the same API.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/step"
)

// Exit codes, for scripts.
const (
	exitPromoted   = 0
	exitError      = 1
	exitRolledBack = 2
	exitHeld       = 3
	exitRefused    = 4
)

// A command is one verb.
type command struct {
	name, args, brief string
	run               func(ctx context.Context, c *console, args []string) error
}

var commands = []command{
	{"validate", "FOLDER | FILE", "check deploy.json and its template", alone(validate)},
	{"plan", "FOLDER | FILE", "show each step: weight, hold, checks, time, events, cost", alone(plan)},
	{"role", "FOLDER | FILE", "print the rights in Kubernetes that its rollouts need", alone(role)},
	{"deploy", "FOLDER | FILE", "start a rollout", deploy},
	{"status", "[SERVICE | EXECUTION]", "say what happens, why, and how long", status},
	{"watch", "[SERVICE | EXECUTION]", "follow a rollout to its end", watch},
	{"history", "[SERVICE | EXECUTION]", "tell a rollout from its history", history},
	{"abort", "[SERVICE | EXECUTION]", "go back to the stable version now", abort},
	{"promote", "[SERVICE | EXECUTION]", "go to 100 % now; the bake is still judged", promote},
	{"pause", "[SERVICE | EXECUTION]", "stay at this weight until resumed", pause},
	{"resume", "[SERVICE | EXECUTION]", "end a pause, or approve a step", resume},
	{"retry", "[SERVICE | EXECUTION]", "start the same rollout again", retry},
	{"report", "[SERVICE | EXECUTION]", "write the report of a rollout", writeReport},
	{"judge", "--report FILE", "judge a report's measurements again", alone(judge)},
	{"freeze", "FOLDER | --namespace N", "refuse every start for a while (--for, --reason)", freeze},
	{"unfreeze", "FOLDER | --namespace N", "end a freeze", unfreeze},
	{"serve", "", "run the local engine: the Step Functions API on loopback", serve},
	{"version", "", "print the version", alone(version)},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal asks; a second one ends what does not listen
	os.Exit(newConsole(os.Stdout, os.Stderr).run(ctx, os.Args[1:]))
}

// alone is a verb that asks nobody and changes nothing. It watches no context: the first signal ends it.
func alone(run func(c *console, args []string) error) func(context.Context, *console, []string) error {
	return func(_ context.Context, c *console, args []string) error {
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		return run(c, args)
	}
}

// run is main without the process around it, so that tests run the very same program.
func (c *console) run(ctx context.Context, args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		if len(args) < 2 {
			usage(c.out)
			return exitPromoted
		}
		args = []string{args[1], "-h"}
	}
	if args[0] == "--version" {
		args[0] = "version"
	}
	for _, cmd := range commands {
		if cmd.name == args[0] {
			c.verb = cmd
			return c.code(cmd.run(ctx, c, args[1:]))
		}
	}
	fmt.Fprintf(c.err, "stepcanary: %q is not a command; see 'stepcanary help'\n", args[0])
	return exitError
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: stepcanary COMMAND [FLAGS] [ARGUMENT]\n\n")
	for _, cmd := range commands {
		fmt.Fprintf(w, "  %-10s %-24s %s\n", cmd.name, cmd.args, cmd.brief)
	}
	fmt.Fprint(w, "\n'stepcanary help COMMAND' shows its flags.\n"+
		"Exit codes: 0 promoted or done, 1 error or bad input, 2 rolled back, 3 held or not known, 4 refused.\n")
}

// verbUsage says what the command does, what it takes, and its flags.
func (c *console) verbUsage(f *flag.FlagSet) {
	if v := c.verb; v.name != "" {
		fmt.Fprintf(c.err, "%s: %s\n\nusage: %s\n", v.name, v.brief, strings.TrimSpace("stepcanary "+v.name+" [FLAGS] "+v.args))
	}
	f.PrintDefaults()
}

// An exit is an error that carries an exit code; its text may be empty where
// everything was said already.
type exit struct {
	code int
	text string
}

func (e exit) Error() string { return e.text }

// code prints an error and gives its exit code.
func (c *console) code(err error) int {
	var e exit
	switch {
	case err == nil:
		return exitPromoted
	case errors.Is(err, flag.ErrHelp):
		return exitPromoted
	case silent(err) != "":
		c.complain(silent(err))
		return exitError
	case errors.As(err, &e):
		if e.text != "" {
			c.complain(step.Plain(e.text))
		}
		return e.code
	}
	c.complain(step.Plain(err.Error()))
	return exitError
}

// complain prints an error. What it quotes comes from files, clusters and command lines.
func (c *console) complain(text string) { fmt.Fprintf(visible{c.err}, "stepcanary: %s\n", text) }

// visible writes lines of text that move no cursor and set no colour, whatever they quote.
type visible struct{ io.Writer }

func (v visible) Write(text []byte) (int, error) {
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		parts := strings.Split(line, "\t")
		for j := range parts {
			parts[j] = spec.Visible(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	if _, err := io.WriteString(v.Writer, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(text), nil
}

// parse reads a verb's flags, which may stand before or after its argument, and gives
// the arguments. More than most of them is an error.
func parse(c *console, f *flag.FlagSet, args []string, most int) ([]string, error) {
	f.SetOutput(visible{c.err})
	f.Usage = func() { c.verbUsage(f) }
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, exit{exitError, ""} // the flag package has said it
		}
		if f.NArg() == 0 {
			break
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
	if len(rest) > most {
		return nil, fmt.Errorf("%s: %d arguments are too many: %q", f.Name(), len(rest), rest)
	}
	return rest, nil
}

// given tells whether a flag was set on the command line.
func given(f *flag.FlagSet, name string) (is bool) {
	f.Visit(func(g *flag.Flag) { is = is || g.Name == name })
	return is
}
