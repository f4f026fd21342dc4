package asl

import (
	"time"
)

// A Definition is a checked state machine. It does not change, and any number
// of executions may share it.
type Definition struct {
	top     *machine
	timeout int64 // seconds for a whole execution; 0 for none
}

// A machine is one block of States: the top one, a branch or an item processor.
type machine struct {
	startAt string
	states  map[string]*state
}

// kind is the Type of a state.
type kind string

const (
	task     kind = "Task"
	choice   kind = "Choice"
	wait     kind = "Wait"
	pass     kind = "Pass"
	succeed  kind = "Succeed"
	fail     kind = "Fail"
	parallel kind = "Parallel"
	mapping  kind = "Map"
)

// A state of any kind; the fields of other kinds are empty.
type state struct {
	name string
	kind kind
	next string // empty at the end of its machine

	input, output, result place
	parameters            *template
	resultSelector        *template
	retry                 []retrier
	catch                 []catcher

	literal    any // Pass: Result
	hasLiteral bool

	resource           resource
	timeout, heartbeat seconds

	rules        []rule
	defaultState string

	waitFor   seconds
	waitUntil timestamp

	err, cause text

	branches       []*machine // Parallel; for Map the one item processor
	items          *path
	itemSelector   *template
	maxConcurrency seconds // a number or a path to one
}

// A place is where a state takes its input from or puts its result. The zero
// place is "$", the whole.
type place struct {
	none bool // the field is null
	path *path
}

// seconds is a number, or a path to one, or absent.
type seconds struct {
	set    bool
	number int64
	path   *path
}

// timestamp is a moment, or a path to one, or absent.
type timestamp struct {
	set  bool
	at   time.Time
	path *path
}

// text is a string or what gives one, or absent.
type text struct {
	literal *string
	expr    *expression
}

// resource is what a Task calls.
type resource struct {
	arn      string
	service  string // "lambda", or the service of an integration
	action   string // as events show it: "invoke", "invoke.waitForTaskToken"
	direct   bool   // the ARN is a function's own
	callback bool   // the task ends by its token
}

type retrier struct {
	errors      []string
	interval    float64 // seconds
	maxAttempts int64
	backoff     float64
	maxDelay    float64 // seconds; 0 for none
	fullJitter  bool
}

type catcher struct {
	errors []string
	next   string
	result place
}

// Functions are the functions that the definition calls by a fixed name or ARN,
// without duplicates. Calls whose name comes from the input are not among them.
func (d *Definition) Functions() []string {
	seen := map[string]bool{}
	var names []string
	var walk func(m *machine)
	walk = func(m *machine) {
		for _, name := range sortedKeys(m.states) {
			s := m.states[name]
			if f := s.function(); f != "" && !seen[f] {
				seen[f] = true
				names = append(names, f)
			}
			for _, b := range s.branches {
				walk(b)
			}
		}
	}
	walk(d.top)
	return names
}

// function is the fixed name of the function that a Task calls.
func (s *state) function() string {
	switch {
	case s.kind != task:
		return ""
	case s.resource.direct:
		return s.resource.arn
	case s.parameters == nil || s.parameters.object == nil && !s.parameters.constant():
		return ""
	case s.parameters.constant():
		m, _ := s.parameters.literal.(map[string]any)
		name, _ := m["FunctionName"].(string)
		return name
	}
	t := s.parameters.object["FunctionName"]
	if t == nil || !t.constant() {
		return ""
	}
	name, _ := t.literal.(string)
	return name
}

// machineAt is the block of states that a frame with these indexes of states
// and branches runs in; see Frame.
func (d *Definition) machineOf(x *Execution, f *Frame) *machine {
	if f.Parent == 0 {
		return d.top
	}
	parent := x.frame(f.Parent)
	s := d.machineOf(x, parent).states[parent.State]
	if s.kind == mapping {
		return s.branches[0]
	}
	return s.branches[f.Index]
}

func (d *Definition) stateOf(x *Execution, f *Frame) *state {
	return d.machineOf(x, f).states[f.State]
}
