package task

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/step"
)

// namespace is where the dashboard and the alarms look.
const namespace = "Stepcanary"

// metrics is where Lambda reads metrics from: its standard output. Elsewhere nobody does.
func metrics() io.Writer {
	if os.Getenv("AWS_LAMBDA_FUNCTION_NAME") == "" {
		return io.Discard
	}
	return os.Stdout
}

// counted gives what one run of a step adds to the metrics: an end, a verdict, a refusal.
func counted(ev step.Event, out any, err error) map[string]float64 {
	switch out := out.(type) {
	case step.End:
		if err != nil || out.Known {
			return nil
		}
		values := map[string]float64{out.Outcome: 1}
		if ro := ev.Document.Rollout; ro != nil && !out.At.IsZero() {
			values["DurationSeconds"] = out.At.Sub(ro.Started).Seconds()
		}
		return values
	case step.Watch:
		if err != nil {
			return nil
		}
		name := out.Judgement.Verdict.String()
		return map[string]float64{string(name[0]-'a'+'A') + name[1:]: 1}
	case step.Rollout:
		if kind := fault.Of(err); err != nil && (kind == fault.Refused || kind == fault.Invalid) {
			return map[string]float64{step.OutcomeRefused: 1}
		}
	}
	return nil
}

// measure writes values in CloudWatch's embedded metric format: one line, which needs no agent and
// no call. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func measure(w io.Writer, now time.Time, values map[string]float64) {
	if len(values) == 0 {
		return
	}
	type definition struct{ Name, Unit string }
	line := map[string]any{}
	var list []definition
	for name, v := range values {
		unit := "Count"
		if name == "DurationSeconds" {
			unit = "Seconds"
		}
		list = append(list, definition{name, unit})
		line[name] = v
	}
	line["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": namespace, "Dimensions": [][]string{{}}, "Metrics": list,
		}},
	}
	b, err := json.Marshal(line)
	if err != nil {
		return // numbers and names always can
	}
	_, _ = w.Write(append(b, '\n'))
}
