package task_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/task"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Whoever reads the log finds a service's lines by its name, Prepare's among them.
func TestTheLogNamesTheService(t *testing.T) {
	input := func(service string) string {
		return `{"cluster_name": "bed", "kubernetes_namespace": "shop", "microservice_name": ` + service + `, "config_file": "c2VjcmV0", "container_image": "podlet:2"}`
	}
	decided := step.Rollout{Cluster: "bed", Service: workload.Service{Namespace: "shop", Name: "checkout"}}
	const all = `"cluster":"bed","namespace":"shop","service":"checkout"`
	for name, tt := range map[string]struct {
		event string
		out   step.Rollout
		err   error
		want  string
	}{
		"Prepare decided it":      {event: `{"execution": "arn:x", "state": "Prepare"}`, out: decided, want: all},
		"Prepare refused it":      {event: `{"execution": "arn:x", "state": "Prepare", "input": ` + input(`"checkout"`) + `}`, err: fault.Refused, want: all},
		"a name that is none":     {event: `{"execution": "arn:x", "state": "Prepare", "input": ` + input(`"kind: Secret\nhunter2"`) + `}`, err: fault.Invalid, want: `"cluster":"bed","namespace":"shop","kind"`},
		"a name that is a number": {event: `{"execution": "arn:x", "state": "Prepare", "input": ` + input(`7`) + `}`, err: fault.Invalid, want: `"cluster":"bed","namespace":"shop","kind"`},
		"an input that is none":   {event: `{"execution": "arn:x", "state": "Prepare", "input": []}`, err: fault.Invalid, want: `"kind":"Canary.Invalid"`},
		"the document knows it":   {event: `{"execution": "arn:x", "state": "ShiftWeight", "document": {"rollout": {"cluster": "bed", "service": {"namespace": "shop", "name": "checkout"}}}}`, want: all},
		"the way back after a stop": {
			event: `{"detail-type": "x", "detail": {"executionArn": "arn:x", "status": "ABORTED", "input": ` + quoted(input(`"checkout"`)) + `}}`, want: all,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			before := slog.Default()
			slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
			defer slog.SetDefault(before)
			_, _ = task.Handler(func(context.Context, step.Event) (step.Rollout, error) { return tt.out, tt.err })(t.Context(), json.RawMessage(tt.event))
			if !strings.Contains(log.String(), tt.want) {
				t.Errorf("log %s\nwant %s", log.String(), tt.want)
			}
			for _, never := range []string{"c2VjcmV0", "hunter2", "podlet"} {
				if strings.Contains(log.String(), never) {
					t.Errorf("%q is in the log: %s", never, log.String())
				}
			}
		})
	}
}

// quoted writes a text as a JSON string.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
