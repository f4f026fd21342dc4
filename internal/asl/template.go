package asl

import (
	"errors"
	"fmt"
	"strings"
)

// scope is what paths are looked up in: a state's data and the context object.
type scope struct {
	data    any
	context func() any
	random  func() float64 // in [0, 1)
	uuid    func() string
}

// An expression is a path or a call of an intrinsic function.
type expression struct {
	text string
	path *path
	call *call
}

func parseExpression(text string) (*expression, error) {
	e := &expression{text: text}
	var err error
	switch {
	case strings.HasPrefix(text, "$"):
		e.path, err = parsePath(text)
	case strings.HasPrefix(text, "States."):
		e.call, err = parseCall(text)
	default:
		err = fmt.Errorf("%q is neither a path, which begins with $, nor an intrinsic function, which begins with the word States and a dot", text)
	}
	return e, err
}

// eval gives the expression's value. field names it in the error.
func (e *expression) eval(s *scope, field string) (any, error) {
	v, err := e.value(s, field)
	if err != nil && e.call != nil {
		return nil, reason("The function '%s' had the following error: %w", e.text, err)
	}
	return v, err
}

// value is eval for an expression that stands inside of another.
func (e *expression) value(s *scope, field string) (any, error) {
	if e.call != nil {
		return e.call.eval(s)
	}
	v, found := e.path.in(s)
	if !found {
		return nil, notFound(e.path, s, field)
	}
	return v, nil
}

// in looks the path up in the data, or in the context object for $$.
func (p *path) in(s *scope) (any, bool) {
	if p.context {
		return p.eval(s.context())
	}
	return p.eval(s.data)
}

func notFound(p *path, s *scope, field string) error {
	input := s.data
	if p.context {
		input = s.context()
	}
	return reason("The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'", p.text, field, encode(input))
}

// invalidPath says where a path ends that leads nowhere, in the words that AWS
// has for InputPath, OutputPath and the paths of timeouts.
func invalidPath(p *path, s *scope) error {
	at := s.data
	if p.context {
		at = s.context()
	}
	place := "$"
	for i, part := range p.parts {
		next := part.from(at, nil)
		place += part.String()
		if len(next) > 0 {
			at = next[0]
			continue
		}
		if i < len(p.parts)-1 {
			return reason("Invalid path '%s' : Missing property in path %s", p.text, place)
		}
	}
	return reason("Invalid path '%s' : No results for path: %s", p.text, place)
}

// A template is a value some of whose members are computed: Parameters,
// ResultSelector, ItemSelector.
type template struct {
	literal any // when nothing inside is computed
	object  map[string]*template
	list    []*template
	compute *expression
	field   string // name of a computed member, as written
}

// constant reports whether nothing inside is computed.
func (t *template) constant() bool { return t.object == nil && t.list == nil && t.compute == nil }

// errTooLarge is that what a template makes is no data any more.
var errTooLarge = errors.New("larger than data may be")

// eval gives the template's value. It stops as soon as that is too large: each of its members may be as large as data may be.
func (t *template) eval(s *scope) (any, error) {
	left := MaxData
	return t.within(s, &left)
}

func (t *template) within(s *scope, left *int) (any, error) {
	switch {
	case t.compute != nil:
		v, err := t.compute.eval(s, t.field)
		if err == nil && !spend(v, left) {
			err = errTooLarge
		}
		return v, err
	case t.object != nil:
		m := make(map[string]any, len(t.object))
		for k, x := range t.object {
			v, err := x.within(s, left)
			if err != nil {
				return nil, err
			}
			m[k] = v
		}
		return m, nil
	case t.list != nil:
		l := make([]any, len(t.list))
		for i, x := range t.list {
			v, err := x.within(s, left)
			if err != nil {
				return nil, err
			}
			l[i] = v
		}
		return l, nil
	}
	return t.literal, nil
}
