package step_test

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/workload"
)

var record = flag.Bool("record", false, "write a file for each scene that has none yet")

// TestMain keeps the steps' log out of the output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// A recorded rollout is what its history says of each look at the canary.
type recorded struct {
	Rollout step.Rollout `json:"rollout"`
	Looks   []look       `json:"looks"`
}

// A look is what HealthCheck was given and when, beside the answer of the look before, and what it answered.
type look struct {
	Given  time.Time   `json:"given"`
	Asked  *step.Asked `json:"asked,omitempty"`
	Shift  step.Shift  `json:"shift"`
	Answer step.Watch  `json:"answer"`
}

// A decision is what later versions have to keep of an answer: what the rules are told of the judgement, and what they
// made of it. Sentences, the numbers of the evidence, and when and how the next look is awaited may change: whoever
// betters those would have to write every file anew, and then nothing would be held to anything.
type decision struct {
	Verdict                 analysis.Verdict
	Hold, Enough, Exhausted bool
	Action                  rollout.Action
	Step                    int
	Needs                   rollout.Need
}

func decisionOf(w step.Watch) decision {
	j := w.Judgement
	if w.Action == rollout.Wait {
		w.Action = rollout.Watch // both stay
	}
	return decision{j.Verdict, j.Hold, j.Enough, j.Exhausted, w.Action, w.Step, w.Needs}
}

// TestRecordedRolloutsAreDecidedAgain holds this version to what earlier ones decided. A file is written once, with
// -record, and nothing writes it anew: it is the word of the version that recorded it. Where a rule changes on purpose,
// the files that it contradicts are deleted by hand, and CHANGELOG.md says what is decided differently.
func TestRecordedRolloutsAreDecidedAgain(t *testing.T) {
	if *record {
		for name, s := range scenes {
			write(t, filepath.Join("testdata", "recorded", name+".json"), s)
		}
	}
	actions, verdicts := map[rollout.Action]bool{}, map[analysis.Verdict]bool{}
	files, err := filepath.Glob("testdata/recorded/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			r := read(t, path)
			t.Run("from its beginning", func(t *testing.T) { again(t, r, false) })
			t.Run("taken over before each look", func(t *testing.T) { again(t, r, true) })
			for _, l := range r.Looks {
				d := decisionOf(l.Answer)
				actions[d.Action], verdicts[d.Verdict] = true, true
			}
		})
	}
	if len(actions) != 4 || len(verdicts) != 3 {
		t.Errorf("the files have the actions %v and the verdicts %v; all are expected", actions, verdicts)
	}
}

// again goes through the looks. This version goes on with what it handed on itself or, taken over, with what the one
// did that recorded the rollout: engines are updated under canaries.
func again(t *testing.T, r recorded, takenOver bool) {
	var last *step.Watch
	var counted []analysis.Interval // all that the source has counted so far
	for i, l := range r.Looks {
		doc := step.Document{Rollout: &r.Rollout, Shift: &l.Shift, Watch: last, Asked: l.Asked}
		sooner(t, doc, l, counted)
		counted = append(counted, l.Answer.Intervals...)
		met := l.Answer
		met.Intervals = counted
		now, err := step.Again(t.Context(), doc, l.Given, met)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(decisionOf(l.Answer), decisionOf(now)); d != "" {
			t.Errorf("look %d at %d %% -then +now\n%s\nthen: %s\nnow:  %s", i, l.Shift.Weight, d, l.Answer.Reason, now.Reason)
		}
		if last = &now; takenOver {
			last = &l.Answer
		}
	}
}

// sooner finds a decision before the recorded one. The look went on after each interval that came in while it lasted,
// so this version has to go on there too: the pods were well then, and no gate was asked. What a source that had been
// down brought came all at once.
func sooner(t *testing.T, doc step.Document, l look, before []analysis.Interval) {
	if doc.Watch != nil && doc.Watch.Trouble != "" {
		return
	}
	for n, iv := range l.Answer.Intervals {
		if n == len(l.Answer.Intervals)-1 || iv.To.Before(l.Given) {
			continue
		}
		met := step.Watch{At: iv.To, Intervals: slices.Concat(before, l.Answer.Intervals[:n+1]), Status: workload.Status{Desired: 1, Ready: 1}}
		now, err := step.Again(t.Context(), doc, l.Given, met)
		if err != nil {
			t.Fatal(err)
		}
		if d := decisionOf(now); d.Action != rollout.Watch {
			t.Errorf("at %d %%, %v before it did then: %s, %s", l.Shift.Weight, l.Answer.At.Sub(iv.To), d.Action, now.Reason)
		}
	}
}

func read(t *testing.T, path string) recorded {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(data, &r); err != nil || len(r.Looks) == 0 {
		t.Fatalf("read %s: %v, %d looks", path, err, len(r.Looks))
	}
	return r
}

// Lists without anything below them, and short objects, are written in one line.
var (
	flat  = regexp.MustCompile(`\[[^][{}]*\]|\{[^{}]{0,150}\}`)
	lines = regexp.MustCompile(`\n *`)
)

// write plays a scene and writes its file, unless there is one.
func write(t *testing.T, path string, s scene) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	data, err := json.MarshalIndent(looks(t, s.play(t)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // lists, then the objects around them
		data = flat.ReplaceAllFunc(data, func(b []byte) []byte { return lines.ReplaceAll(b, []byte(" ")) })
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// looks takes them out of a history.
func looks(t *testing.T, events []types.HistoryEvent) recorded {
	t.Helper()
	var r recorded
	var given look
	watched := false
	for _, e := range events {
		switch in, out := e.StateEnteredEventDetails, e.TaskSucceededEventDetails; {
		case in != nil:
			if watched = aws.ToString(in.Name) == "HealthCheck"; watched {
				var d step.Document
				decode(t, in.Input, &d)
				r.Rollout, given = *d.Rollout, look{Given: e.Timestamp.UTC(), Asked: d.Asked, Shift: *d.Shift}
			}
		case out != nil && watched:
			decode(t, out.Output, &given.Answer)
			r.Looks = append(r.Looks, given)
		}
	}
	return r
}

func decode(t *testing.T, text *string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(aws.ToString(text)), into); err != nil {
		t.Fatal(err)
	}
}
