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
	"github.com/stepcanary/stepcanary/internal/hook"
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

// Reports once held the addresses of webhooks. They are judged as those without.
func TestAReportFromBeforeIsJudged(t *testing.T) {
	s := played(t, bad, judged)
	s.Rollout.Receivers = []hook.Receiver{{Endpoint: hook.Endpoint{Name: "team", URL: "https://hooks.example/services/t0ken"}}}
	r, err := report.Parse(written(t, report.Of(s)))
	if err != nil {
		t.Fatal(err)
	}
	if again := r.Judge(); len(again.Looks) == 0 || again.Different() != 0 || !r.Whole() {
		t.Errorf("Judge() = %d looks, %d of them different; want all the same", len(again.Looks), again.Different())
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

// cells are the texts of a row of the page's tables whose first cell is name.
func cells(page []byte, name string) string {
	for _, line := range strings.Split(string(page), "\n") {
		if strings.HasPrefix(line, "<tr><td>"+name+"<") {
			line = regexp.MustCompile(`</td>`).ReplaceAllString(line, "|")
			return regexp.MustCompile(`<[^>]*>`).ReplaceAllString(line, "")
		}
	}
	return ""
}

func TestEachNumberIsShownInItsUnit(t *testing.T) {
	s := played(t, bad, judged)
	s.Rollout.Policy.Comparison.LatencyBounds = []time.Duration{1200 * time.Millisecond}
	s.Rollout.Policy.Limits = []analysis.Limit{
		{Name: "rate", Kind: analysis.ErrorRate, Bound: 0.02}, {Name: "count", Kind: analysis.ErrorCount, Bound: 2},
		{Name: "ok", Kind: analysis.SuccessRate, Bound: 0.99}, {Name: "p95", Kind: analysis.LatencyPercentile, Bound: 1.2, Percentile: 95},
		{Name: "slow", Kind: analysis.SlowRatio, Bound: 0.1}, {Name: "queue", Kind: analysis.Value, Bound: 7, AtLeast: true},
		{Name: "silent", Kind: analysis.ErrorRate, Bound: 0.02}, {Name: "far", Kind: analysis.LatencyPercentile, Bound: 1.2, Percentile: 95},
	}
	half := analysis.Total{Requests: 16, Errors: 8}
	measures := []analysis.Measure{
		{Name: "rate", Canary: half, Value: 0.5, Bound: 0.02}, {Name: "count", Canary: half, Value: 8, Bound: 2},
		{Name: "ok", Canary: half, Value: 0.5, Bound: 0.99}, {Name: "p95", Canary: half, Value: 1.14, Bound: 1.2},
		{Name: "slow", Canary: half, Value: 0.25, Bound: 0.1}, {Name: "queue", Value: 3, Bound: 7},
		{Name: "silent", Bound: 0.02, Note: "silent can't be told: no value"}, {Name: "far", Canary: half, Value: 2.4, Bound: 1.2},
		{Name: "errors", Canary: half, Stable: analysis.Total{Requests: 200, Errors: 1}, Bound: 2, Bad: 1203, Good: 0.011, Low: 5},
		{Name: "slower than 1.2s", Canary: half, Bound: 0.01, Bad: 1, Good: 1},
		{Name: analysis.ShareOfRequests, Canary: analysis.Total{Requests: 16}, Stable: analysis.Total{Requests: 144}, Value: 0.1, Bound: 0.1, Bad: 1},
	}
	for i := range s.Moments {
		if j := s.Moments[i].Judgement; j != nil {
			j.Measures = measures
		}
	}
	page, err := report.Of(s).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"rate":                   "rate|50 % of 16||50 %|≤ 2 %|||",
		"count":                  "count|50 % of 16||8|≤ 2|||",
		"ok":                     "ok|50 % of 16||50 %|≥ 99 %|||",
		"p95":                    "p95|16||1.14s|≤ 1.2s|||",
		"slow":                   "slow|16||25 %|≤ 10 %|||",
		"queue":                  "queue|||3|≥ 7|||",
		"silent":                 "silent|none||not known|≤ 2 %|||",
		"far":                    "far|16||more than 1.2s|≤ 1.2s|||",
		"errors":                 "errors|50 % of 16|0.5 % of 200|||1203, 0.011|above 5|",
		"slower than 1.2s":       "slower than 1.2s|50 % of 16||50 %|≤ 1 %|1, 1||",
		analysis.ShareOfRequests: "share of requests|16|144|10 %|weight 10 %|1||",
	} {
		if got := cells(page, name); got != want {
			t.Errorf("row %s\n got %s\nwant %s", name, got, want)
		}
	}
}

// The line of the weight falls when users are back, before the drain and not after it.
func TestTheChartShowsWhenUsersWereBack(t *testing.T) {
	s := played(t, bad, enginetest.Fields{"drain": "2m", "analysis": judged["analysis"]})
	page, err := report.Of(s).HTML()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("0 % is in force: all users are back on checkout-1")) {
		t.Error("nothing tells when users were back")
	}
	m := regexp.MustCompile(`<path class="canary" d="[^"]*L([0-9.]+) 128\.0L748\.0 128\.0"`).FindSubmatch(page)
	if m == nil {
		t.Fatalf("the weight is not at 0 before the end: %s", regexp.MustCompile(`<path[^>]*>`).Find(page))
	}
}

func TestThePageOfARefusedRollout(t *testing.T) {
	s := enginetest.New(t)
	s.First(t)
	s.Users(100, good)
	arn := s.Run(t, enginetest.Fields{"percentage_step": 0})
	page, err := report.Of(story.Read(arn, s.History(t, arn))).HTML()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte("nothing was changed")) {
		t.Error("the page does not say that nothing was changed")
	}
	for _, part := range []string{"<svg", "Verdicts", "requests failed", "judge"} {
		if bytes.Contains(page, []byte(part)) {
			t.Errorf("the page has %q though there was nothing to show", part)
		}
	}
}
