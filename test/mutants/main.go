// Mutants breaks the code on purpose, once for each line of its table, and tells whether the
// test that is named beside it notices.
//
//	go run ./test/mutants              all of them
//	go run ./test/mutants -only fence  those whose name matches it
//	go run ./test/mutants -list        the table, as Markdown
//
// The tree itself is not touched: the compiler gets the changed file by -overlay. Each test
// has to pass on the code as it is, and to fail, not merely not to compile, on the changed one.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "run the mutants whose name matches this expression")
	list := flag.Bool("list", false, "print the table and run nothing")
	flag.Parse()
	if *list {
		printTable()
		return
	}
	if err := run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func printTable() {
	fmt.Println("| what is broken | file | promise | what notices |\n|---|---|---|---|")
	for _, m := range table {
		fmt.Printf("| %s | `%s` | %s | `%s` in `%s` |\n", m.Name, m.File, m.Promise, m.Test, m.Package)
	}
}

func run(only string) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sound := map[string]bool{}
	caught, tried := 0, 0
	for _, m := range table {
		if !wanted.MatchString(m.Name) {
			continue
		}
		tried++
		began := time.Now()
		verdict, err := try(root, dir, m, sound)
		if verdict == "caught" {
			caught++
		}
		if err != nil {
			verdict = "BROKEN"
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.Name, err)
		}
		fmt.Printf("%-9s %-55s %s %s (%.0f s)\n", verdict, m.Name, m.Package, m.Test, time.Since(began).Seconds())
	}
	if tried == 0 {
		return fmt.Errorf("no mutant is named %q", only)
	}
	fmt.Printf("%d of %d mutants caught\n", caught, tried)
	if caught < tried {
		return fmt.Errorf("%d were not caught", tried-caught)
	}
	return nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find go.mod: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// try runs the mutant's test on the code as it is, once for all mutants that name it, and on
// the changed code.
func try(root, dir string, m Mutant, sound map[string]bool) (string, error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	key := m.Package + " " + m.Test
	if !sound[key] {
		if out, err := test(root, m); err != nil {
			return "", fmt.Errorf("go test %s -run %s fails without any change:\n%s", m.Package, m.Test, out)
		} else if strings.Contains(out, "no tests to run") {
			return "", fmt.Errorf("go test %s has no test %s", m.Package, m.Test)
		}
		sound[key] = true
	}
	out, err := test(root, m, "-overlay", overlay)
	switch {
	case err == nil:
		return "SURVIVED", nil
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return "", fmt.Errorf("the changed code does not compile:\n%s", out)
	case !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic:"):
		return "", fmt.Errorf("go test ended oddly:\n%s", out)
	}
	return "caught", nil
}

func test(root string, m Mutant, more ...string) (string, error) {
	args := append([]string{"test", "-vet=off", "-count=1", "-timeout", "5m"}, more...)
	cmd := exec.Command("go", append(args, "-run", m.Test, "./"+m.Package)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A Mutant is one breakage on purpose.
type Mutant struct {
	// Name says what is broken.
	Name string
	// File is relative to the module. In it, Old becomes New; Old occurs once, or once behind
	// the first After.
	File, After, Old, New string
	// Promise is the number of the promise in docs/design.md that it breaks.
	Promise string
	// Package and Test name what must fail; Test is a regular expression.
	Package, Test string
}

// overlay writes the changed file and the map that has the compiler take it.
func (m Mutant) overlay(root, dir string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.File))
	text, err := m.apply(path)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, filepath.Base(m.File))
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, b, 0o600)
}

func (m Mutant) apply(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	head, tail, found := strings.Cut(string(b), m.After)
	if !found {
		return "", fmt.Errorf("%s does not contain %q any more", m.File, m.After)
	}
	n := strings.Count(tail, m.Old)
	if n == 0 || n > 1 && m.After == "" {
		return "", fmt.Errorf("%s contains %q %d times; once is expected", m.File, m.Old, n)
	}
	return head + m.After + strings.Replace(tail, m.Old, m.New, 1), nil
}
