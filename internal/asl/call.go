package asl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxCallDepth is how deep calls of intrinsic functions may be nested.
const maxCallDepth = 10

// A call is one use of an intrinsic function.
type call struct {
	name     string
	args     []argument
	function function
}

// An argument is a literal, a path or another call.
type argument struct {
	literal any
	expr    *expression
}

// parseCall reads the whole of text as one call.
func parseCall(text string) (*call, error) {
	p := &callParser{rest: text}
	c, err := p.call(1)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("%q is left over after the last parenthesis", p.rest)
	}
	if err != nil {
		return nil, fmt.Errorf("intrinsic function %q: %w", text, err)
	}
	return c, nil
}

type callParser struct{ rest string }

func (p *callParser) skipSpace() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *callParser) call(depth int) (*call, error) {
	if depth > maxCallDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxCallDepth)
	}
	name, rest, ok := strings.Cut(p.rest, "(")
	name = strings.TrimSpace(name)
	if !ok {
		return nil, fmt.Errorf("no parenthesis after %q", name)
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %q", name)
	}
	c := &call{name: name, function: f}
	p.rest = rest
	p.skipSpace()
	if r, ok := strings.CutPrefix(p.rest, ")"); ok {
		p.rest = r
		return c, c.checkCount()
	}
	for {
		a, err := p.argument(c, depth)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, a)
		p.skipSpace()
		if r, ok := strings.CutPrefix(p.rest, ","); ok {
			p.rest = r
			continue
		}
		r, ok := strings.CutPrefix(p.rest, ")")
		if !ok {
			return nil, fmt.Errorf("expected , or ) before %q", p.rest)
		}
		p.rest = r
		return c, c.checkCount()
	}
}

func (c *call) checkCount() error {
	f, n := c.function, len(c.args)
	if n < f.least || f.most >= 0 && n > f.most {
		return fmt.Errorf("%s takes %s, found %d", c.name, f.arity(), n)
	}
	return nil
}

func (p *callParser) argument(c *call, depth int) (argument, error) {
	p.skipSpace()
	switch {
	case strings.HasPrefix(p.rest, "'"):
		text, err := p.literal(c.name == "States.Format" && len(c.args) == 0)
		return argument{literal: text}, err
	case strings.HasPrefix(p.rest, "States."):
		inner, err := p.call(depth + 1)
		return argument{expr: &expression{text: c.name, call: inner}}, err
	case strings.HasPrefix(p.rest, "$"):
		text := p.pathText()
		inner, err := parsePath(text)
		return argument{expr: &expression{text: text, path: inner}}, err
	}
	end := strings.IndexAny(p.rest, ",) \t\r\n")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	v, err := decode(word)
	if err != nil {
		return argument{}, fmt.Errorf("argument %q is neither a path, a number, true, false, null, a 'string' nor a function", word)
	}
	switch v.(type) {
	case json.Number, bool, nil:
		return argument{literal: v}, nil
	}
	return argument{}, fmt.Errorf("argument %q: strings go in single quotes", word)
}

// literal reads a string in single quotes. A backslash escapes ' { } and \;
// raw leaves the escapes of braces and backslashes for Format to read.
func (p *callParser) literal(raw bool) (string, error) {
	var b strings.Builder
	s := p.rest
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`'{}\`, s[i+1]) >= 0:
			i++
			if raw && s[i] != '\'' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case s[i] == '\'':
			p.rest = s[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", fmt.Errorf("a closing ' is missing")
}

// pathText takes the text of a path, up to a comma or parenthesis outside of
// brackets.
func (p *callParser) pathText() string {
	inBrackets, quote := false, byte(0)
	i := 0
	for ; i < len(p.rest); i++ {
		ch := p.rest[i]
		switch {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case inBrackets && (ch == '\'' || ch == '"'):
			quote = ch
		case ch == '[':
			inBrackets = true
		case ch == ']':
			inBrackets = false
		case !inBrackets && strings.IndexByte(",) \t\r\n", ch) >= 0:
			text := p.rest[:i]
			p.rest = p.rest[i:]
			return text
		}
	}
	text := p.rest
	p.rest = ""
	return text
}

// maxArguments is how much a function may take: more than any of them needs to give what fits, and little enough for the
// ten that may be nested.
const maxArguments = 4 * MaxData

// eval calls the function. What it gives is bounded like any other data.
func (c *call) eval(s *scope) (any, error) {
	args, left := make([]any, len(c.args)), maxArguments
	for i, a := range c.args {
		if a.expr == nil {
			args[i] = a.literal
			continue
		}
		v, err := a.expr.value(s, c.name)
		if err != nil {
			return nil, err
		}
		if !spend(v, &left) {
			return nil, fmt.Errorf("the arguments of %s are larger than %d bytes", c.name, maxArguments)
		}
		args[i] = open(v)
	}
	v, err := c.function.run(s, args)
	if err != nil {
		return nil, err
	}
	if !fits(v, MaxData) {
		return nil, fmt.Errorf("the result of %s is larger than %d bytes", c.name, MaxData)
	}
	return v, nil
}

// fits reports whether v takes no more than limit bytes as JSON, roughly: it
// counts a little less than encoding would write, and stops at the limit.
func fits(v any, limit int) bool {
	n := limit
	return spend(v, &n)
}

func spend(v any, left *int) bool {
	switch v := v.(type) {
	case string:
		*left -= len(v) + 2
	case json.Number:
		*left -= len(v)
	case []any:
		*left -= 2
		for _, x := range v {
			*left--
			if *left < 0 || !spend(x, left) {
				return false
			}
		}
	case map[string]any:
		*left -= 2
		for k, x := range v {
			*left -= len(k) + 4
			if *left < 0 || !spend(x, left) {
				return false
			}
		}
	case *written:
		if !v.compact {
			return spend(v.open(), left)
		}
		*left -= len(v.text)
	default:
		*left -= 4
	}
	return *left >= 0
}
