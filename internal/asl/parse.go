package asl

import (
	"fmt"
	"time"
)

// maxSeconds is the largest TimeoutSeconds, HeartbeatSeconds and Seconds.
const maxSeconds = 99999999

func (c *checker) definition(v any) *Definition {
	o, ok := c.object(v, "")
	if !ok {
		return nil
	}
	d := &Definition{}
	if version, ok := o.string("Version"); ok && version != "1.0" {
		o.add("Version", fmt.Sprintf("expected 1.0, found %s", version))
	}
	o.queryLanguage()
	d.timeout, _ = o.integer("TimeoutSeconds", 1, maxSeconds)
	d.top = c.machine(o)
	o.done("a state machine")
	return d
}

func (o *object) queryLanguage() {
	switch name, ok := o.string("QueryLanguage"); {
	case !ok, name == "JSONPath":
	case name == "JSONata":
		o.c.add(codeUnsupported, o.path("QueryLanguage"), "the query language JSONata is not supported")
	default:
		o.add("QueryLanguage", fmt.Sprintf("expected JSONPath, found %s", name))
	}
}

// machine reads StartAt and States of an object, and follows all transitions.
func (c *checker) machine(o *object) *machine {
	m := &machine{states: map[string]*state{}}
	m.startAt, _ = o.required("StartAt")
	v, ok := o.take("States")
	if !ok {
		o.add("", "the field 'States' is required but was missing")
		return m
	}
	states, ok := c.object(v, o.path("States"))
	if !ok {
		return m
	}
	if len(states.fields) == 0 {
		o.add("States", "expected one state or more, found none")
	}
	for _, name := range sortedKeys(states.fields) {
		at := states.path(name)
		if other, twice := c.names[name]; twice {
			c.add(codeDuplicate, at, fmt.Sprintf("the state name is used at %s as well", other))
		}
		c.names[name] = at
		if n := len([]rune(name)); n == 0 || n > 80 {
			c.add(codeSchema, at, fmt.Sprintf("a state's name has 1 to 80 characters, found %d", n))
		}
		if so, ok := c.object(states.fields[name], at); ok {
			m.states[name] = c.state(name, so)
		}
	}
	c.transitions(o, m)
	return m
}

// transitions checks that every target exists, that every state is reached and
// that there is a way to end.
func (c *checker) transitions(o *object, m *machine) {
	c.target(m, m.startAt, o.path("StartAt"))
	reached := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		s := m.states[name]
		if s == nil || reached[name] {
			return
		}
		reached[name] = true
		for _, t := range s.targets() {
			visit(t.state)
		}
	}
	visit(m.startAt)
	ends := false
	for _, name := range sortedKeys(m.states) {
		s := m.states[name]
		at := o.path("States/" + name)
		for _, t := range s.targets() {
			c.target(m, t.state, at+t.field)
		}
		if !reached[name] {
			c.add(codeTarget, at, fmt.Sprintf("State \"%s\" is not reachable.", name))
		}
		ends = ends || s.next == "" && s.kind != choice
	}
	if !ends && len(m.states) > 0 {
		o.add("States", "no state ends: one must have End true or be Succeed or Fail")
	}
}

func (c *checker) target(m *machine, name, at string) {
	if name != "" && m.states[name] == nil {
		c.add(codeTarget, at, fmt.Sprintf("Missing 'Next' target: %s", name))
	}
}

// A target is a state that another one may go to, and the field that says so.
type target struct{ state, field string }

func (s *state) targets() []target {
	var out []target
	if s.next != "" {
		out = append(out, target{s.next, "/Next"})
	}
	if s.defaultState != "" {
		out = append(out, target{s.defaultState, "/Default"})
	}
	for i, r := range s.rules {
		out = append(out, target{r.next, fmt.Sprintf("/Choices/%d/Next", i)})
	}
	for i, k := range s.catch {
		out = append(out, target{k.next, fmt.Sprintf("/Catch/%d/Next", i)})
	}
	return out
}

