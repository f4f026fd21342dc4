package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// A console is where a command speaks, and how.
type console struct {
	out, err io.Writer
	env      func(string) string
	json     bool
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
	f, ok := c.out.(*os.File)
	if !ok || c.env("CI") != "" || c.env("TERM") == "dumb" || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// color wraps text in an ANSI colour, on a terminal that wants one.
func (c *console) color(code, text string) string {
	if c.env("NO_COLOR") != "" || c.terminal() == 0 {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

func (c *console) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// revision is set by the build.
var revision = "dev"

func version(_ context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("version", flag.ContinueOnError)
	if _, err := parse(c, f, args, 0); err != nil {
		return err
	}
	c.printf("stepcanary %s\n", revision)
	return nil
}
