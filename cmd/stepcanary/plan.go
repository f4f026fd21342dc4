package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/meters"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// perTransition is what AWS asks for one state transition of a standard workflow, in USD
// (us-east-1); perSecond what a second of a 256 MB arm64 Lambda costs.
const (
	perTransition = 0.000025
	perSecond     = 0.25 * 0.0000133334
)

// A planned is a plan, printed. A time is there twice: in words, and in seconds for machines.
type planned struct {
	Service string        `json:"service"`
	Steps   []plannedStep `json:"steps"`
	// Pace is what ends a step: clock or evidence.
	Pace spec.Pace `json:"pace"`
	// Queue is how long a start waits for its turn, empty where it is refused.
	Queue        string  `json:"queue,omitempty"`
	QueueSeconds float64 `json:"queue_seconds,omitempty"`
	// Checks are what the canary is held against, at every step.
	Checks []string `json:"checks"`
	// Gates are asked, in the order of a rollout; Told are told.
	Gates           []string `json:"gates,omitempty"`
	Told            []string `json:"told,omitempty"`
	Shortest        string   `json:"shortest"`
	ShortestSeconds float64  `json:"shortest_seconds"`
	Longest         string   `json:"longest"`
	LongestSeconds  float64  `json:"longest_seconds"`
	Events          int      `json:"events"`
	// Transitions and Seconds, for which functions run, are those of a good rollout, and USD what both cost.
	Transitions int      `json:"transitions"`
	Seconds     float64  `json:"function_seconds"`
	USD         float64  `json:"usd"`
	Refused     string   `json:"second_rollout_refused,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

type plannedStep struct {
	Weight      rollout.Weight `json:"weight"`
	Hold        string         `json:"hold"`
	HoldSeconds float64        `json:"hold_seconds"`
	// Takes is the least time of the step, which the metrics source may make longer than its hold.
	Takes        string  `json:"takes"`
	TakesSeconds float64 `json:"takes_seconds"`
	// AtMost is when a step that is paced by evidence is undecided.
	AtMost        string  `json:"at_most,omitempty"`
	AtMostSeconds float64 `json:"at_most_seconds,omitempty"`
	// Approve tells that a person has to say yes.
	Approve bool `json:"approve,omitempty"`
	// Sees is when the stated regression would be seen, with a chance of 80 %: a time with requests to the canary,
	// or never, which has no numbers beside it.
	Sees         string  `json:"sees,omitempty"`
	SeesSeconds  float64 `json:"sees_seconds,omitempty"`
	SeesRequests int64   `json:"sees_requests,omitempty"`
}

// plan shows what a rollout would do, before anything is done.
func plan(c *console, args []string) error {
	f := flag.NewFlagSet("plan", flag.ContinueOnError)
	c.outputFlag(f)
	var q question
	f.Float64Var(&q.rps, "rps", 0, "requests a second to both versions: tells when a regression would be seen")
	f.Float64Var(&q.from, "from", 0.5, "stable's share of errors in percent, for --rps")
	f.Float64Var(&q.to, "to", 1.5, "the regression to see, in percent, for --rps")
	f.DurationVar(&q.every, "every", 0, "length of a metrics interval, for --rps (default that of metrics, or 10s)")
	f.DurationVar(&q.lag, "lag", 0, "how late the metrics source is, for --rps (default that of metrics, or 0)")
	file, err := load(c, f, args)
	if err == nil {
		err = q.check(f)
	}
	var p planned
	if err == nil {
		p, err = answer(file.Spec, f, q, c.env("STEPCANARY_METRICS"))
	}
	switch {
	case err != nil && c.json && !errors.As(err, new(exit)) && !errors.Is(err, flag.ErrHelp):
		if err := c.printJSON(invalid(err)); err != nil {
			return err
		}
		return exit{exitError, ""}
	case err != nil:
		return err
	case c.json:
		return c.printJSON(p)
	}
	c.printPlan(p, q)
	return nil
}

// A question is what the flags ask for: when a rise of errors would be seen. Without rps nothing is asked.
type question struct {
	rps, from, to float64
	every, lag    time.Duration
}

// check refuses what makes no question. A number that is none is in no range.
func (q question) check(f *flag.FlagSet) error {
	if !given(f, "rps") {
		for _, name := range []string{"from", "to", "every", "lag"} {
			if given(f, name) {
				return fmt.Errorf("plan: --%s without --rps: the requests a second are expected beside it", name)
			}
		}
		return nil
	}
	switch {
	case !(q.rps > 0 && q.rps <= math.MaxFloat64):
		return fmt.Errorf("plan: --rps %v: a number of requests a second above 0 is expected", q.rps)
	case !(q.from >= 0 && q.from < q.to && q.to <= 100):
		return fmt.Errorf("plan: --from %v --to %v: 0 <= from < to <= 100 is expected", q.from, q.to)
	case given(f, "every") && q.every <= 0:
		return fmt.Errorf("plan: --every %v: a time above 0 is expected", q.every)
	case q.lag < 0:
		return fmt.Errorf("plan: --lag %v: a time of 0 or more is expected", q.lag)
	}
	return nil
}

// answer reckons, and foresees what is asked for. What is not said of the metrics source is the source's own.
func answer(s spec.Spec, f *flag.FlagSet, q question, defaults string) (planned, error) {
	from, err := meter(s, defaults)
	if err != nil {
		return planned{}, err
	}
	source, _ := from.Pace()
	p, err := reckon(s, source, meters.Unscoped(from))
	if err != nil {
		return planned{}, err
	}
	t := analysis.Traffic{PerSecond: q.rps, Every: q.every, Lag: q.lag}
	if !given(f, "every") {
		t.Every, _ = s.Told(source)
	}
	if !given(f, "lag") {
		t.Lag = source.Lag
	}
	if q.rps > 0 && p.Refused == "" { // what counts no requests sees nothing
		p.foresee(s, source, t, q.from/100, q.to/100)
	}
	return p, nil
}

// meter is the metrics source, as far as deploy.json and the engine's defaults that are known here name one.
func meter(s spec.Spec, defaults string) (meters.Config, error) {
	engine, err := meters.Parse([]byte(defaults))
	if err != nil {
		return meters.Config{}, fmt.Errorf("STEPCANARY_METRICS: %w", err)
	}
	block, err := json.Marshal(s.Metrics)
	if err != nil {
		return meters.Config{}, fmt.Errorf("write metrics: %w", err)
	}
	document, err := meters.Parse(block)
	if err != nil {
		return meters.Config{}, err
	}
	return meters.Merge(engine, document)
}

// reckon counts what the rollout takes with a metrics source of this pace, which may count all versions together.
func reckon(s spec.Spec, source metric.Pace, unscoped bool) (planned, error) {
	steps, err := s.Plan()
	if err != nil {
		return planned{}, err
	}
	tmpl, err := s.Template()
	if err != nil {
		return planned{}, err
	}
	b := s.Budget()
	takes, shortest := s.Takes(source), time.Duration(0)
	for _, d := range takes {
		shortest += d
	}
	p := planned{Service: s.Service, Pace: s.Pace, Events: b.Events}
	p.Shortest, p.ShortestSeconds = told(shortest)
	p.Longest, p.LongestSeconds = told(b.Longest)
	policy := s.Policy()
	if unscoped && s.Strategy != spec.Replace {
		if policy, err = policy.Unscoped(); err != nil {
			p.Refused = err.Error()
		}
		p.Warnings = append(p.Warnings, "the metrics count all versions together, so limits alone judge the service as a whole, and nothing is compared")
	}
	p.Checks, p.Gates, p.Told = checks(s, policy), gates(s), notified(s)
	if s.Queue > 0 {
		p.Queue, p.QueueSeconds = told(time.Duration(s.Queue))
	}
	for i, st := range steps.Steps {
		step := plannedStep{Weight: st.Weight, Approve: st.Approve}
		step.Hold, step.HoldSeconds = told(time.Duration(st.Hold))
		step.Takes, step.TakesSeconds = told(takes[i])
		if s.Pace == spec.ByEvidence && st.Weight < 100 {
			step.AtMost, step.AtMostSeconds = told(max(takes[i], time.Duration(s.LongestStep)))
		}
		p.Steps = append(p.Steps, step)
	}
	use := s.Use(source)
	p.Transitions, p.Seconds = use.Transitions, use.Functions.Seconds()
	p.USD = float64(p.Transitions)*perTransition + p.Seconds*perSecond
	if w := hasty(s, source); w != "" {
		p.Warnings = append(p.Warnings, w)
	}
	if err := s.Judgeable(tmpl); err != nil {
		p.Refused = strings.TrimPrefix(err.Error(), string(fault.Refused)+": ")
	}
	return p, nil
}
