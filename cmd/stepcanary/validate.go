package main

import (
	"errors"
	"flag"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// validate checks a service's folder, or its deploy.json with the template beside it.
func validate(c *console, args []string) error {
	f := flag.NewFlagSet("validate", flag.ContinueOnError)
	c.outputFlag(f)
	file, err := load(c, f, args)
	if err != nil && c.json && !errors.As(err, new(exit)) && !errors.Is(err, flag.ErrHelp) {
		if err := c.printJSON(invalid(err)); err != nil {
			return err
		}
		return exit{exitError, ""}
	}
	if err != nil {
		return err
	}
	kind, route := routing(file)
	if c.json {
		return c.printJSON(map[string]any{"path": file.Path, "service": file.Spec.Service, "router": kind, "route": route, "valid": true})
	}
	c.printf("%s: valid: %s in %s, by %s route %s\n", file.Path, file.Spec.Service, file.Spec.Namespace, kind, route)
	return nil
}

// A problem is one thing wrong with an input, for programs that show it where it stands.
type problem struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Field    string `json:"field,omitempty"`
	Found    string `json:"found"`
	Expected string `json:"expected,omitempty"`
}

// refusal is the answer of validate, and of plan, where something is wrong.
type refusal struct {
	Valid    bool      `json:"valid"`
	Problems []problem `json:"problems"`
}

// invalid gives each problem of an input. An error of another kind, such as a file that
// cannot be read, is the only one.
func invalid(err error) refusal {
	var all spec.Errors
	if !errors.As(err, &all) {
		return refusal{Problems: []problem{{Found: err.Error()}}}
	}
	r := refusal{}
	for _, p := range all {
		r.Problems = append(r.Problems, problem{p.File, p.Line, p.Column, spec.Visible(p.Path), spec.Visible(p.Found), spec.Visible(p.Want)})
	}
	return r
}

// load reads the flags and then the folder or file that a verb is about.
func load(c *console, f *flag.FlagSet, args []string) (spec.File, error) {
	rest, err := parse(c, f, args, 1)
	if err != nil {
		return spec.File{}, err
	}
	if len(rest) == 0 {
		return spec.File{}, fmt.Errorf("%s: a service's folder or its deploy.json is expected", f.Name())
	}
	return spec.Load(rest[0])
}

// routing is the router and the route of a file that was loaded, so its template is good.
func routing(file spec.File) (kind, route string) {
	tmpl, err := file.Spec.Template()
	if err != nil {
		return "", ""
	}
	return file.Spec.Routing(tmpl)
}
