package main

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// perTransition is what AWS asks for one state transition of a standard workflow, in USD
// (us-east-1); perSecond what a second of a 256 MB arm64 Lambda costs.
const (
	perTransition = 0.000025
	perSecond     = 0.25 * 0.0000133334
)

// A planned is a plan, printed.
type planned struct {
	Service     string        `json:"service"`
	Steps       []plannedStep `json:"steps"`
	Shortest    string        `json:"shortest"`
	Longest     string        `json:"longest"`
	Events      int           `json:"events"`
	Transitions int           `json:"transitions"`
	USD         float64       `json:"usd"`
	Refused     string        `json:"second_rollout_refused,omitempty"`
	Warnings    []string      `json:"warnings,omitempty"`
}

type plannedStep struct {
	Weight rollout.Weight `json:"weight"`
	Hold   string         `json:"hold"`
	Checks []string       `json:"checks"`
	// Sees is when the stated regression would be seen, with a chance of 80 %.
	Sees string `json:"sees,omitempty"`
}

// plan shows what a rollout would do, before anything is done.
func plan(_ context.Context, c *console, args []string) error {
	f := flag.NewFlagSet("plan", flag.ContinueOnError)
	c.outputFlag(f)
	rps := f.Float64("rps", 0, "requests a second to both versions: tells when a regression would be seen")
	from := f.Float64("from", 0.5, "stable's share of errors in percent, for --rps")
	to := f.Float64("to", 1.5, "the regression to see, in percent, for --rps")
	every := f.Duration("every", 10*time.Second, "length of a metrics interval, for --rps")
	lag := f.Duration("lag", 0, "how late the metrics source is, for --rps")
	file, err := load(c, f, args)
	if err != nil {
		return err
	}
	if *rps < 0 || *from < 0 || *to > 100 || *to <= *from {
		return fmt.Errorf("plan: --rps %v --from %v --to %v: a rate above 0 and 0 <= from < to <= 100 are expected", *rps, *from, *to)
	}
	p, err := reckon(file.Spec)
	if err != nil {
		return err
	}
	if *rps > 0 {
		policy := file.Spec.Policy()
		for i := range p.Steps {
			t := analysis.Traffic{PerSecond: *rps, Weight: int(p.Steps[i].Weight), Every: *every, Lag: *lag}
			p.Steps[i].Sees = sees(policy, t, *from/100, *to/100)
			if w := tooShort(policy, t, file.Spec, i, *from/100, *to/100); w != "" {
				p.Warnings = append(p.Warnings, w)
			}
		}
	}
	if c.json {
		return c.printJSON(p)
	}
	c.printPlan(p, *rps, *from, *to)
	return nil
}

// reckon counts what the rollout takes.
func reckon(s spec.Spec) (planned, error) {
	steps, err := s.Plan()
	if err != nil {
		return planned{}, err
	}
	tmpl, err := s.Template()
	if err != nil {
		return planned{}, err
	}
	b := s.Budget()
	p := planned{Service: s.Service, Shortest: b.Shortest.String(), Longest: b.Longest.String(), Events: b.Events}
	checks := checks(s)
	transitions := 6 // Prepare, DeployCanary, AwaitReady, its choice, Promote, the end
	for _, st := range steps.Steps {
		hold := time.Duration(st.Hold)
		looks := int(hold/time.Minute) + 1
		transitions += 2 + 2*looks
		what := checks
		if st.Approve {
			what = append([]string{"a person's word"}, what...)
		}
		p.Steps = append(p.Steps, plannedStep{Weight: st.Weight, Hold: hold.String(), Checks: what})
	}
	p.Transitions = transitions
	p.USD = float64(transitions)*perTransition + (b.Shortest.Seconds()+30)*perSecond
	if err := s.Judgeable(tmpl); err != nil {
		p.Refused = err.Error()
	}
	return p, nil
}

// checks says in words what the canary is held against.
func checks(s spec.Spec) []string {
	out := []string{"pods ready"}
	if s.Strategy == spec.Replace {
		return out
	}
	policy := s.Policy()
	for _, l := range policy.Limits {
		out = append(out, fmt.Sprintf("%s %s", l.Name, bound(l)))
	}
	if policy.Comparison.Enabled {
		out = append(out, fmt.Sprintf("not worse than %.3g x stable", policy.Comparison.Tolerated))
	}
	return out
}

func bound(l analysis.Limit) string {
	sign := "<="
	if l.Kind == analysis.SuccessRate || l.AtLeast {
		sign = ">="
	}
	switch l.Kind {
	case analysis.ErrorRate, analysis.SuccessRate, analysis.SlowRatio:
		return fmt.Sprintf("%s %.4g %%", sign, 100*l.Bound)
	case analysis.LatencyPercentile:
		return fmt.Sprintf("p%g %s %v", l.Percentile, sign, time.Duration(l.Bound*float64(time.Second)))
	}
	return fmt.Sprintf("%s %g", sign, l.Bound)
}

func sees(p analysis.Policy, t analysis.Traffic, from, to float64) string {
	if t.Weight >= 100 {
		return "no stable to compare with"
	}
	s, ok := p.TimeToSee(t, from, to)
	if !ok {
		return "never"
	}
	return fmt.Sprintf("%s (%d requests)", s.After.Round(time.Second), s.Requests)
}

// tooShort warns of a step that ends before it could see the regression.
func tooShort(p analysis.Policy, t analysis.Traffic, s spec.Spec, i int, from, to float64) string {
	steps, err := s.Plan()
	if err != nil || t.Weight >= 100 {
		return ""
	}
	hold := time.Duration(steps.Steps[i].Hold)
	if seen, ok := p.TimeToSee(t, from, to); ok && seen.After <= hold {
		return ""
	}
	return fmt.Sprintf("the step at %d %% holds for %v, too short to see this regression on its own", t.Weight, hold)
}

func (c *console) printPlan(p planned, rps, from, to float64) {
	c.printf("%s: %d steps, at least %s, at most %s\n\n", p.Service, len(p.Steps), p.Shortest, p.Longest)
	for _, s := range p.Steps {
		c.printf("  %3d %%  hold %-8s %s\n", s.Weight, s.Hold, strings.Join(s.Checks, ", "))
		if s.Sees != "" {
			c.printf("         at %g requests a second, %g -> %g %% errors are seen in: %s\n", rps, from, to, s.Sees)
		}
	}
	c.printf("\n  history: at most %d of 25,000 events; a good rollout takes about %d state transitions, %.4f USD\n",
		p.Events, p.Transitions, p.USD)
	if p.Refused != "" {
		c.printf("\n  a second rollout would be refused: %s\n", p.Refused)
	}
	for _, w := range p.Warnings {
		c.printf("  warning: %s\n", w)
	}
}
