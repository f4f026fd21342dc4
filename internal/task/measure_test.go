package task

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
)

func TestCounted(t *testing.T) {
	began := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	ev := step.Event{Document: step.Document{Rollout: &step.Rollout{Started: began}}}
	for name, tt := range map[string]struct {
		out  any
		err  error
		want map[string]float64
	}{
		"an end, with how long it took": {step.End{Outcome: "Promoted", At: began.Add(time.Minute)}, nil, map[string]float64{"Promoted": 1, "DurationSeconds": 60}},
		"an end is counted once":        {step.End{Outcome: "RolledBack", At: began, Known: true}, nil, nil},
		"a verdict":                     {step.Watch{Judgement: analysis.Judgement{Verdict: analysis.Unhealthy}}, nil, map[string]float64{"Unhealthy": 1}},
		"a refusal":                     {step.Rollout{}, fmt.Errorf("start: %w", fault.Refused), map[string]float64{"Refused": 1}},
		"another error is none":         {step.Rollout{}, errors.New("boom"), nil},
		"a start":                       {step.Rollout{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, counted(ev, tt.out, tt.err)); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMeasureWritesTheEmbeddedFormat(t *testing.T) {
	var b bytes.Buffer
	measure(&b, time.UnixMilli(1700000000000), map[string]float64{"Promoted": 1})
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"Promoted": 1.0,
		"_aws": map[string]any{"Timestamp": 1700000000000.0, "CloudWatchMetrics": []any{map[string]any{
			"Namespace": "Stepcanary", "Dimensions": []any{[]any{}}, "Metrics": []any{map[string]any{"Name": "Promoted", "Unit": "Count"}},
		}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	b.Reset()
	if measure(&b, time.Now(), nil); b.Len() > 0 {
		t.Errorf("nothing to measure wrote %q", b.String())
	}
}