func (c *checker) state(name string, o *object) *state {
	s := &state{name: name}
	t, _ := o.required("Type")
	s.kind = kind(t)
	o.queryLanguage()
	switch s.kind {
	case task:
		o.taskState(s)
	case choice:
		o.choiceState(s)
	case wait:
		o.waitState(s)
	case pass:
		s.parameters = o.template("Parameters")
		s.literal, s.hasLiteral = o.take("Result")
		s.result = o.place("ResultPath", true)
	case succeed:
	case fail:
		o.failState(s)
	case parallel:
		o.parallelState(s)
	case mapping:
		o.mapState(s)
	case "":
		return s
	default:
		o.add("Type", fmt.Sprintf("expected Task, Choice, Wait, Pass, Succeed, Fail, Parallel or Map, found %s", t))
		return s
	}
	if s.kind != fail {
		s.input, s.output = o.place("InputPath", false), o.place("OutputPath", false)
	}
	if s.kind != fail && s.kind != succeed && s.kind != choice {
		o.flow(s)
	}
	o.done("a state of type " + t)
	return s
}

// flow reads Next and End, of which there is exactly one.
func (o *object) flow(s *state) {
	s.next, _ = o.string("Next")
	end, hasEnd := o.take("End")
	isEnd, ok := end.(bool)
	switch {
	case hasEnd && !ok:
		o.add("End", fmt.Sprintf("expected true, found %s", encode(end)))
	case isEnd && o.has("Next"):
		o.add("", "Next and End exclude each other")
	case !isEnd && !o.has("Next"):
		o.add("", "one of the fields Next and End is required")
	case o.has("Next") && s.next == "":
		o.add("Next", "expected a state's name, found nothing")
	}
}

// place reads InputPath, OutputPath or ResultPath.
func (o *object) place(field string, reference bool) place {
	v, ok := o.take(field)
	switch {
	case !ok:
		return place{}
	case v == nil:
		return place{none: true}
	}
	p, ok := o.path2(field, v, reference)
	if !ok || len(p.parts) == 0 && !p.context {
		return place{}
	}
	if reference && p.context {
		o.add(field, "a result cannot be put into the context object")
	}
	return place{path: p}
}

func (o *object) path2(field string, v any, reference bool) (*path, bool) {
	s, ok := v.(string)
	if !ok {
		o.add(field, fmt.Sprintf("expected a path, found %s", typeName(v)))
		return nil, false
	}
	p, err := parsePath(s)
	if err != nil {
		o.add(field, err.Error())
		return nil, false
	}
	if reference && !p.definite() {
		o.add(field, fmt.Sprintf("expected a reference path, which names one place, found %s", s))
		return nil, false
	}
	return p, true
}

// reference takes an optional reference path.
func (o *object) reference(field string) *path {
	v, ok := o.take(field)
	if !ok {
		return nil
	}
	p, _ := o.path2(field, v, true)
	return p
}

// seconds takes a number or its Path twin.
func (o *object) seconds(field string, least int64) seconds {
	s := seconds{set: o.has(field) || o.has(field+"Path")}
	if o.has(field) && o.has(field+"Path") {
		o.add("", fmt.Sprintf("%s and %sPath exclude each other", field, field))
	}
	s.number, _ = o.integer(field, least, maxSeconds)
	s.path = o.reference(field + "Path")
	return s
}

func (o *object) waitState(s *state) {
	n := 0
	for _, f := range []string{"Seconds", "SecondsPath", "Timestamp", "TimestampPath"} {
		if o.has(f) {
			n++
		}
	}
	if n != 1 {
		o.add("", fmt.Sprintf("exactly one of Seconds, SecondsPath, Timestamp and TimestampPath is required, found %d", n))
	}
	s.waitFor = o.seconds("Seconds", 0)
	if text, ok := o.string("Timestamp"); ok {
		s.waitUntil.set = true
		at, ok := parseTime(text)
		if !ok {
			o.add("Timestamp", "String does not match RFC3339 timestamp")
		}
		s.waitUntil.at = at
	}
	if s.waitUntil.path = o.reference("TimestampPath"); s.waitUntil.path != nil {
		s.waitUntil.set = true
	}
}

// parseTime reads RFC 3339 with a capital T and an offset.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

func (o *object) failState(s *state) {
	s.err, s.cause = o.text("Error"), o.text("Cause")
}

// text takes a string or its Path twin, which may be an intrinsic function.
func (o *object) text(field string) text {
	var t text
	if o.has(field) && o.has(field+"Path") {
		o.add("", fmt.Sprintf("%s and %sPath exclude each other", field, field))
	}
	if s, ok := o.string(field); ok {
		t.literal = &s
	}
	if s, ok := o.string(field + "Path"); ok {
		e, err := parseExpression(s)
		if err != nil {
			o.add(field+"Path", err.Error())
		}
		t.expr = e
	}
	return t
}
