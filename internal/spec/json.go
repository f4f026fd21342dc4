package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A jsonReader builds the same nodes from JSON that the YAML parser builds, so
// that everything above works on one tree with positions.
type jsonReader struct {
	file string
	data []byte
	dec  *json.Decoder
	// line and column of the byte at offset, kept from one token to the next.
	offset, line, column int
}

func readJSON(file string, data []byte) ([]*yaml.Node, error) {
	r := &jsonReader{file: file, data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	r.dec.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.seek(int(r.dec.InputOffset()))
	if r.skip(); r.offset < len(data) {
		return nil, r.problem("more after the end of the document", "nothing")
	}
	return []*yaml.Node{root}, nil
}

// seek moves the position to an offset that is not before it.
func (r *jsonReader) seek(offset int) {
	for r.offset < offset {
		c, size := utf8.DecodeRune(r.data[r.offset:])
		r.offset += size
		if r.column++; c == '\n' {
			r.line, r.column = r.line+1, 1
		}
	}
}

// skip moves over what stands between two tokens.
func (r *jsonReader) skip() {
	for r.offset < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[r.offset]) >= 0 {
		r.seek(r.offset + 1)
	}
}

func (r *jsonReader) problem(found, want string) error {
	return Errors{{File: r.file, Line: r.line, Column: r.column, Found: found, Want: want}}
}

// token gives the next token and leaves the position where it begins.
func (r *jsonReader) token() (json.Token, error) {
	r.seek(int(r.dec.InputOffset()))
	r.skip()
	t, err := r.dec.Token()
	if err == nil {
		return t, nil
	}
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		r.seek(len(r.data))
		return nil, r.problem("the end of the input", "the rest of the JSON document")
	case errors.As(err, &syntax):
		r.seek(min(max(int(syntax.Offset)-1, r.offset), len(r.data)))
	}
	return nil, r.problem("JSON: "+err.Error(), "")
}

// value reads one value at the given depth of nesting.
func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	return r.node(t, depth)
}

func (r *jsonReader) node(t json.Token, depth int) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line, Column: r.column}
	switch v := t.(type) {
	case string:
		n.Tag, n.Value, n.Style = "!!str", v, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!float", v.String()
		if _, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(v)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case json.Delim:
		if depth >= maxDepth {
			return nil, r.problem("nesting too deep", fmt.Sprintf("at most %d levels", maxDepth))
		}
		return n, r.nested(n, v, depth+1)
	}
	return n, nil
}

// nested reads the content of an object or a list into n.
func (r *jsonReader) nested(n *yaml.Node, open json.Delim, depth int) error {
	n.Kind, n.Tag, n.Style = yaml.MappingNode, "!!map", yaml.FlowStyle
	if open == '[' {
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	}
	for {
		t, err := r.token()
		if err != nil {
			return err
		}
		if d, ok := t.(json.Delim); ok && (d == '}' || d == ']') {
			return nil
		}
		child, err := r.node(t, depth)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
}
