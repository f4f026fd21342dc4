// Mutants breaks the code on purpose, once for each line of its table, and tells whether the
// test that is named beside it notices.
//
//	go run ./test/mutants              all of them
//	go run ./test/mutants -only fence  those whose name matches it
//	go run ./test/mutants -every 10    one in ten, others at each commit
//	go run ./test/mutants -list        the table, as Markdown
//
// The tree itself is not touched: the compiler gets the changed file by -overlay. Each test
// has to pass on the code as it is, and to fail, not merely not to compile, on the changed one.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "run the mutants whose name matches this expression")
	every := flag.Int("every", 1, "run one in so many, others at each commit")
	list := flag.Bool("list", false, "print the table and run nothing")
	flag.Parse()
	if *list {
		printTable()
		return
	}
	if err := run(*only, *every); err != nil {
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

func run(only string, every int) error {
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
	turn, err := commits(every)
	if err != nil {
		return err
	}
	var mutants []Mutant
	for i, m := range table {
		if wanted.MatchString(m.Name) && i%every == turn {
			mutants = append(mutants, m)
		}
	}
	if len(mutants) == 0 {
		return fmt.Errorf("no mutant of this turn is named %q", only)
	}
	if err := sound(root, mutants); err != nil {
		return err
	}
	caught := 0
	for _, m := range mutants {
		began := time.Now()
		verdict, err := try(root, dir, m)
		if verdict == "caught" {
			caught++
		}
		if err != nil {
			verdict = "BROKEN"
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", m.Name, err)
		}
		fmt.Printf("%-9s %-55s %s %s (%.0f s)\n", verdict, m.Name, m.Package, m.Test, time.Since(began).Seconds())
	}
	fmt.Printf("%d of %d mutants caught\n", caught, len(mutants))
	if caught < len(mutants) {
		return fmt.Errorf("%d were not caught", len(mutants)-caught)
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

// commits counts those that lead here, as the rest of a division: the turn of this commit.
func commits(every int) (int, error) {
	if every < 1 {
		return 0, fmt.Errorf("-every %d: at least 1 is expected", every)
	}
	if every == 1 {
		return 0, nil
	}
	out, err := exec.Command("git", "rev-list", "--count", "HEAD").Output()
	if err != nil {
		return 0, fmt.Errorf("count the commits: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, fmt.Errorf("count the commits: %w", err)
	}
	return n % every, nil
}

// try runs the mutant's test on the changed code.
func try(root, dir string, m Mutant) (string, error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return "", err
	}
	out, err := test(root, m.Package, m.Test, "-overlay", overlay)
	switch {
	case err == nil && strings.Contains(out, "no tests to run"):
		return "", fmt.Errorf("%s has no test %s", m.Package, m.Test)
	case err == nil:
		return "SURVIVED", nil
	case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
		return "", fmt.Errorf("the changed code does not compile:\n%s", out)
	case !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic:"):
		return "", fmt.Errorf("go test ended oddly:\n%s", out)
	}
	return "caught", nil
}

// sound runs all tests that the mutants name on the code as it is, once for each package.
func sound(root string, mutants []Mutant) error {
	tests := map[string][]string{}
	for _, m := range mutants {
		name, _, _ := strings.Cut(m.Test, "/")
		tests[m.Package] = append(tests[m.Package], name)
	}
	for _, p := range slices.Sorted(maps.Keys(tests)) {
		if out, err := test(root, p, strings.Join(tests[p], "|")); err != nil {
			return fmt.Errorf("%s fails without any change:\n%s", p, out)
		}
	}
	return nil
}

func test(root, pkg, run string, more ...string) (string, error) {
	args := append([]string{"test", "-vet=off", "-count=1", "-timeout", "5m", "-ldflags", "-s -w"}, more...)
	cmd := exec.Command("go", append(args, "-run", run, "./"+pkg)...)
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
