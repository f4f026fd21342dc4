package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/spec"
)

const root = "../.."

// pages are the README and the documents, by path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/adr/*.md", "specfiles/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			out[path] = string(data)
		}
	}
	return out
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestEveryLinkLeadsToAFile(t *testing.T) {
	for path, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), to)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
	}
}

var (
	fence  = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	inline = regexp.MustCompile("`(stepcanary [^`]+)`")
)

// commandLines are the command lines that a page shows, in blocks and in sentences.
func commandLines(text string) []string {
	var out []string
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "stepcanary ") {
				out = append(out, line)
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.Join(strings.Fields(m[1]), " "))
	}
	return out
}

func TestTheReadmeShowsWhatRuns(t *testing.T) {
	ran := 0
	for path, text := range pages(t) {
		for _, line := range commandLines(text) {
			args := words(line)[1:]
			cmd := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
			if cmd < 0 {
				t.Errorf("%s: %s: no such command", path, line)
				continue
			}
			checkFlags(t, path+": "+line, commands[cmd], args[1:])
			if filepath.Base(path) == "README.md" && (args[0] == "validate" || args[0] == "plan") && len(args) > 1 && strings.HasPrefix(args[1], "specfiles/") {
				ran++
				runs(t, line, args)
			}
		}
	}
	if ran < 2 {
		t.Errorf("%d of the README's command lines ran; validate and plan are expected among them", ran)
	}
}

// runs runs a command line that needs no cluster, from the root of the repository.
func runs(t *testing.T, line string, args []string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = slices.Clone(args)
	args[1] = filepath.Join(root, args[1])
	if code := newConsole(&out, &errs).run(t.Context(), args); code != exitPromoted || out.Len() == 0 {
		t.Errorf("%s: exit code %d, %s", line, code, errs.String())
	}
}

var word = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)

func words(line string) []string {
	out := word.FindAllString(line, -1)
	for i := range out {
		out[i] = strings.Trim(out[i], `"'`)
	}
	return out
}

var defined = regexp.MustCompile(`(?m)^  -(\S+)`)

// checkFlags compares the flags of a command line with those that the command's help lists.
func checkFlags(t *testing.T, where string, c command, args []string) {
	t.Helper()
	var help bytes.Buffer
	if err := c.run(context.Background(), newConsole(&help, &help), []string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("%s -h: %v", c.name, err)
	}
	var known []string
	for _, m := range defined.FindAllStringSubmatch(help.String(), -1) {
		known = append(known, m[1])
	}
	for _, a := range args {
		name := strings.TrimLeft(a, "-")
		name, _, _ = strings.Cut(name, "=")
		if strings.HasPrefix(a, "-") && len(name) > 0 && !slices.Contains(known, name) {
			t.Errorf("%s: no such flag: %s", where, a)
		}
	}
}

var specPath = regexp.MustCompile(`specfiles/[a-z0-9-]+`)

func TestEverySpecFileThatAPageNamesLoads(t *testing.T) {
	loaded := map[string]bool{}
	for path, text := range pages(t) {
		for _, folder := range specPath.FindAllString(text, -1) {
			dir := filepath.Join(root, folder)
			if info, err := os.Stat(dir); err != nil || !info.IsDir() || loaded[dir] {
				continue
			}
			loaded[dir] = true
			if _, err := spec.Load(dir); err != nil {
				t.Errorf("%s names %s: %v", path, folder, err)
			}
		}
	}
	if len(loaded) == 0 {
		t.Error("no page names a spec file")
	}
}
