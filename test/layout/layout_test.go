// Package layout_test holds the rules of the tree: who may import whom, and that every
// package says what it is. It parses the files, so that a change of any of them runs it again.
package layout_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/stepcanary/stepcanary/"

// allowed is the table: the packages of ours that a package may import. "*" stands for what
// comes below a folder. What is not here may import nothing of ours, and nothing but the
// standard library where it is among the rules.
var allowed = map[string][]string{
	// rules: values in, a value out
	"internal/fault":    {},
	"internal/analysis": {},
	"internal/rollout":  {"internal/analysis"},
	"internal/clock":    {},
	// ports
	"internal/workload": {"internal/fault", "internal/rollout"},
	"internal/record":   {"internal/fault", "internal/rollout", "internal/workload"},
	"internal/traffic":  {"internal/fault", "internal/rollout"},
	"internal/metric":   {"internal/fault", "internal/analysis"},
	"internal/memory":   {"internal/clock"},
	// the drivers in memory, wired into one simulated cluster
	"internal/memory/world": {"internal/*"},
	// drivers: their port, the rules, what drivers of one kind share, the one SDK they wrap
	"internal/workload/*": {"internal/workload", "internal/memory", "internal/clock", "internal/fault", "internal/rollout"},
	"internal/record/*":   {"internal/record", "internal/workload", "internal/memory", "internal/clock", "internal/fault", "internal/rollout"},
	"internal/traffic/*":  {"internal/traffic", "internal/traffic/object", "internal/kube", "internal/memory", "internal/clock", "internal/fault", "internal/rollout"},
	"internal/metric/*":   {"internal/metric", "internal/metric/queries", "internal/clock", "internal/secret", "internal/analysis", "internal/fault", "internal/rollout"},
	"internal/kube":       {"internal/workload", "internal/record", "internal/rollout", "internal/fault", "internal/clock"},
	"internal/kube/*":     {"internal/kube", "internal/fault"},
	// a name -> a driver
	"internal/traffic/routers": {"internal/traffic", "internal/traffic/*", "internal/kube", "internal/fault"},
	"internal/metric/meters":   {"internal/metric", "internal/metric/*", "internal/clock", "internal/egress", "internal/secret", "internal/fault"},
	// what the edge of every outgoing call shares: where it may go, and what it may know
	"internal/egress": {"internal/fault"},
	"internal/secret": {"internal/fault"},
	// work
	"internal/spec": {"internal/analysis", "internal/rollout", "internal/fault", "internal/workload", "internal/traffic", "internal/metric", "internal/egress", "specfiles"},
	"internal/hook": {"internal/fault", "internal/clock", "internal/egress", "internal/secret"},
	"internal/step": {"internal/analysis", "internal/rollout", "internal/fault", "internal/clock", "internal/spec", "internal/traffic", "internal/metric", "internal/workload", "internal/record", "internal/hook", "internal/secret"},
	// flow
	"statemachine":            {},
	"specfiles":               {},
	"internal/asl":            {},
	"internal/local":          {"internal/asl", "internal/clock"},
	"internal/local/mototest": {"internal/*"}, // another executor beside ours, for tests
	"internal/witness":        {},             // finds what tests compare with
	"internal/task":           {"internal/step", "internal/fault"},
	"internal/story":          {"internal/step", "internal/analysis", "internal/rollout", "internal/fault"},
	"internal/report":         {"internal/story", "internal/step", "internal/analysis", "internal/rollout"},
	"internal/engine":         {"internal/asl", "internal/local", "internal/clock", "internal/step", "internal/task", "statemachine"},
	// the engine over the drivers in memory, for the tests of what stands above it
	"internal/engine/enginetest": {"internal/*"},
	// edge
	"internal/stepfunctions": {"internal/clock", "internal/fault", "internal/task"},
	"internal/platform":      {"internal/clock", "internal/egress", "internal/fault", "internal/hook", "internal/kube", "internal/kube/*", "internal/metric", "internal/metric/meters", "internal/step", "internal/stepfunctions", "internal/task", "internal/traffic", "internal/traffic/routers"},
	"internal/lambdahost":    {"internal/*"},
	"internal/alarm":         {"internal/story", "internal/step", "internal/rollout", "internal/fault", "internal/clock", "internal/task"},
	"lambdas/*":              {"internal/clock", "internal/platform", "internal/step", "internal/task", "internal/alarm", "internal/stepfunctions"},
	"scripts/*":              {"internal/lambdahost"},
	"cmd/stepcanary":         {"internal/*", "statemachine"},
	"examples/*":             {},
}

