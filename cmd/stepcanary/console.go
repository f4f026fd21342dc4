package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/step"
)

// A console is where a command speaks, and how.
type console struct {
	out, err io.Writer
	env      func(string) string
	// clock is what commands wait and tell the time by.
	clock clock.Clock
	// size gives the width of the terminal that out is, 0 where it is none.
	size func() int
	// cluster opens a cluster, for what is written into it and not asked of the engine.
	cluster func(context.Context, platform.Settings, string) (step.Access, error)
	json    bool
	// verb is the command that runs.
	verb command
}

// newConsole speaks through the process's own streams, clock and environment.
func newConsole(stdout, stderr io.Writer) *console {
	c := &console{out: stdout, err: stderr, env: os.Getenv, clock: clock.Real{}, cluster: openCluster}
	c.size = func() int { return widthOf(stdout) }
	return c
}

// widthOf is 0 for what is no terminal.
func widthOf(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// outputFlag adds -o.
func (c *console) outputFlag(f *flag.FlagSet) {
	f.Func("o", "output: text or json (default text)", func(s string) error {
		switch s {
		case "text", "json":
			c.json = s == "json"
			return nil
		}
		return fmt.Errorf("text or json is expected")
	})
}

// terminal gives the width of the terminal that out is, or 0 where it is none, or where
// a pipeline's log reads it.
func (c *console) terminal() int {
	if c.env("CI") != "" || c.env("TERM") == "dumb" {
		return 0
	}
	return c.size()
}

// color wraps text in an ANSI colour, on a terminal that wants one.
func (c *console) color(code, text string) string {
	if c.env("NO_COLOR") != "" || c.terminal() == 0 {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

// printLine writes JSON on one line, for what is followed while it comes.
func (c *console) printLine(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func (c *console) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// revision is set by the build.
var revision = "dev"

func version(c *console, args []string) error {
	f := flag.NewFlagSet("version", flag.ContinueOnError)
	if _, err := parse(c, f, args, 0); err != nil {
		return err
	}
	c.printf("stepcanary %s\n", revision)
	return nil
}
