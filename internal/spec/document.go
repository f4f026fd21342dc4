package spec

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFile is the largest file read, in bytes: a larger one cannot be the
	// input of an execution anyway.
	maxFile = MaxInput
	// maxDepth is the deepest nesting read.
	maxDepth = 64
	// maxNodes is the largest number of values read, aliases counted as often as
	// they are used.
	maxNodes = 20_000
)

// A source is one input, read into YAML documents without aliases. JSON gives
// one document of the same form.
type source struct {
	file string
	docs []*yaml.Node
}

// at makes a problem at a node of the source.
func (s source) at(n *yaml.Node, path, found, want string) Problem {
	p := Problem{File: s.file, Path: path, Found: found, Want: want}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	return p
}

// readSource parses data. Which language it is, the name and the first byte
// tell: what begins with a brace and is not called .yml or .yaml is JSON.
func readSource(file string, data []byte) (source, error) {
	s := source{file: file}
	if len(data) > maxFile {
		return s, Errors{{File: file, Found: fmt.Sprintf("%d bytes", len(data)), Want: fmt.Sprintf("at most %d", maxFile)}}
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if p, ok := badText(file, data); !ok {
		return s, Errors{p}
	}
	first := bytes.TrimLeft(data, " \t\r\n")
	if len(first) == 0 {
		return s, Errors{{File: file, Line: 1, Column: 1, Found: "nothing", Want: "a document"}}
	}
	var err error
	if yml := strings.HasSuffix(file, ".yml") || strings.HasSuffix(file, ".yaml"); first[0] == '{' && !yml {
		s.docs, err = readJSON(file, data)
	} else {
		s.docs, err = readYAML(file, data)
	}
	if err != nil {
		return s, err
	}
	return s, s.expand()
}

// badText finds the first byte that is no UTF-8.
func badText(file string, data []byte) (Problem, bool) {
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return Problem{File: file, Line: line, Column: utf8.RuneCount(data[start:i]) + 1, Found: fmt.Sprintf("the byte 0x%02x", data[i]), Want: "UTF-8"}, false
		}
		if i += size; r == '\n' {
			line, start = line+1, i
		}
	}
	return Problem{}, true
}

// readYAML parses all documents; empty ones are left out.
func readYAML(file string, data []byte) ([]*yaml.Node, error) {
	if p, ok := tooDeep(file, data); !ok {
		return nil, Errors{p}
	}
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var n yaml.Node
		switch err := dec.Decode(&n); {
		case err == nil:
			if root := n.Content[0]; root.Tag != "!!null" {
				docs = append(docs, root)
			}
		case err.Error() == "EOF":
			if len(docs) == 0 {
				return nil, Errors{{File: file, Line: 1, Column: 1, Found: "nothing", Want: "a document"}}
			}
			return docs, nil
		default:
			return nil, Errors{yamlProblem(file, err)}
		}
	}
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+)(?:, column (\d+))?: )?`)

// yamlProblem gives the parser's own words with the line that they name.
func yamlProblem(file string, err error) Problem {
	text := err.Error()
	m := yamlError.FindStringSubmatch(text)
	p := Problem{File: file, Found: "YAML: " + text}
	if m == nil {
		return p
	}
	p.Found = "YAML: " + text[len(m[0]):]
	p.Line, p.Column = 1, 1 // the parser names no line where it means the first
	if n, err := strconv.Atoi(m[1]); err == nil {
		p.Line = n
	}
	return p
}

// tooDeep finds flow nesting that the parser would follow for long before it
// gave up: every bracket counts, even in text, up to four times what is allowed.
func tooDeep(file string, data []byte) (Problem, bool) {
	depth, line, start := 0, 1, 0
	for i, b := range data {
		switch b {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case '\n':
			line, start = line+1, i+1
		}
		if depth > 4*maxDepth {
			return Problem{File: file, Line: line, Column: i - start + 1, Found: "brackets that do not close", Want: fmt.Sprintf("at most %d levels", maxDepth)}, false
		}
	}
	return Problem{}, true
}
