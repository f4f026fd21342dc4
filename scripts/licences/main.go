// Licences lists the licences of everything that is linked into what we give away, and fails
// on one that it does not know or that is not on its list.
//
//	go run ./scripts/licences ./cmd/stepcanary ./lambdas/...
//
// A licence is told by sentences that only its text has. Where a module holds several texts,
// all of them count.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// allowed are the licences, by their SPDX names, of what may be linked in: permissive ones.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// marks are sentences of the licences' texts, in lower case, with single spaces.
var marks = []struct {
	name  string
	words []string
}{
	{"AGPL", []string{"gnu affero general public license"}},
	{"LGPL", []string{"gnu lesser general public license"}},
	{"GPL", []string{"gnu general public license"}},
	{"MPL-2.0", []string{"mozilla public license"}},
	{"Apache-2.0", []string{"apache license", "version 2.0"}},
	{"BSD-3-Clause", []string{"redistribution and use in source and binary forms", "endorse or promote products"}},
	{"BSD-2-Clause", []string{"redistribution and use in source and binary forms"}},
	{"ISC", []string{"permission to use, copy, modify, and", "distribute this software for any purpose with or without fee"}},
	{"MIT", []string{"permission is hereby granted, free of charge", "the software is provided \"as is\""}},
}

var (
	space = regexp.MustCompile(`[\s#*/]+`)
	named = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)
)

// A Module is one that is linked in.
type Module struct {
	Path, Version, Dir string
	Main               bool
}

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, packages []string) error {
	modules, err := linked(packages)
	if err != nil {
		return err
	}
	var bad []error
	for _, m := range modules {
		names, err := licences(m.Dir)
		if err != nil {
			bad = append(bad, fmt.Errorf("%s %s: %w", m.Path, m.Version, err))
			continue
		}
		fmt.Fprintf(w, "%-30s %s %s\n", strings.Join(names, " AND "), m.Path, m.Version)
	}
	fmt.Fprintf(w, "%d modules are linked in, %d with a licence that is not allowed\n", len(modules), len(bad))
	return errors.Join(bad...)
}

// linked are the modules, but for our own and Go's, of which a package is linked into one of
// the packages.
func linked(packages []string) ([]Module, error) {
	cmd := exec.Command("go", append([]string{"list", "-deps", "-json=Module"}, packages...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	seen := map[string]Module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ Module *Module }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module != nil && !p.Module.Main {
			seen[p.Module.Path] = *p.Module
		}
	}
	if len(seen) == 0 {
		return nil, errors.New("go list names no module: nothing was looked at")
	}
	var modules []Module
	for _, m := range seen {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// licences are those of the texts in a module's folder, each of which has to be allowed.
func licences(dir string) ([]string, error) {
	if dir == "" {
		return nil, errors.New("it is not in the module cache")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || !named.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		found := recognise(string(text))
		if len(found) == 0 {
			return nil, fmt.Errorf("%s is no licence that is known here", e.Name())
		}
		for _, name := range found {
			if !slices.Contains(allowed, name) {
				return nil, fmt.Errorf("%s is %s, which is not allowed", e.Name(), name)
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return nil, errors.New("it has no licence file")
	}
	return names, nil
}

// recognise names the licences that a text holds. Of BSD's two, and of GNU's, the one
// that says more counts.
func recognise(text string) []string {
	text = strings.ToLower(space.ReplaceAllString(text, " "))
	text = strings.NewReplacer("“", `"`, "”", `"`, "``", `"`, "''", `"`).Replace(text)
	var names []string
	for _, m := range marks {
		all := true
		for _, words := range m.words {
			all = all && strings.Contains(text, words)
		}
		kin := slices.ContainsFunc(names, func(n string) bool {
			return n[:3] == m.name[:3] || m.name == "GPL" && strings.HasSuffix(n, "GPL")
		})
		if all && !kin {
			names = append(names, m.name)
		}
	}
	return names
}
