package spec_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A definition is a part of a JSON Schema.
type definition = map[string]any

func ref(name string) definition { return definition{"$ref": "#/$defs/" + name} }

// apiTypes are the Go types of an API, as their source declares them: what reflection does not tell
// (the values of an enumeration, bounds) stands there too.
type apiTypes struct {
	*testing.T
	names  map[string]string // of packages, by path
	decls  map[string]decl   // by package and name, such as core.PodSpec
	consts map[string][]any  // values of constants, by their type
	bounds map[string]bound  // of fields, by type and name, until they are used
	defs   definition        // what was made
}

// A decl is the declaration of a type.
type decl struct {
	pkg     string
	spec    *ast.TypeSpec
	doc     string
	imports map[string]string // paths by name
}

// A bound is the least and the largest value of a number, and how that is said.
type bound struct {
	min, max int64
	want     string
}

// most is the largest number of the fields that have no other bound.
const most = 1<<31 - 1

// readTypes parses packages, which the module in dir knows, by their short names.
func readTypes(t *testing.T, dir string, packages map[string]string) *apiTypes {
	t.Helper()
	a := &apiTypes{T: t, names: map[string]string{}, bounds: map[string]bound{}, decls: map[string]decl{}, consts: map[string][]any{}, defs: definition{}}
	for name, path := range packages {
		a.names[path] = name
	}
	args := append([]string{"list", "-C", dir, "-f", "{{.ImportPath}} {{.Dir}}"}, slices.Sorted(maps.Values(packages))...)
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatalf("go %q: %v", args, err)
	}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			if strings.Contains(file, "generated") || strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			a.file(a.names[path], f)
		}
	}
	return a
}

func (a *apiTypes) file(pkg string, f *ast.File) {
	imports := map[string]string{}
	for _, i := range f.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		imports[name] = path
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, s := range g.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				a.decls[pkg+"."+s.Name.Name] = decl{pkg, s, comment(g.Doc, s.Doc), imports}
			case *ast.ValueSpec:
				a.constant(pkg, s)
			}
		}
	}
}

func (a *apiTypes) constant(pkg string, s *ast.ValueSpec) {
	of, ok := s.Type.(*ast.Ident)
	if !ok {
		return
	}
	for _, v := range s.Values {
		if text, ok := v.(*ast.BasicLit); ok && text.Kind == token.STRING {
			value, _ := strconv.Unquote(text.Value)
			a.consts[pkg+"."+of.Name] = append(a.consts[pkg+"."+of.Name], value)
		}
	}
}

// comment is text with the markers, which CommentGroup.Text leaves out.
func comment(groups ...*ast.CommentGroup) string {
	var b strings.Builder
	for _, g := range groups {
		for _, c := range list(g) {
			b.WriteString(c.Text + "\n")
		}
	}
	return b.String()
}

// expr is the schema of a type expression in the package of d.
func (a *apiTypes) expr(d decl, e ast.Expr) definition {
	switch e := e.(type) {
	case *ast.StarExpr:
		return a.expr(d, e.X)
	case *ast.ArrayType:
		if id, ok := e.Elt.(*ast.Ident); ok && id.Name == "byte" {
			return ref("bytes")
		}
		return definition{"type": "array", "items": a.expr(d, e.Elt)}
	case *ast.MapType:
		return definition{"type": "object", "additionalProperties": a.expr(d, e.Value)}
	case *ast.Ident:
		if _, ok := scalars[e.Name]; ok {
			return ref(e.Name)
		}
		return a.named(d.pkg + "." + e.Name)
	case *ast.SelectorExpr:
		path := d.imports[e.X.(*ast.Ident).Name]
		if name, ok := a.names[path]; ok {
			return a.named(name + "." + e.Sel.Name)
		}
		return a.named(path + "." + e.Sel.Name)
	}
	a.Fatalf("%s: a type of form %T", d.spec.Name.Name, e)
	return nil
}

// named is the schema of a declared type: a reference where it is a struct or an enumeration.
func (a *apiTypes) named(name string) definition {
	if as, ok := foreign[name]; ok {
		return ref(as)
	}
	d, ok := a.decls[name]
	if !ok {
		a.Fatalf("no declaration of %s", name)
	}
	if s, ok := d.spec.Type.(*ast.StructType); ok {
		if _, made := a.defs[name]; !made {
			def := object(definition{})
			a.defs[name] = def // before its fields, which may refer to it
			a.fields(name, d, s, def["properties"].(definition))
		}
		return ref(name)
	}
	def := a.expr(d, d.spec.Type)
	if values := a.values(name, d.doc); values != nil {
		a.defs[name] = enumeration(values)
		return ref(name)
	}
	return limited(def, marked(d.doc))
}

