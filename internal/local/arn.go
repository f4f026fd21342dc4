package local

import (
	"fmt"
	"regexp"
	"strings"
)

// names of state machines and executions may hold neither white space nor
// these characters.
var badName = regexp.MustCompile("[\\x00-\\x20\\x7f-\\x9f<>{}\\[\\]?*\"#%\\\\^|~`$&,;:/]")

func checkName(what, name string) error {
	if n := len(name); n == 0 || n > 80 || badName.MatchString(name) {
		return fault(InvalidName, "Invalid Name: '%s': %s has 1 to 80 characters, and none of white space, brackets, wildcards, quotes and control characters", name, what)
	}
	return nil
}

func (e *Engine) machineARN(name string) string {
	return fmt.Sprintf("arn:aws:states:%s:%s:stateMachine:%s", e.o.Region, e.o.Account, name)
}

func (e *Engine) executionARN(machine, name string) string {
	return fmt.Sprintf("arn:aws:states:%s:%s:execution:%s:%s", e.o.Region, e.o.Account, machine, name)
}

// parseARN checks the form of an ARN of Step Functions and gives what follows
// its kind.
func parseARN(arn, kind string) (string, error) {
	f := strings.SplitN(arn, ":", 7)
	if len(f) < 7 || f[0] != "arn" || f[2] != "states" || f[5] != kind || f[6] == "" {
		return "", fault(InvalidArn, "Invalid Arn: '%s': expected one of a %s", arn, kind)
	}
	return f[6], nil
}

// functionName is the bare name in a function's name or ARN, with or without a
// qualifier.
func functionName(s string) string {
	if _, after, ok := strings.Cut(s, ":function:"); ok {
		s = after
	}
	name, _, _ := strings.Cut(s, ":")
	return name
}

// function is the name of the function that a definition calls by that name or ARN.
func (e *Engine) function(s string) string {
	name := functionName(s)
	if to, ok := e.o.Aliases[name]; ok {
		return to
	}
	return name
}
