package asl

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A rule is one condition of a Choice state.
type rule struct {
	next string // only at the top

	and, or []rule
	not     *rule

	variable *path
	op       operator
	value    any
	path     *path // the value is looked up
}

// An operator compares a variable. Of names such as NumericLessThanEquals it
// has the type and the relation.
type operator struct {
	name     string
	kind     string // String, Numeric, Timestamp, Boolean, or empty for IsX and StringMatches
	relation string
}

var operators = listOperators()

func listOperators() map[string]operator {
	out := map[string]operator{"BooleanEquals": {"BooleanEquals", "Boolean", "Equals"}, "StringMatches": {name: "StringMatches"}}
	for _, k := range []string{"String", "Numeric", "Timestamp"} {
		for _, r := range []string{"Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals"} {
			out[k+r] = operator{k + r, k, r}
		}
	}
	for _, is := range []string{"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"} {
		out[is] = operator{name: is}
	}
	return out
}

func (o *object) choiceState(s *state) {
	list, ok := o.list("Choices", 1)
	if !ok && !o.has("Choices") {
		o.add("", "the field 'Choices' is required but was missing")
	}
	for i, v := range list {
		if ro, ok := o.c.object(v, fmt.Sprintf("%s/Choices/%d", o.at, i)); ok {
			r := ro.rule(0)
			r.next, _ = ro.required("Next")
			ro.done("a choice rule")
			s.rules = append(s.rules, r)
		}
	}
	s.defaultState, _ = o.string("Default")
}

// rule reads a condition; only the top one may have Next.
func (o *object) rule(depth int) rule {
	var r rule
	var found []string
	for _, name := range sortedKeys(o.fields) {
		plain := strings.TrimSuffix(name, "Path")
		_, known := operators[plain]
		if known && (plain == name || operators[plain].kind != "") || name == "And" || name == "Or" || name == "Not" {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		o.add("", fmt.Sprintf("expected one comparison, And, Or or Not, found %d %v", len(found), found))
		for _, name := range found {
			o.taken[name] = true
		}
		o.taken["Variable"] = true
		return r
	}
	switch name := found[0]; name {
	case "And":
		r.and = o.rules(name, depth)
	case "Or":
		r.or = o.rules(name, depth)
	case "Not":
		v, _ := o.take(name)
		if inner, ok := o.c.object(v, o.path(name)); ok {
			n := inner.rule(depth + 1)
			inner.done("a nested choice rule")
			r.not = &n
		}
	default:
		o.comparison(&r, name)
	}
	return r
}

func (o *object) rules(field string, depth int) []rule {
	list, _ := o.list(field, 1)
	out := []rule{}
	for i, v := range list {
		if inner, ok := o.c.object(v, fmt.Sprintf("%s/%s/%d", o.at, field, i)); ok {
			out = append(out, inner.rule(depth+1))
			inner.done("a nested choice rule")
		}
	}
	return out
}

func (o *object) comparison(r *rule, name string) {
	if o.has("Variable") {
		r.variable = o.reference("Variable")
	} else {
		o.taken["Variable"] = true
		o.add("", "the field 'Variable' is required but was missing")
	}
	plain, byPath := strings.CutSuffix(name, "Path")
	r.op = operators[plain]
	v, _ := o.take(name)
	if byPath {
		r.path, _ = o.path2(name, v, true)
		return
	}
	r.value = v
	want := ""
	switch v := v.(type) {
	case bool:
		if r.op.kind != "Boolean" && !strings.HasPrefix(name, "Is") {
			want = "a value of the operator's type"
		}
	case json.Number:
		if r.op.kind != "Numeric" {
			want = "a value of the operator's type"
		}
	case string:
		if r.op.kind == "Timestamp" {
			if _, ok := parseTime(v); !ok {
				want = "a timestamp"
			}
		} else if r.op.kind != "String" && name != "StringMatches" {
			want = "a value of the operator's type"
		}
	default:
		want = "a value of the operator's type"
	}
	if want != "" {
		o.add(name, fmt.Sprintf("expected %s, found %s", want, encode(v)))
	}
}

// holds says whether the rule is true of the data.
func (r *rule) holds(s *scope) (bool, error) {
	switch {
	case r.and != nil:
		for i := range r.and {
			if ok, err := r.and[i].holds(s); err != nil || !ok {
				return false, err
			}
		}
		return true, nil
	case r.or != nil:
		for i := range r.or {
			if ok, err := r.or[i].holds(s); err != nil || ok {
				return ok, err
			}
		}
		return false, nil
	case r.not != nil:
		ok, err := r.not.holds(s)
		return !ok, err
	}
	v, found := r.variable.in(s)
	if r.op.name == "IsPresent" {
		return found == r.value.(bool), nil
	}
	if !found {
		return false, invalidChoicePath(r.variable)
	}
	want := r.value
	if r.path != nil {
		if want, found = r.path.in(s); !found {
			return false, invalidChoicePath(r.path)
		}
	}
	return r.op.compare(v, want), nil
}

func invalidChoicePath(p *path) error {
	return reason("Invalid path '%s': The choice state's condition path references an invalid value.", p.text)
}

// compare is false for values of another type than the operator's.
func (op operator) compare(v, want any) bool {
	if expected, ok := want.(bool); ok && op.kind == "" {
		return op.is(v) == expected
	}
	var order int
	switch op.kind {
	case "":
		text, ok := v.(string)
		pattern, ok2 := want.(string)
		return ok && ok2 && matches(pattern, text)
	case "Boolean":
		a, ok := v.(bool)
		b, ok2 := want.(bool)
		return ok && ok2 && a == b
	case "String":
		a, ok := v.(string)
		b, ok2 := want.(string)
		if !ok || !ok2 {
			return false
		}
		order = strings.Compare(a, b)
	case "Numeric":
		a, ok := v.(json.Number)
		b, ok2 := want.(json.Number)
		if !ok || !ok2 {
			return false
		}
		order = compareNumbers(a, b)
	case "Timestamp":
		a, ok := v.(string)
		b, ok2 := want.(string)
		at, isTime := parseTime(a)
		bt, isTime2 := parseTime(b)
		if !ok || !ok2 || !isTime || !isTime2 {
			return false
		}
		order = at.Compare(bt)
	}
	switch op.relation {
	case "Equals":
		return order == 0
	case "LessThan":
		return order < 0
	case "GreaterThan":
		return order > 0
	case "LessThanEquals":
		return order <= 0
	}
	return order >= 0
}

// is answers the IsX operators.
func (op operator) is(v any) bool {
	switch op.name {
	case "IsNull":
		return v == nil
	case "IsNumeric":
		return typeName(v) == "number"
	case "IsString":
		return typeName(v) == "string"
	case "IsBoolean":
		return typeName(v) == "boolean"
	}
	s, _ := v.(string)
	_, ok := parseTime(s)
	return ok
}

// matches compares text to a pattern in which * stands for any characters and
// a backslash takes * or a backslash as it is.
func matches(pattern, text string) bool {
	var pieces []string
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '*':
			pieces = append(pieces, b.String())
			b.Reset()
			continue
		case pattern[i] == '\\' && i+1 < len(pattern) && (pattern[i+1] == '*' || pattern[i+1] == '\\'):
			i++
		}
		b.WriteByte(pattern[i])
	}
	pieces = append(pieces, b.String())
	if len(pieces) == 1 {
		return text == pieces[0]
	}
	first, last := pieces[0], pieces[len(pieces)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, p := range pieces[1 : len(pieces)-1] {
		_, after, found := strings.Cut(text, p)
		if !found {
			return false
		}
		text = after
	}
	return true
}