func object(properties definition) definition {
	return definition{"type": "object", "additionalProperties": false, "properties": properties}
}

func enumeration(values []any) definition {
	if _, number := values[0].(int); number {
		return definition{"type": "integer", "enum": values}
	}
	return definition{"type": "string", "enum": values}
}

func (a *apiTypes) fields(name string, d decl, s *ast.StructType, into definition) {
	for _, f := range s.Fields.List {
		tag, _, _ := strings.Cut(jsonTag(f), ",")
		switch {
		case tag == "-":
		case tag == "status":
			into[tag] = ref("any") // the cluster's to write
		case tag == "": // its fields are this one's
			inner := a.expr(d, f.Type)["$ref"].(string)
			maps.Copy(into, a.defs[strings.TrimPrefix(inner, "#/$defs/")].(definition)["properties"].(definition))
		default:
			doc := comment(f.Doc)
			into[tag] = limited(a.expr(d, f.Type), marked(doc), a.bounds[name+"."+tag])
			delete(a.bounds, name+"."+tag)
			if values := enumMarks(doc); values != nil {
				into[tag] = enumeration(values)
			}
		}
	}
}

func jsonTag(f *ast.Field) string {
	if f.Tag == nil {
		return "-"
	}
	text, _ := strconv.Unquote(f.Tag.Value)
	return reflect.StructTag(text).Get("json")
}

// values are those of an enumeration; nil where the type is none.
func (a *apiTypes) values(name, doc string) []any {
	if values := enumMarks(doc); values != nil {
		return values
	}
	if !strings.Contains(doc, "+enum\n") {
		return nil
	}
	// Text that is empty is no value: the server fills in the default.
	return append([]any{""}, slices.DeleteFunc(a.consts[name], func(v any) bool { return v == "" })...)
}

var (
	enumMark  = regexp.MustCompile(`validation:Enum:?=([A-Za-z0-9;*]+)`)
	boundMark = regexp.MustCompile(`\+kubebuilder:validation:(Minimum|Maximum):?=(\d+)`)
)

// enumMarks are the values that markers of kubebuilder name, those of an experimental channel too:
// which of them the cluster has, it knows alone.
func enumMarks(doc string) (values []any) {
	for _, m := range enumMark.FindAllStringSubmatch(doc, -1) {
		for text := range strings.SplitSeq(m[1], ";") {
			v := any(text)
			if n, err := strconv.Atoi(text); err == nil {
				v = n
			}
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
	}
	return values
}

func marked(doc string) (b bound) {
	marks := boundMark.FindAllStringSubmatch(doc, -1)
	if len(marks) == 0 {
		return b
	}
	b.max = most
	for _, m := range marks {
		n, _ := strconv.ParseInt(m[2], 10, 64)
		if m[1] == "Minimum" {
			b.min = n
		} else {
			b.max = n
		}
	}
	b.want = fmt.Sprintf("a whole number from %d to %d", b.min, b.max)
	if b.max == most {
		b.want = fmt.Sprintf("a whole number, %d or more", b.min)
	}
	return b
}

// limited puts bounds on a number.
func limited(def definition, bounds ...bound) definition {
	for _, b := range bounds {
		if b != (bound{}) {
			def = maps.Clone(def)
			def["minimum"], def["maximum"], def["x-expected"] = b.min, b.max, b.want
		}
	}
	return def
}

// print writes the definitions with a line for each field, so that a new version's changes can be read.
func (a *apiTypes) print(about string) string {
	a.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n\"$comment\": %s,\n\"$defs\": {\n", a.json(about))
	names := slices.Sorted(maps.Keys(a.defs))
	for i, name := range names {
		def := maps.Clone(a.defs[name].(definition))
		properties, ok := def["properties"].(definition)
		delete(def, "properties")
		text := a.json(def)
		if ok {
			var lines []string
			for _, key := range slices.Sorted(maps.Keys(properties)) {
				lines = append(lines, "  "+a.json(key)+": "+a.json(properties[key]))
			}
			text = strings.TrimSuffix(text, "}") + ", \"properties\": {\n" + strings.Join(lines, ",\n") + "}}"
		}
		end := ",\n"
		if i == len(names)-1 {
			end = "}}\n"
		}
		b.WriteString(a.json(name) + ": " + text + end)
	}
	return b.String()
}

func (a *apiTypes) json(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		a.Fatal(err)
	}
	return string(b)
}

func list(g *ast.CommentGroup) []*ast.Comment {
	if g == nil {
		return nil
	}
	return g.List
}
