package story_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/report"
	"github.com/stepcanary/stepcanary/internal/story"
)

// FuzzStory reads histories that no engine of ours wrote. None may panic, each is read the same
// every time, has no more moments than events and no address in it, and its report can be written,
// read and judged.
func FuzzStory(f *testing.F) {
	const document = `{"rollout":{"execution":"e","service":{"namespace":"n","name":"s"},"stable":{"name":"s-1"},"canary":{"name":"s-2"},` +
		`"plan":{"steps":[{"weight":50,"hold":8}]},"policy":{"Steps":[50]},"gates":[{"name":"g","url":"https://g.example"}],"receivers":[{"name":"r","url":"https://r.example"}]},` +
		`"deployed":{"name":"s-2"},"ready":{"action":"ready","gates":[{}]},"shift":{"step":9,"weight":300,"observed":true},` +
		`"watch":{"of":-3,"judgement":{"measures":[{"note":"x"}]},"intervals":[{"canary":{"known":true,"requests":-1}}]},"end":{"reason":"r"}}`
	for _, state := range []string{"Prepare", "DeployCanary", "AwaitReady", "ShiftWeight", "HealthCheck", "Hold", "Rollback"} {
		f.Add(state, document, "Canary.Asked", `{"wish":"pause"}`, document)
	}
	f.Add("Prepare", `{"rollout":null,"Rollout":{"gates":[null],"receivers":[null]}}`, "Canary.Queued", `{"errorMessage":"start rollout of s: x"}`, `{"shift":null}`)
	f.Fuzz(func(t *testing.T, state, output, name, cause, last string) {
		if len(state)+len(output)+len(name)+len(cause)+len(last) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		events := []types.HistoryEvent{
			{StateEnteredEventDetails: &types.StateEnteredEventDetails{Name: &state}},
			{TaskScheduledEventDetails: &types.TaskScheduledEventDetails{Parameters: &output}},
			{TaskSucceededEventDetails: &types.TaskSucceededEventDetails{Output: &output}},
			{StateExitedEventDetails: &types.StateExitedEventDetails{Name: &state, Output: &output}},
			{TaskFailedEventDetails: &types.TaskFailedEventDetails{Error: &name, Cause: &cause}},
			{StateExitedEventDetails: &types.StateExitedEventDetails{Name: &name, Output: &last}},
			{ExecutionFailedEventDetails: &types.ExecutionFailedEventDetails{Error: &name, Cause: &cause}},
		}
		s := story.Read("arn:x:y", events)
		if len(s.Moments) > len(events) {
			t.Errorf("Read() has %d moments of %d events", len(s.Moments), len(events))
		}
		if ro := s.Rollout; ro != nil {
			for _, g := range ro.Gates {
				if g.URL != "" || g.Metadata != nil {
					t.Errorf("Read() has gate %+v", g)
				}
			}
			for _, r := range ro.Receivers {
				if r.URL != "" {
					t.Errorf("Read() has receiver %+v", r)
				}
			}
		}
		once, err := json.Marshal(s)
		again, err2 := json.Marshal(story.Read("arn:x:y", events))
		if diff := cmp.Diff(string(once), string(again)); diff != "" || (err == nil) != (err2 == nil) {
			t.Errorf("Read() twice = %v, %v (-once +again):\n%s", err, err2, diff)
		}
		r := report.Of(s)
		if _, err := r.HTML(); err != nil {
			t.Errorf("HTML() = %v", err)
		}
		if written, err := r.JSON(); err == nil {
			if read, err := report.Parse(written); err == nil {
				read.Judge()
			}
		}
	})
}
