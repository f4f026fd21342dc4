package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// validate checks a service's folder, or its deploy.json with the template beside it.
func validate(_ context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("validate", flag.ContinueOnError)
	c.outputFlag(f)
	file, err := load(c, f, args)
	if err != nil && c.json && !errors.As(err, new(exit)) && !errors.Is(err, flag.ErrHelp) {
		return errors.Join(err, c.printJSON(map[string]any{"valid": false, "error": err.Error()}))
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
