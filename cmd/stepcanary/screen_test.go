package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/story"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A moment is a rollout as it looks at some time after its start.
type moment struct {
	users map[string]float64
	after time.Duration
	input enginetest.Fields
}

var moments = map[string]moment{
	"good, in the middle":           {users: map[string]float64{"checkout-1": 0.002, "checkout-2": 0.0024}, after: 130 * time.Second},
	"good, at its end":              {users: map[string]float64{"checkout-1": 0, "checkout-2": 0}, after: time.Hour},
	"bad, at its end":               {users: map[string]float64{"checkout-1": 0.001, "checkout-2": 0.08}, after: time.Hour},
	"nobody uses it":                {after: 3 * time.Minute},
	"before its first look is over": {users: map[string]float64{"checkout-1": 0, "checkout-2": 0}, after: 12 * time.Second},
	"a limit is broken": {
		users: map[string]float64{"checkout-1": 0, "checkout-2": 0.03}, after: time.Hour,
		input: enginetest.Fields{"analysis": enginetest.Fields{
			"compare": false, "limits": []enginetest.Fields{{"metric": "error-rate", "max": "1%"}},
		}},
	},
}

// What a gate keeps a rollout from, and for how long it may, is on the screen.
func TestTheScreenOfAGate(t *testing.T) {
	for phase, tt := range map[string]struct {
		after time.Duration
		want  []string
	}{
		"pre-rollout": {3 * time.Minute, []string{`waiting for a gate: checkout-2: gate "smoke" says not yet: 2 of 3 tests`}},
		"step":        {3*time.Minute + 10*time.Second, []string{"a gate is waited for at most 7:50", `gate "smoke" says not yet: 2 of 3 tests`}},
	} {
		s := enginetest.New(t)
		s.Web = enginetest.Answer(`{"hookStatus": "IN_PROGRESS", "reason": "2 of 3 tests"}`)
		s.First(t)
		s.Users(100, map[string]float64{"checkout-1": 0, "checkout-2": 0})
		s.Clock.Begin()
		arn := s.Begin(t, enginetest.Fields{"webhooks": []enginetest.Fields{
			{"name": "smoke", "phase": phase, "url": "https://smoke.example/", "limit": "10m"},
		}})
		seen := make(chan string, 1)
		s.Clock.AfterFunc(tt.after, func() {
			lines := screen(story.Read(arn, s.History(t, arn)), s.Clock.Now(), 0)
			seen <- strings.Join(lines[:], "\n")
		})
		s.Clock.End()
		text := <-seen
		for _, want := range tt.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the screen does not say %q:\n%s", phase, want, text)
			}
		}
	}
}

// storyAt plays a rollout of version 2 until then.
func storyAt(t *testing.T, m moment) (*story.Story, time.Time) {
	t.Helper()
	s := enginetest.New(t)
	s.First(t)
	rates := m.users
	if rates == nil {
		s.Users(0, map[string]float64{"checkout-1": 0, "checkout-2": 0})
	} else {
		s.Users(100, rates)
	}
	began := s.Clock.Now()
	input := enginetest.Fields{"patience": "10m", "analysis": enginetest.Fields{
		"limits": []enginetest.Fields{{"metric": "latency", "percentile": 95, "max": "500ms"}},
	}}
	for k, v := range m.input {
		input[k] = v
	}
	var arn string
	var events *story.Story
	s.Clock.Begin() // time stands until both are there
	done := make(chan struct{})
	s.Clock.AfterFunc(m.after, func() {
		defer close(done)
		events = story.Read(arn, s.History(t, arn))
	})
	arn = s.Begin(t, input)
	s.Clock.End()
	<-done
	return events, began.Add(m.after)
}

func TestScreen(t *testing.T) {
	var got strings.Builder
	for _, name := range []string{"before its first look is over", "good, in the middle", "good, at its end", "bad, at its end", "a limit is broken", "nobody uses it"} {
		s, now := storyAt(t, moments[name])
		for _, width := range []int{80, 120} {
			fmt.Fprintf(&got, "== %s, %d columns\n", name, width)
			for _, line := range screen(s, now, width) {
				if n := len([]rune(line)); n > width {
					t.Errorf("%s: %d characters in %q", name, n, line)
				}
				fmt.Fprintln(&got, line)
			}
		}
	}
	golden(t, "screen", got.String())
}

// What a terminal, one without colour, and a log get of the same rollout.
func TestViews(t *testing.T) {
	s, now := storyAt(t, moments["bad, at its end"])
	var got strings.Builder
	for _, v := range []struct {
		name  string
		width int
		env   map[string]string
	}{
		{name: "a terminal", width: 80},
		{name: "a terminal with NO_COLOR", width: 80, env: map[string]string{"NO_COLOR": "1"}},
		{name: "a terminal of a build", width: 80, env: map[string]string{"CI": "true"}},
		{name: "a log"},
	} {
		var out bytes.Buffer
		c := newConsole(&out, &out)
		c.env, c.clock = func(k string) string { return v.env[k] }, clock.NewVirtual(now)
		c.size = func() int { return v.width }
		show := view{console: c, width: c.terminal()}
		for range 2 { // the second time draws over the first, or adds nothing
			if err := show.show(s, now); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&got, "== %s\n", v.name)
		for line := range strings.Lines(out.String()) {
			fmt.Fprintf(&got, "%q\n", line)
		}
	}
	golden(t, "views", got.String())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("-want +got; go test -update writes it anew\n%s", d)
	}
}

func TestALineKeepsToItself(t *testing.T) {
	for in, want := range map[string]string{
		"short":                 "short",
		"a\x1b[2Jb\r\nc":        "a [2Jb  c",
		"\u009b31mred":          " 31mred",
		strings.Repeat("ä", 81): strings.Repeat("ä", 79) + "…",
		strings.Repeat("ä", 80): strings.Repeat("ä", 80),
	} {
		if got := cut(in, 80); got != want {
			t.Errorf("cut(%q) = %q, want %q", in, got, want)
		}
	}
}

// Users who were sent to a page are not said to be on stable when the rollout beside it has gone back.
func TestTheScreenSaysWhereUsersAreOnlyWhereTheyAre(t *testing.T) {
	s, now := storyAt(t, moments["bad, at its end"])
	at := "all users are on " + s.Rollout.Stable.Name
	for _, away := range []bool{false, true} {
		s.Away = away
		if got := strings.Contains(fmt.Sprint(screen(s, now, 0)), at); got == away {
			t.Errorf("sent elsewhere %t: the screen says %q: %t", away, at, got)
		}
	}
}

// On the way back no time is left of the plan, and the line says why.
func TestTheScreenOfTheWayBack(t *testing.T) {
	s, now := storyAt(t, moments["bad, at its end"])
	s.Moments = slices.DeleteFunc(s.Moments, func(m story.Moment) bool { // as it is before its end
		return m.Kind == story.Over || m.Kind == story.Shifted && m.Weight == 0
	})
	s.Ended, s.Outcome, s.Reason, s.State = time.Time{}, "", "", "Rollback"
	lines := screen(s, now, 0)
	if !strings.HasSuffix(lines[0], "gone, going back") {
		t.Errorf("headline %q", lines[0])
	}
	if !strings.HasPrefix(lines[3], "going back: ") || !strings.Contains(lines[3], "on the canary failed") {
		t.Errorf("last line %q", lines[3])
	}
}
