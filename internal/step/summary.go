package step

import "fmt"

// Summary is the line that a log shows of a step's answer.
func (r Rollout) Summary() string {
	return fmt.Sprintf("%s: %s beside %s, %d steps", r.Service.Name, r.Canary.Name, serves(r), len(r.Plan.Steps))
}

// Summary is the line that a log shows of a step's answer.
func (r Ready) Summary() string { return r.Action + ": " + r.Reason }

// Summary is the line that a log shows of a step's answer.
func (s Shift) Summary() string { return s.Reason }

// Summary is the line that a log shows of a step's answer.
func (w Watch) Summary() string { return string(w.Action) + ": " + w.Reason }

// Summary is the line that a log shows of a step's answer.
func (e End) Summary() string { return e.Outcome + ": " + e.Reason }
