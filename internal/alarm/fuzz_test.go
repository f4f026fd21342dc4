package alarm_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/alarm"
	"github.com/stepcanary/stepcanary/internal/clock"
)

// FuzzAlarmEvent feeds the function events, and rollouts a deploy.json, that nobody wrote: only
// what names the alarm is aborted, and only by an alarm that is on.
func FuzzAlarmEvent(f *testing.F) {
	f.Add([]byte(`{"detail":{"alarmName":"5xx","state":{"value":"ALARM","reason":"3 > 2"}}}`), []byte(names))
	f.Add([]byte(`{"detail":{"alarmName":"5xx","state":{"value":"OK"}}}`), []byte(names))
	f.Add([]byte(`{"detail":{"alarmName":null}}`), []byte(`{"alarms":[null,""]}`))
	f.Add([]byte(`{"detail":{"alarmName":"","state":{"value":"ALARM"}}}`), []byte(`{"alarms":[""]}`))
	f.Add([]byte(`[]`), []byte(`{"alarms":{"5xx":true}}`))
	f.Fuzz(func(t *testing.T, event, input []byte) {
		if len(event) > 256<<10 || len(input) > 256<<10 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		r := &rollouts{runs: map[string]*run{"x": {input: string(input), looks: []look{{"Hold", "token"}}}}}
		out, err := alarm.Abort{Rollouts: r, Machine: "machine", Clock: clock.Real{}}.Handle(t.Context(), event)
		if err == nil && !json.Valid(out) {
			t.Errorf("Handle(%q) = %q, no JSON", event, out)
		}
		var said struct {
			Detail struct {
				AlarmName string
				State     struct{ Value string }
			}
		}
		var doc struct{ Alarms []string }
		read := json.Unmarshal(event, &said) == nil && json.Unmarshal(input, &doc) == nil
		meant := read && said.Detail.AlarmName != "" && said.Detail.State.Value == "ALARM" && slices.Contains(doc.Alarms, said.Detail.AlarmName)
		if meant != (len(r.aborted) == 1) || len(r.aborted) > 0 && !strings.HasPrefix(r.aborted[0], "token: ") {
			t.Errorf("event %q, deploy.json %q: aborted %q", event, input, r.aborted)
		}
	})
}
