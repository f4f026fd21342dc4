// Package report makes the report of a rollout: one page for people, and the same facts as
// JSON, from which every verdict can be reached again offline.
package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/story"
)

// Format is the version of the JSON form. A reader refuses what it does not know.
const Format = 1

// A Report is a rollout's story with what people want to know of it at a glance.
type Report struct {
	Format int `json:"format"`
	// Users is what the canary's users met.
	Users Users        `json:"users"`
	Story *story.Story `json:"story"`
}

// Users counts what was measured on both versions while both served.
type Users struct {
	Canary analysis.Total `json:"canary"`
	Stable analysis.Total `json:"stable"`
	// Excess is the canary's failed requests beyond what stable would have failed.
	Excess float64 `json:"excess"`
}

// Of makes the report of a story.
func Of(s *story.Story) Report {
	r := Report{Format: Format, Story: s}
	for _, iv := range r.Intervals() {
		add(&r.Users.Canary, iv.Canary)
		add(&r.Users.Stable, iv.Stable)
	}
	u := &r.Users
	u.Excess = max(0, float64(u.Canary.Errors)-float64(u.Canary.Requests)*u.Stable.Rate())
	return r
}

func add(t *analysis.Total, c analysis.Counts) {
	if c.Known {
		t.Requests += c.Requests
		t.Errors += c.Errors
	}
}

// Whole tells whether the counts of users are those of the measurements.
func (r Report) Whole() bool { return r.Users == Of(r.Story).Users }

// Intervals are all measurements, in order.
func (r Report) Intervals() []analysis.Interval {
	var out []analysis.Interval
	for _, m := range r.Story.Moments {
		out = append(out, m.Intervals...)
	}
	return out
}

// JSON writes the facts.
func (r Report) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write report: %w", err)
	}
	return append(b, '\n'), nil
}

// Parse reads what JSON wrote.
func Parse(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read report: %w", err)
	}
	if r.Format != Format {
		return r, fmt.Errorf("read report: format is %d; %d is expected", r.Format, Format)
	}
	if r.Story == nil || r.Story.Rollout == nil {
		return r, errors.New("read report: there is no rollout in it; one that was refused has nothing to judge")
	}
	return r, nil
}

// A Rejudged is the judge's second opinion on the same measurements.
type Rejudged struct {
	Looks []Look `json:"looks"`
}

// A Look is one verdict, then and now.
type Look struct {
	At     time.Time          `json:"at"`
	Weight rollout.Weight     `json:"weight"`
	Then   analysis.Judgement `json:"then"`
	Now    analysis.Judgement `json:"now"`
}

// Same tells whether both say the same, to the last digit.
func (l Look) Same() bool {
	then, err1 := json.Marshal(l.Then)
	now, err2 := json.Marshal(l.Now)
	return err1 == nil && err2 == nil && bytes.Equal(then, now)
}

// Different counts the verdicts that changed.
func (r Rejudged) Different() int {
	n := 0
	for _, l := range r.Looks {
		if !l.Same() {
			n++
		}
	}
	return n
}

// Judge feeds the measurements to the judge once more, step by step. A look without
// measurements, because the source was silent or Kubernetes decided, has nothing to judge.
func (r Report) Judge() Rejudged {
	var out Rejudged
	var state analysis.State
	of := -1
	ro := r.Story.Rollout
	for _, m := range r.Story.Moments {
		if m.Kind != story.Looked || m.Judgement == nil || m.Of < 0 || m.Of >= len(ro.Plan.Steps) {
			continue
		}
		if m.Of != of {
			state = enter(state, of < 0, ro.Plan.Steps[m.Of].Weight)
			of = m.Of
		}
		if len(m.Intervals) == 0 {
			continue
		}
		var now analysis.Judgement
		state, now = ro.Policy.Look(state, m.Intervals)
		if m.Trouble != "" { // HealthCheck overrules the judge where the source fell silent
			now.Verdict = analysis.Inconclusive
		}
		out.Looks = append(out.Looks, Look{At: m.At, Weight: m.Weight, Then: *m.Judgement, Now: now})
	}
	return out
}

// enter is the judge's state at the beginning of a step, as HealthCheck makes it.
func enter(s analysis.State, first bool, w rollout.Weight) analysis.State {
	switch {
	case w == 100:
		return s.Bake()
	case first:
		return s
	}
	return s.NextStep()
}