// standardOnly are the packages that may import nothing beyond the standard library and what
// their line above names.
var standardOnly = []string{
	"internal/fault", "internal/analysis", "internal/rollout", "internal/clock", "internal/asl", "internal/memory",
	"internal/workload", "internal/record", "internal/traffic", "internal/metric", "statemachine", "internal/step",
}

// forbidden are imports that nobody may have, with the reason.
var forbidden = map[string]string{
	"k8s.io/client-go/kubernetes":       "it doubles a Lambda; use the dynamic client",
	"k8s.io/client-go/kubernetes/typed": "it doubles a Lambda; use the dynamic client",
	"k8s.io/kubernetes":                 "it belongs to the bed's module",
	"log":                               "log/slog is the one logger",
}

func TestImportsPointDown(t *testing.T) {
	for dir, files := range packages(t) {
		rule, known := ruleOf(dir)
		if !known {
			t.Errorf("%s: not in the table of test/layout; say there what it may import", dir)
			continue
		}
		for _, f := range files {
			if strings.HasSuffix(f.name, "_test.go") {
				continue
			}
			for _, imp := range f.ast.Imports {
				path, _ := strconv.Unquote(imp.Path.Value)
				check(t, dir, rule, f.name, path)
			}
		}
	}
}

func check(t *testing.T, dir string, rule []string, file, path string) {
	t.Helper()
	for bad, why := range forbidden {
		if path == bad || strings.HasPrefix(path, bad+"/") && bad != "log" {
			t.Errorf("%s imports %s: %s", file, path, why)
		}
	}
	own, ours := strings.CutPrefix(path, module)
	switch {
	case ours && !matches(rule, own):
		t.Errorf("%s imports %s; %s may import %v", file, own, dir, rule)
	case !ours && strings.Contains(path, ".") && slices.Contains(standardOnly, dir):
		t.Errorf("%s imports %s; %s keeps to the standard library", file, path, dir)
	}
}

// ruleOf finds the line of a package: its own, or that of the folder above.
func ruleOf(dir string) ([]string, bool) {
	if rule, ok := allowed[dir]; ok {
		return rule, true
	}
	for up := filepath.Dir(dir); up != "."; up = filepath.Dir(up) {
		if rule, ok := allowed[up+"/*"]; ok {
			return rule, true
		}
	}
	return nil, false
}

func matches(rule []string, path string) bool {
	return slices.ContainsFunc(rule, func(r string) bool {
		folder, below := strings.CutSuffix(r, "/*")
		return r == path || below && strings.HasPrefix(path, folder+"/")
	})
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for dir, files := range packages(t) {
		var docs []string
		test := true
		for _, f := range files {
			if strings.HasSuffix(f.name, "_test.go") {
				continue
			}
			test = false
			if f.ast.Doc != nil {
				docs = append(docs, f.name)
			}
		}
		if !test && len(docs) != 1 {
			t.Errorf("%s: %d files have a package comment %v; exactly one is expected", dir, len(docs), docs)
		}
	}
}

func TestEveryExportedNameSaysWhatItIs(t *testing.T) {
	for _, files := range packages(t) {
		for _, f := range files {
			if strings.HasSuffix(f.name, "_test.go") {
				continue
			}
			for _, d := range f.ast.Decls {
				undocumented(t, f.name, d)
			}
		}
	}
}

func undocumented(t *testing.T, file string, d ast.Decl) {
	t.Helper()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d)) {
			t.Errorf("%s: %s has no comment", file, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() && d.Doc == nil && ts.Doc == nil {
				t.Errorf("%s: %s has no comment", file, ts.Name.Name)
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	expr := d.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if index, ok := expr.(*ast.IndexExpr); ok {
		expr = index.X
	}
	id, ok := expr.(*ast.Ident)
	return ok && id.IsExported()
}

type file struct {
	name string
	ast  *ast.File
}

// packages parses every Go file of the root module, by folder.
func packages(t *testing.T) map[string][]file {
	t.Helper()
	root := filepath.Join("..", "..")
	out := map[string][]file{}
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path == root {
				return nil
			}
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "test" && filepath.Dir(path) == root || nested == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		out[filepath.ToSlash(dir)] = append(out[filepath.ToSlash(dir)], file{path, parsed})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
