package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// zipOf is a function's code, cliOf the CLI for a build machine: what scripts/package makes.
func zipOf(dist, function string) string { return filepath.Join(dist, function+".zip") }

func cliOf(dist, architecture string) string {
	return filepath.Join(dist, "stepcanary-linux-"+architecture+".zip")
}

// checkAssets finds a missing file before CDK does, and says how it is made.
func checkAssets(c Config, dist string) error {
	var missing []error
	need := func(path string) {
		if st, err := os.Stat(path); err != nil || st.IsDir() {
			missing = append(missing, fmt.Errorf("%s: not there; scripts/package makes it", path))
		}
	}
	for _, f := range functions {
		need(zipOf(dist, f.name))
	}
	seen := map[string]bool{}
	for _, s := range c.Services {
		if !seen[s.Architecture] {
			need(cliOf(dist, s.Architecture))
		}
		seen[s.Architecture] = true
	}
	return errors.Join(missing...)
}
