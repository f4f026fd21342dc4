// Package statemachine holds the workflow of a rollout in Amazon States Language.
//
// The file is the one source: CDK deploys these bytes, the local engine runs
// them, and linters and the console read them as they are. ${Name} stands for
// the function behind the Task state Name; nothing else is substituted.
package statemachine

import (
	_ "embed" // the definition is embedded below
	"strings"
)

// Definition is rollout.asl.json.
//
//go:embed rollout.asl.json
var Definition string

// Tasks are the Task states, in the order in which a good rollout meets them. Each has a folder
// below lambdas/ named like it, and a token ${Name} in the definition.
var Tasks = []string{
	"Prepare", "DeployCanary", "AwaitReady", "ShiftWeight", "HealthCheck", "Hold", "Promote", "Rollback",
}

// With gives the definition with each ${Name} replaced by function(Name).
func With(function func(task string) string) string {
	pairs := make([]string, 0, 2*len(Tasks))
	for _, t := range Tasks {
		pairs = append(pairs, "${"+t+"}", function(t))
	}
	return strings.NewReplacer(pairs...).Replace(Definition)
}

// Function is the name of the function behind a Task state: HealthCheck is
// health-check.
func Function(task string) string {
	var b strings.Builder
	for i, r := range task {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
