package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A path is a JSONPath as Step Functions takes it: $ or $$ (the context
// object), members by dot or bracket, array elements, slices and wildcards.
type path struct {
	text    string
	context bool
	parts   []part
}

// A part is one step of a path. Exactly one of its forms is used.
type part struct {
	names    []string // member; more than one is a union
	indexes  []int    // array elements; negative counts from the end
	slice    *[3]*int // from, to, step
	wildcard bool
}

// definite reports whether the path names one place. Others give arrays.
func (p *path) definite() bool {
	for _, s := range p.parts {
		if s.wildcard || s.slice != nil || len(s.names) > 1 || len(s.indexes) > 1 {
			return false
		}
	}
	return true
}

// parsePath reads a path and refuses what this package does not evaluate.
func parsePath(text string) (*path, error) {
	p := &path{text: text}
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return nil, fmt.Errorf("path %q does not begin with $", text)
	}
	if r, ok := strings.CutPrefix(rest, "$"); ok {
		p.context, rest = true, r
	} else if rest != "" && rest[0] != '.' && rest[0] != '[' {
		return nil, fmt.Errorf("path %q refers to a variable, which is not supported", text)
	}
	for rest != "" {
		var s part
		var err error
		switch {
		case strings.HasPrefix(rest, ".."):
			return nil, fmt.Errorf("path %q has a deep scan (..), which is not supported", text)
		case rest[0] == '.':
			s, rest, err = parseDot(rest[1:])
		case rest[0] == '[':
			s, rest, err = parseBracket(rest[1:])
		default:
			err = fmt.Errorf("unexpected %q", rest)
		}
		if err != nil {
			return nil, fmt.Errorf("path %q: %w", text, err)
		}
		p.parts = append(p.parts, s)
	}
	return p, nil
}

func parseDot(s string) (part, string, error) {
	if r, ok := strings.CutPrefix(s, "*"); ok {
		return part{wildcard: true}, r, nil
	}
	end := strings.IndexAny(s, ".[")
	if end < 0 {
		end = len(s)
	}
	name := s[:end]
	switch {
	case name == "":
		return part{}, "", fmt.Errorf("a member's name is missing after a dot")
	case strings.ContainsAny(name, " \t\n()'\"]?@*,:"):
		return part{}, "", fmt.Errorf("name %q needs brackets and quotes, or is a function, which is not supported", name)
	}
	return part{names: []string{name}}, s[end:], nil
}

func parseBracket(s string) (part, string, error) {
	var p part
	if strings.HasPrefix(s, "?") {
		return p, "", fmt.Errorf("a filter [?()] is not supported")
	}
	if r, ok := strings.CutPrefix(s, "*]"); ok {
		return part{wildcard: true}, r, nil
	}
	if s != "" && (s[0] == '\'' || s[0] == '"') {
		return parseNames(s)
	}
	inner, rest, ok := strings.Cut(s, "]")
	if !ok {
		return p, "", fmt.Errorf("a closing ] is missing")
	}
	if strings.Contains(inner, ":") {
		slice, err := parseSlice(inner)
		return part{slice: slice}, rest, err
	}
	for _, n := range strings.Split(inner, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(n))
		if err != nil {
			return p, "", fmt.Errorf("%q is neither an index nor a quoted name", n)
		}
		p.indexes = append(p.indexes, i)
	}
	return p, rest, nil
}

func parseNames(s string) (part, string, error) {
	var p part
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" || s[0] != '\'' && s[0] != '"' {
			return p, "", fmt.Errorf("a quoted name is missing in brackets")
		}
		name, rest, err := quoted(s)
		if err != nil {
			return p, "", err
		}
		p.names = append(p.names, name)
		s = strings.TrimLeft(rest, " ")
		if r, ok := strings.CutPrefix(s, "]"); ok {
			return p, r, nil
		}
		if s, rest, _ = strings.Cut(s, ","); s != "" {
			return p, "", fmt.Errorf("a closing ] is missing")
		}
		s = rest
	}
}

