package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stepcanary/stepcanary/internal/report"
)

// writeReport writes the report of a rollout: one page for people, the same facts as JSON.
func writeReport(ctx context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("report", flag.ContinueOnError)
	c.outputFlag(f)
	dir := f.String("dir", "out", "folder to write to")
	api, execution, err := pick(ctx, c, f, args, false)
	if err != nil {
		return err
	}
	s, err := api.story(ctx, execution)
	if err != nil {
		return err
	}
	html, facts, err := reportFiles(*dir, s.Name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	r := report.Of(s)
	page, err := r.HTML()
	if err != nil {
		return err
	}
	data, err := r.JSON()
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{html: page, facts: data} {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if c.json {
		return c.printJSON(map[string]string{"html": html, "json": facts})
	}
	c.printf("%s\n%s\n", html, facts)
	return nil
}

// reportFiles are where an execution's report goes. Whoever starts an execution gives it its name, and the report stays in dir
// whatever that is.
func reportFiles(dir, name string) (html, facts string, err error) {
	if filepath.Base(name+".html") != name+".html" {
		return "", "", fmt.Errorf("write report: the execution's name %q cannot be a file's", name)
	}
	return filepath.Join(dir, name+".html"), filepath.Join(dir, name+".json"), nil
}

// maxReport is the largest report read, in bytes: many times what the longest rollout writes.
const maxReport = 128 << 20

// readReport reads a report from a file, or from what never ends.
func readReport(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxReport+1))
	if err == nil && len(data) > maxReport {
		err = fmt.Errorf("%s: found more than %d bytes, expected a report", path, maxReport)
	}
	return data, err
}

// judge judges a report's measurements again, offline, and compares the verdicts.
func judge(c *console, args []string) error {
	f := flag.NewFlagSet("judge", flag.ContinueOnError)
	c.outputFlag(f)
	path := f.String("report", "", "a report's JSON")
	rest, err := parse(c, f, args, 1)
	if err != nil {
		return err
	}
	if len(rest) == 1 && *path == "" {
		path = &rest[0]
	} else if *path == "" || len(rest) > 0 {
		return errors.New("judge: one --report FILE is expected")
	}
	data, err := readReport(*path)
	if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	r, err := report.Parse(data)
	if err != nil {
		return fmt.Errorf("judge: %s: %w", *path, err)
	}
	if !r.Whole() {
		return exit{exitError, "judge: the report's count of what users met is not that of its measurements"}
	}
	again := r.Judge()
	if len(again.Looks) == 0 {
		return exit{exitError, "judge: the report holds no verdict, so there is nothing to judge again"}
	}
	if c.json {
		if err := c.printJSON(again); err != nil {
			return err
		}
	} else {
		for _, l := range again.Looks {
			c.printf("%s  %3d %%  %-12s  %s\n", l.At.Format("15:04:05"), l.Weight, l.Now.Verdict, l.Now.Reason)
		}
	}
	if n := again.Different(); n > 0 {
		return exit{exitError, fmt.Sprintf("judge: %d of %d verdicts differ from the report's", n, len(again.Looks))}
	}
	if !c.json {
		c.printf("%s, the same as in the report\n", count(len(again.Looks), "verdict"))
	}
	return nil
}
