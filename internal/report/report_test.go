package report_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/report"
	"github.com/stepcanary/stepcanary/internal/story"
)

// TestMain keeps the steps' log out of the output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// played is the story of a rollout of version 2 in which users meet these shares of errors.
func played(t *testing.T, rates map[string]float64, input enginetest.Fields) *story.Story {
	t.Helper()
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, rates)
	arn := s.Run(t, input)
	return story.Read(arn, s.History(t, arn))
}

var (
	good = map[string]float64{"checkout-1": 0, "checkout-2": 0}
	bad  = map[string]float64{"checkout-1": 0.01, "checkout-2": 0.1}
	// judged holds the canary against stable and against a limit, not against zero errors.
	judged = enginetest.Fields{"analysis": enginetest.Fields{"limits": []enginetest.Fields{{"metric": "error-rate", "max": "50%"}}}}
)

func written(t *testing.T, r report.Report) []byte {
	t.Helper()
	data, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestJSONComesBackTheSame(t *testing.T) {
	first := written(t, report.Of(played(t, bad, judged)))
	r, err := report.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(first), string(written(t, r))); d != "" {
		t.Errorf("-written +read and written\n%s", d)
	}
	if bytes.Contains(first, []byte("oken")) {
		t.Error("a token is in the report")
	}
}

func TestTheVerdictsAreReachedAgain(t *testing.T) {
	silent := func(t *testing.T) *story.Story {
		s := enginetest.New(t)
		s.First(t)
		script := meter.Steady(100, good)
		now := s.Clock.Now().Sub(enginetest.Start)
		script.Down = []meter.Span{{From: now + 20*time.Second, To: now + 3*time.Minute}}
		s.Meter.Play("shop", "checkout", script)
		arn := s.Run(t, judged)
		return story.Read(arn, s.History(t, arn))
	}
	for name, s := range map[string]*story.Story{
		"a good version":                      played(t, good, judged),
		"a bad version":                       played(t, bad, judged),
		"steps paced by evidence":             played(t, good, enginetest.Fields{"pace": "evidence", "analysis": judged["analysis"]}),
		"a source that is silent for a while": silent(t),
		"a long step":                         played(t, good, enginetest.Fields{"wait_time": "3h", "analysis": judged["analysis"], "deadlines": enginetest.Fields{"rollout": "48h"}}),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := report.Parse(written(t, report.Of(s)))
			if err != nil {
				t.Fatal(err)
			}
			again := r.Judge()
			if len(again.Looks) == 0 || !r.Whole() {
				t.Fatalf("%d looks, whole: %v", len(again.Looks), r.Whole())
			}
			for _, l := range again.Looks {
				then, _ := json.Marshal(l.Then)
				now, _ := json.Marshal(l.Now)
				if d := cmp.Diff(string(then), string(now)); d != "" {
					t.Errorf("at %v -then +now\n%s", l.At, d)
				}
			}
			if n := again.Different(); n > 0 {
				t.Errorf("%d verdicts differ", n)
			}
		})
	}
}

func TestAChangedCountIsFound(t *testing.T) {
	data := written(t, report.Of(played(t, bad, judged)))
	for name, change := range map[string]func(r *report.Report, m *story.Moment){
		"an error less":         func(_ *report.Report, m *story.Moment) { m.Intervals[0].Canary.Errors-- },
		"a request more":        func(_ *report.Report, m *story.Moment) { m.Intervals[0].Stable.Requests++ },
		"a verdict":             func(_ *report.Report, m *story.Moment) { m.Judgement.Verdict = analysis.Inconclusive },
		"a number of a measure": func(_ *report.Report, m *story.Moment) { m.Judgement.Measures[0].P *= 2 },
		"a count of users":      func(r *report.Report, _ *story.Moment) { r.Users.Canary.Errors-- },
	} {
		t.Run(name, func(t *testing.T) {
			r, err := report.Parse(data)
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Story.Moments {
				if m := &r.Story.Moments[i]; len(m.Intervals) > 0 {
					change(&r, m)
					break
				}
			}
			changed, err := report.Parse(written(t, r))
			if err != nil {
				t.Fatal(err)
			}
			if changed.Judge().Different() == 0 && changed.Whole() {
				t.Error("nobody noticed")
			}
		})
	}
}

func TestUsersAreCounted(t *testing.T) {
	u := report.Of(played(t, bad, judged)).Users
	if u.Canary.Requests == 0 || u.Stable.Requests <= u.Canary.Requests {
		t.Errorf("users = %+v; 25 %% of them on the canary are expected", u)
	}
	want := float64(u.Canary.Errors) - float64(u.Canary.Requests)*0.01
	if d := u.Excess - want; d < -2 || d > 2 {
		t.Errorf("excess = %.1f, want about %.1f", u.Excess, want)
	}
}

var outside = regexp.MustCompile(`(?i)(src|href)\s*=|url\(|@import|<script|<link|<iframe|<object|https?://`)

func TestThePageNeedsNothingElse(t *testing.T) {
	page, err := report.Of(played(t, bad, judged)).HTML()
	if err != nil {
		t.Fatal(err)
	}
	if found := outside.Find(page); found != nil {
		t.Errorf("the page has %q", found)
	}
	for _, part := range []string{"RolledBack", "checkout-1", "podlet:2", "on the canary failed", "<svg", "Verdicts"} {
		if !bytes.Contains(page, []byte(part)) {
			t.Errorf("the page has no %q", part)
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	const hostile = `"><script>alert('x')</script><img src=x onerror=y>`
	s := played(t, bad, judged)
	s.Name, s.Reason, s.Outcome = hostile, hostile, hostile
	s.Rollout.Canary.Image, s.Rollout.Service.Namespace, s.Rollout.Route.Route = hostile, hostile, hostile
	for i := range s.Moments {
		m := &s.Moments[i]
		m.Text = hostile
		if m.Judgement != nil {
			for j := range m.Judgement.Measures {
				m.Judgement.Measures[j].Name = hostile
			}
		}
	}
	page, err := report.Of(s).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"<script", "<img", `"><`} {
		if bytes.Contains(page, []byte(hostile)) || tag != `"><` && bytes.Contains(page, []byte(tag)) {
			t.Errorf("the page has %s", tag)
		}
	}
	if !strings.Contains(string(page), "&lt;script&gt;") {
		t.Error("the text is missing")
	}
}

func TestAReportOfARolloutThatIsNotOver(t *testing.T) {
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, good)
	s.Clock.Begin()
	arn := s.Begin(t, nil)
	done := make(chan report.Report, 1)
	s.Clock.AfterFunc(90*time.Second, func() { done <- report.Of(story.Read(arn, s.History(t, arn))) })
	s.Clock.End()
	r := <-done
	page, err := r.HTML()
	if err != nil || !bytes.Contains(page, []byte("running")) {
		t.Errorf("page of a running rollout: %v", err)
	}
}

func TestWhatIsNoReportIsSaid(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no JSON":              {"report", "read report: "},
		"of another format":    {`{"format": 2}`, "format is 2; 1 is expected"},
		"of a refused rollout": {`{"format": 1, "story": {}}`, "there is no rollout in it"},
	} {
		if _, err := report.Parse([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}