// quoted reads a string in the quotes that s begins with. A backslash takes the
// next character as it is.
func quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == s[0]:
			return b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("a closing quote is missing")
}

func parseSlice(s string) (*[3]*int, error) {
	var out [3]*int
	fields := strings.Split(s, ":")
	if len(fields) > 3 {
		return nil, fmt.Errorf("slice [%s] has more than three numbers", s)
	}
	for i, f := range fields {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		n, err := strconv.Atoi(f)
		if err != nil || i == 2 && n <= 0 {
			return nil, fmt.Errorf("slice [%s] has a bad number %q", s, f)
		}
		out[i] = &n
	}
	return &out, nil
}

// eval finds the path's value in root. A definite path that leads nowhere is
// not found; any other path gives an array, an empty one if need be.
func (p *path) eval(root any) (value any, found bool) {
	at := []any{root}
	for _, s := range p.parts {
		var next []any
		for _, v := range at {
			if next = s.from(v, next); len(next) > MaxData {
				break // more than data may hold
			}
		}
		at = next
	}
	if !p.definite() {
		if at == nil {
			at = []any{}
		}
		return at, true
	}
	if len(at) == 0 {
		return nil, false
	}
	return at[0], true
}

// from appends to out what the part selects in v.
func (s part) from(v any, out []any) []any {
	switch v := open(v).(type) {
	case map[string]any:
		if s.wildcard {
			for _, k := range slices.Sorted(maps.Keys(v)) {
				out = append(out, v[k])
			}
		}
		for _, n := range s.names {
			if x, ok := v[n]; ok {
				out = append(out, x)
			}
		}
	case []any:
		if s.wildcard {
			return append(out, v...)
		}
		for _, i := range s.indexes {
			if i < 0 {
				i += len(v)
			}
			if i >= 0 && i < len(v) {
				out = append(out, v[i])
			}
		}
		if s.slice != nil {
			from, to, step := s.bounds(len(v))
			for i := from; i < to; i += step {
				out = append(out, v[i])
			}
		}
	}
	return out
}

// String writes the one member or element of a part of a definite path.
func (s part) String() string {
	if len(s.indexes) > 0 {
		return fmt.Sprintf("[%d]", s.indexes[0])
	}
	return "['" + strings.Join(s.names, "','") + "']"
}

func (s part) bounds(n int) (from, to, step int) {
	clamp := func(i *int, none int) int {
		if i == nil {
			return none
		}
		if *i < 0 {
			return max(*i+n, 0)
		}
		return min(*i, n)
	}
	step = 1
	if s.slice[2] != nil {
		step = min(*s.slice[2], n+1)
	}
	return clamp(s.slice[0], 0), clamp(s.slice[1], n), step
}

// set puts value at the path in root and returns the new root. It makes the
// objects that are missing on the way, and fails where something else is in it.
func (p *path) set(root, value any) (any, error) {
	return setAt(p, 0, root, value)
}

func setAt(p *path, i int, at, value any) (any, error) {
	if i == len(p.parts) {
		return value, nil
	}
	s := p.parts[i]
	at = open(at)
	if len(s.indexes) == 1 {
		list, ok := at.([]any)
		n := s.indexes[0]
		if !ok || n < 0 || n >= len(list) {
			return nil, fmt.Errorf("no element %d in a value of type %s", n, typeName(at))
		}
		v, err := setAt(p, i+1, list[n], value)
		if err != nil {
			return nil, err
		}
		list = slices.Clone(list)
		list[n] = v
		return list, nil
	}
	object, ok := at.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no member %q in a value of type %s", s.names[0], typeName(at))
	}
	child, ok := object[s.names[0]]
	if !ok || child == nil {
		child = map[string]any{}
	}
	v, err := setAt(p, i+1, child, value)
	if err != nil {
		return nil, err
	}
	object = maps.Clone(object)
	object[s.names[0]] = v
	return object, nil
}

// number is the value of an integer as it stands in JSON.
func number(i int64) json.Number { return json.Number(strconv.FormatInt(i, 10)) }
