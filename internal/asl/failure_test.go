package asl

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRetriesComeWhenTheyShould(t *testing.T) {
	for name, tt := range map[string]struct {
		retry   string
		random  float64
		replies []reply
		at      []time.Duration // of the calls
		outcome string
	}{
		"defaults: 1 s, doubled, three times":   {`{"ErrorEquals":["E"]}`, 0, []reply{failing("E")}, sec(0, 1, 3, 7), "FAILED E: because"},
		"until it works":                        {`{"ErrorEquals":["E"]}`, 0, []reply{failing("E"), failing("E"), {out: "1"}}, sec(0, 1, 3), "SUCCEEDED 1"},
		"no attempts":                           {`{"ErrorEquals":["E"],"MaxAttempts":0}`, 0, []reply{failing("E")}, sec(0), "FAILED E: because"},
		"an interval and a rate":                {`{"ErrorEquals":["E"],"IntervalSeconds":4,"BackoffRate":1.5,"MaxAttempts":2}`, 0, []reply{failing("E")}, sec(0, 4, 10), "FAILED E: because"},
		"no longer than the longest delay":      {`{"ErrorEquals":["E"],"IntervalSeconds":4,"MaxDelaySeconds":5}`, 0, []reply{failing("E")}, sec(0, 4, 9, 14), "FAILED E: because"},
		"full jitter takes a part of the delay": {`{"ErrorEquals":["E"],"IntervalSeconds":4,"JitterStrategy":"FULL","MaxAttempts":2}`, 0.25, []reply{failing("E")}, sec(0, 1, 3), "FAILED E: because"},
		"another error is not retried":          {`{"ErrorEquals":["E"]}`, 0, []reply{failing("F")}, sec(0), "FAILED F: because"},
		"States.ALL is any error":               {`{"ErrorEquals":["States.ALL"],"MaxAttempts":1}`, 0, []reply{failing("F")}, sec(0, 1), "FAILED F: because"},
		"States.TaskFailed is any error":        {`{"ErrorEquals":["States.TaskFailed"],"MaxAttempts":1}`, 0, []reply{failing("F")}, sec(0, 1), "FAILED F: because"},
		"States.Runtime is not any error":       {`{"ErrorEquals":["States.ALL"],"MaxAttempts":1}`, 0, []reply{failing("States.Runtime")}, sec(0), "FAILED States.Runtime: because"},
		"each retrier counts for itself":        {`{"ErrorEquals":["E"],"MaxAttempts":1},{"ErrorEquals":["F"],"IntervalSeconds":5,"MaxAttempts":1}`, 0, []reply{failing("E"), failing("F"), failing("E")}, sec(0, 1, 6), "FAILED E: because"},
		"a delay that grows out of all bounds":  {`{"ErrorEquals":["E"],"IntervalSeconds":99999999,"BackoffRate":1e300,"MaxAttempts":2}`, 0, []reply{failing("E")}, []time.Duration{0, 99999999 * time.Second, 99999999*time.Second + maxRetryWait}, "FAILED E: because"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, `"A":{`+taskF+`,"Retry":[`+tt.retry+`],"OutputPath":"$","ResultPath":"$","End":true}`, `{}`)
			p.random = tt.random
			p.play(tt.replies...)
			var at []time.Duration
			for _, c := range p.called {
				d, err := time.ParseDuration(strings.Fields(c)[0])
				if err != nil {
					t.Fatal(err)
				}
				at = append(at, d)
			}
			if diff := cmp.Diff(tt.at, at); diff != "" || p.outcome() != tt.outcome {
				t.Errorf("%s; want %s; calls (-want +got):\n%s", p.outcome(), tt.outcome, diff)
			}
		})
	}
}

func sec(n ...int) []time.Duration {
	var out []time.Duration
	for _, s := range n {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

func TestRetryCountIsInTheContext(t *testing.T) {
	p := newPlayer(t, `"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Payload":{"n.$":"$$.State.RetryCount"}},
		"Retry":[{"ErrorEquals":["States.ALL"]}],"ResultSelector":{"retries.$":"$$.State.RetryCount"},"Next":"B"},"B":{`+taskF+`,"End":true}`, `{}`)
	p.play(failing("E"), failing("E"), reply{out: "1"})
	if diff := cmp.Diff([]string{`0s f {"n":0}`, `1s f {"n":1}`, `3s f {"n":2}`, `3s f {"retries":2}`}, p.called); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestRetriesCountAnewInTheNextState(t *testing.T) {
	const retry = `"Retry":[{"ErrorEquals":["E"],"MaxAttempts":1}]`
	p := newPlayer(t, `"A":{`+arnF+`,`+retry+`,"Next":"B"},"B":{`+arnF+`,`+retry+`,"ResultSelector":{"n.$":"$$.State.RetryCount"},"End":true}`, `{}`)
	p.play(failing("E"), reply{out: "1"}, failing("E"), reply{out: "2"})
	if got := p.outcome(); got != `SUCCEEDED {"n":1}` {
		t.Errorf("outcome %s; want one retry in each state", got)
	}
	if len(p.x.Frames) != 0 {
		t.Errorf("%d frames are kept after success", len(p.x.Frames))
	}
}

func TestLateReturnOfAnEarlierAttemptIsIgnored(t *testing.T) {
	p := newPlayer(t, `"A":{`+arnF+`,"TimeoutSeconds":5,"Retry":[{"ErrorEquals":["States.Timeout"]}],"End":true}`, `{}`)
	for range 2 { // the timeout, and the delay of the retry
		p.now, _ = p.x.Due()
		p.step(Woken{})
	}
	p.step(Returned{Frame: 1, Number: 1, Output: `"late"`})
	if p.x.Status != Running {
		t.Fatalf("outcome %s; want the second attempt awaited", p.outcome())
	}
	p.step(Returned{Frame: 1, Number: 2, Output: `"in time"`})
	if got := p.outcome(); got != `SUCCEEDED "in time"` {
		t.Errorf("outcome %s", got)
	}
}

func TestFunctionOfATokenReturnsOnce(t *testing.T) {
	p := newPlayer(t, `"A":{`+tokenF+`,"End":true}`, `{}`)
	p.step(Returned{Frame: 1, Number: 1, Output: `1`})
	p.step(Returned{Frame: 1, Number: 1, Output: `2`})
	if n := len(p.history); n != 5 || len(p.x.PendingCalls()) != 0 {
		t.Errorf("%v, %d calls to make again; want one TaskSubmitted and none", p.trail(), len(p.x.PendingCalls()))
	}
}

func TestCatchersMatchInOrder(t *testing.T) {
	const b = `,"End":true},"B":{"Type":"Pass","ResultPath":"$.by","Result":"B","End":true},"C":{"Type":"Pass","ResultPath":"$.by","Result":"C","End":true}`
	for name, tt := range map[string]struct {
		catch, extra string
		reply        reply
		want         string
	}{
		"by name":                              {`{"ErrorEquals":["E"],"Next":"B"}`, ``, failing("E"), `SUCCEEDED {"Cause":"because","Error":"E","by":"B"}`},
		"the first that matches":               {`{"ErrorEquals":["F","E"],"Next":"B"},{"ErrorEquals":["States.ALL"],"Next":"C"}`, ``, failing("E"), `SUCCEEDED {"Cause":"because","Error":"E","by":"B"}`},
		"all the rest":                         {`{"ErrorEquals":["F"],"Next":"B"},{"ErrorEquals":["States.ALL"],"Next":"C"}`, ``, failing("E"), `SUCCEEDED {"Cause":"because","Error":"E","by":"C"}`},
		"the error goes where ResultPath says": {`{"ErrorEquals":["E"],"ResultPath":"$.x.err","Next":"B"}`, ``, failing("E"), `SUCCEEDED {"a":1,"by":"B","x":{"err":{"Cause":"because","Error":"E"}}}`},
		"ResultPath null drops the error":      {`{"ErrorEquals":["E"],"ResultPath":null,"Next":"B"}`, ``, failing("E"), `SUCCEEDED {"a":1,"by":"B"}`},
		"OutputPath does not apply":            {`{"ErrorEquals":["E"],"ResultPath":"$.err","Next":"B"}`, `,"OutputPath":"$.nothing"`, failing("E"), `SUCCEEDED {"a":1,"by":"B","err":{"Cause":"because","Error":"E"}}`},
		"a timeout, with an empty cause":       {`{"ErrorEquals":["States.Timeout"],"Next":"B"}`, `,"TimeoutSeconds":9`, silent, `SUCCEEDED {"Cause":"","Error":"States.Timeout","by":"B"}`},
		"a timeout is no failure of the task":  {`{"ErrorEquals":["States.TaskFailed"],"Next":"B"},{"ErrorEquals":["States.ALL"],"Next":"C"}`, `,"TimeoutSeconds":9`, silent, `SUCCEEDED {"Cause":"","Error":"States.Timeout","by":"C"}`},
		"a missing heartbeat":                  {`{"ErrorEquals":["States.HeartbeatTimeout"],"Next":"B"}`, `,"TimeoutSeconds":9,"HeartbeatSeconds":3`, silent, `SUCCEEDED {"Cause":"","Error":"States.Timeout","by":"B"}`},
		"a heartbeat's timeout is a timeout":   {`{"ErrorEquals":["States.Timeout"],"Next":"B"}`, `,"TimeoutSeconds":9,"HeartbeatSeconds":3`, silent, `SUCCEEDED {"Cause":"","Error":"States.Timeout","by":"B"}`},
		"a timeout is not a heartbeat's":       {`{"ErrorEquals":["States.HeartbeatTimeout"],"Next":"B"},{"ErrorEquals":["States.ALL"],"Next":"C"}`, `,"TimeoutSeconds":9`, silent, `SUCCEEDED {"Cause":"","Error":"States.Timeout","by":"C"}`},
		"a result that is too large":           {`{"ErrorEquals":["States.ALL"],"Next":"B"}`, ``, reply{out: `"` + strings.Repeat("x", MaxData) + `"`}, `SUCCEEDED {"Cause":"The state/task 'arn:aws:states:::lambda:invoke' returned a result with a size exceeding the maximum number of bytes service limit.","Error":"States.DataLimitExceeded","by":"B"}`},
		"no States.Runtime, not even by name":  {`{"ErrorEquals":["States.Runtime"],"Next":"B"},{"ErrorEquals":["States.ALL"],"Next":"C"}`, `,"OutputPath":"$.nothing"`, reply{out: "{}"}, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.nothing' : No results for path: $['nothing']`},
		"a ResultPath that does not fit":       {`{"ErrorEquals":["States.ResultPathMatchFailure"],"Next":"B"}`, `,"ResultPath":"$.a.b"`, reply{out: "{}"}, `SUCCEEDED {"Cause":"An error occurred while executing the state 'A' (entered at the event id #2). Unable to apply ResultPath '$.a.b': no member \"b\" in a value of type number","Error":"States.ResultPathMatchFailure","by":"B"}`},
	} {
		t.Run(name, func(t *testing.T) {
			catch := `{"ErrorEquals":["Never"],"Next":"C"},` + tt.catch
			p := newPlayer(t, `"A":{`+taskF+tt.extra+`,"Catch":[`+catch+`]`+b, `{"a":1}`).play(tt.reply)
			if got := p.outcome(); got != tt.want {
				t.Errorf("outcome %.300s\nwant    %s", got, tt.want)
			}
		})
	}
}

func TestTimeouts(t *testing.T) {
	for name, tt := range map[string]struct {
		fields  string
		input   string
		reply   reply
		outcome string
		after   time.Duration
	}{
		"a fixed one":                  {`"TimeoutSeconds":30`, `{}`, silent, "FAILED States.Timeout: <absent>", 30 * time.Second},
		"one from the input":           {`"TimeoutSecondsPath":"$.t"`, `{"t":40}`, silent, "FAILED States.Timeout: <absent>", 40 * time.Second},
		"an answer in time":            {`"TimeoutSeconds":30`, `{}`, reply{out: "1", after: 29 * time.Second}, "SUCCEEDED 1", 29 * time.Second},
		"none":                         {`"ResultPath":"$"`, `{}`, reply{out: "1", after: 1000 * time.Hour}, "SUCCEEDED 1", 1000 * time.Hour},
		"one that is not there":        {`"TimeoutSecondsPath":"$.t"`, `{}`, silent, "FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.t' : No results for path: $['t']", 0},
		"one that is no number":        {`"TimeoutSecondsPath":"$.t"`, `{"t":"x"}`, silent, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). The TimeoutSecondsPath field refers to value "x" which is not a valid integer: $.t`, 0},
		"a heartbeat from the input":   {`"HeartbeatSecondsPath":"$.h","TimeoutSeconds":30`, `{"h":4}`, silent, "FAILED States.Timeout: <absent>", 4 * time.Second},
		"a timeout before a heartbeat": {`"HeartbeatSecondsPath":"$.h","TimeoutSecondsPath":"$.t"`, `{"h":9,"t":5}`, silent, "FAILED States.Timeout: <absent>", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, `"A":{`+arnF+`,`+tt.fields+`,"End":true}`, tt.input).play(tt.reply)
			if got := p.outcome(); got != tt.outcome || p.now.Sub(noon) != tt.after {
				t.Errorf("after %v: %s\nwant after %v: %s", p.now.Sub(noon), got, tt.after, tt.outcome)
			}
		})
	}
}

func TestHeartbeatsKeepATaskAlive(t *testing.T) {
	p := newPlayer(t, `"A":{`+tokenF+`,"HeartbeatSeconds":10,"End":true}`, `{}`)
	token := p.x.Tokens()[0]
	for range 5 {
		p.now = p.now.Add(8 * time.Second)
		p.step(Beaten{Token: token})
	}
	if due, _ := p.x.Due(); due.Sub(noon) != 50*time.Second {
		t.Errorf("due after %v; want 10 s after the last heartbeat, 50 s", due.Sub(noon))
	}
	p.play(reply{out: "1"})
	if got := p.outcome(); got != "FAILED States.Timeout: <absent>" || p.now.Sub(noon) != 50*time.Second {
		t.Errorf("after %v: %s; want States.Timeout after 50 s", p.now.Sub(noon), got)
	}
	if len(p.gone) != 0 {
		t.Errorf("%v were given up; the function had returned", p.gone)
	}
}

func TestTokens(t *testing.T) {
	p := newPlayer(t, `"A":{`+tokenF+`,"Retry":[{"ErrorEquals":["E"]}],"End":true}`, `{}`)
	first := p.x.Tokens()[0]
	if err := p.try(Answered{Token: "guess", Output: "1"}); !errors.Is(err, ErrNoTask) {
		t.Errorf("answer to a guess = %v; want ErrNoTask", err)
	}
	if err := p.try(Answered{Token: "", Output: "1"}); !errors.Is(err, ErrNoTask) {
		t.Errorf("answer to no token = %v; want ErrNoTask", err)
	}
	kind := "E"
	p.step(Answered{Token: first, Failure: &Failure{Error: &kind}})
	if err := p.try(Answered{Token: first, Output: "1"}); !errors.Is(err, ErrNoTask) {
		t.Errorf("second answer = %v; want ErrNoTask", err)
	}
	p.calls = nil
	p.now = p.now.Add(time.Second)
	p.step(Woken{})
	second := p.x.Tokens()[0]
	if second == first {
		t.Error("the retry has the first attempt's token")
	}
	// The first attempt's function returns late, and must not stand for the
	// second's.
	p.step(Returned{Frame: 1, Number: 1, Output: `"late"`})
	p.step(Answered{Token: second, Output: `"yes"`})
	if got := p.outcome(); got != `SUCCEEDED "yes"` {
		t.Errorf("outcome %s", got)
	}
	p.step(Returned{Frame: 1, Number: 2, Output: `"late"`})
	if n := len(p.history); p.history[n-1].Type != "ExecutionSucceeded" {
		t.Errorf("a late return wrote %s", p.history[n-1].Type)
	}
}

func TestMachineTimeout(t *testing.T) {
	p := newPlayer(t, `{"TimeoutSeconds":60,"StartAt":"A","States":{"A":{`+arnF+`,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"End":true},"B":{"Type":"Succeed"}}}`, `{}`)
	p.play(silent)
	if got := p.outcome(); got != "TIMED_OUT <absent>: <absent>" || p.now.Sub(noon) != time.Minute {
		t.Errorf("after %v: %s; want TIMED_OUT after a minute, past all catchers", p.now.Sub(noon), got)
	}
	if len(p.gone) != 1 {
		t.Errorf("%d calls were given up; want 1", len(p.gone))
	}
}

// An engine that was down when an execution's time ended may hear of a stop before it looks at the clock.
func TestAStopThatComesAfterTheTimeIsOver(t *testing.T) {
	const machine = `{"TimeoutSeconds":60,"StartAt":"A","States":{"A":{` + arnF + `,"End":true}}}`
	for after, want := range map[time.Duration]string{
		time.Minute - time.Millisecond: "ABORTED Operator: <absent>",
		time.Minute:                    "TIMED_OUT <absent>: <absent>",
		time.Hour:                      "TIMED_OUT <absent>: <absent>",
	} {
		p := newPlayer(t, machine, `{}`)
		p.now = p.now.Add(after)
		kind := "Operator"
		p.step(Stopped{Failure{Error: &kind}})
		if got := p.outcome(); got != want || len(p.gone) != 1 {
			t.Errorf("stopped after %v: %s, %d calls given up; want %s and 1", after, got, len(p.gone), want)
		}
	}
}

func TestStopEndsEverything(t *testing.T) {
	p := newPlayer(t, `"A":{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{`+arnF+`,"End":true}}},{"StartAt":"C","States":{"C":{"Type":"Wait","Seconds":9,"End":true}}}],"End":true}`, `{}`)
	kind := "Operator"
	p.step(Stopped{Failure{Error: &kind}})
	if got := p.outcome(); got != "ABORTED Operator: <absent>" || len(p.gone) != 1 {
		t.Errorf("%s, %d calls given up; want ABORTED and 1", got, len(p.gone))
	}
	if trail := p.trail(); trail[len(trail)-1] != fmt.Sprintf("%d<0 ExecutionAborted", len(trail)) {
		t.Errorf("history ends with %s; want ExecutionAborted after no event", trail[len(trail)-1])
	}
	if err := p.try(Stopped{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("second stop = %v; want ErrNotRunning", err)
	}
	if _, ok := p.x.Due(); ok {
		t.Error("something is due after the end")
	}
}

func TestRedriveGoesOnWhereItStopped(t *testing.T) {
	p := newPlayer(t, `{"StartAt":"P","States":{"P":{"Type":"Pass","Result":1,"ResultPath":"$.p","Next":"A"},
		"A":{"Type":"Parallel","Branches":[
			{"StartAt":"B","States":{"B":{`+arnF+`,"End":true}}},
			{"StartAt":"C","States":{"C":{`+strings.ReplaceAll(arnF, ":f\"", ":g\"")+`,"Retry":[{"ErrorEquals":["E"],"MaxAttempts":1}],"End":true}}}],"End":true}}}`, `{}`)
	p.play(reply{out: `"b"`}, failing("E"))
	if got := p.outcome(); got != "FAILED E: because" {
		t.Fatalf("outcome %s", got)
	}
	p.called = nil
	p.step(Redriven{})
	if err := p.try(Redriven{}); !errors.Is(err, ErrNotRedrivable) {
		t.Errorf("redrive of a running execution = %v; want ErrNotRedrivable", err)
	}
	p.play(failing("E"), reply{out: `"c"`})
	if got := p.outcome(); got != `SUCCEEDED ["b","c"]` {
		t.Errorf("outcome %s", got)
	}
	const g = `arn:aws:lambda:eu-west-1:123456789012:function:g {"p":1}`
	if diff := cmp.Diff([]string{"1s " + g, "2s " + g}, p.called); diff != "" {
		t.Errorf("calls after the redrive: the failed branch alone, with all its retries (-want +got):\n%s", diff)
	}
	trail := p.trail()
	at := -1
	for i, e := range trail {
		if strings.HasSuffix(e, "ExecutionRedriven") {
			at = i
		}
	}
	if at < 0 || !strings.HasSuffix(trail[at+1], "LambdaFunctionScheduled") {
		t.Errorf("history %v; want the task scheduled after ExecutionRedriven, without entering its state", trail)
	}
	if err := p.try(Redriven{}); !errors.Is(err, ErrNotRedrivable) {
		t.Errorf("redrive after success = %v; want ErrNotRedrivable", err)
	}
}

func TestLimits(t *testing.T) {
	big := `{"a":"` + strings.Repeat("x", MaxData*6/10) + `"}`
	for name, tt := range map[string]struct{ states, input, want string }{
		"an output that grows too large": {`"A":{"Type":"Pass","Parameters":{"x.$":"$","y.$":"$"},"End":true}`, big, "FAILED States.DataLimitExceeded: The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."},
		"a function's result that does":  {`"A":{"Type":"Pass","Parameters":{"x.$":"States.Array($,$)"},"End":true}`, big, "FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). The function 'States.Array($,$)' had the following error: the result of States.Array is larger than 262144 bytes"},
		"branches that do together":      {`"A":{"Type":"Parallel","Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"D"}],"End":true},"D":{"Type":"Succeed"}`, big, "FAILED States.DataLimitExceeded: The state/task 'A' returned a result with a size exceeding the maximum number of bytes service limit."},
		"a loop without end":             {`"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.a","IsPresent":false,"Next":"C"}],"Default":"A"},"C":{"Type":"Succeed"}`, `{"a":1}`, "FAILED States.Runtime: The execution reached the maximum number of history events (25000)."},
		"a loop without end that writes": {`"A":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, 1)"},"ResultPath":"$","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":0,"Next":"C"}],"Default":"A"},"C":{"Type":"Succeed"}`, `{"n":1}`, "FAILED States.Runtime: The execution reached the maximum number of history events (25000)."},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, tt.states, tt.input).play()
			if got := p.outcome(); got != tt.want {
				t.Errorf("outcome %.300s\nwant    %s", got, tt.want)
			}
			if p.x.LastEvent > MaxEvents || int(p.x.LastEvent) != len(p.history) {
				t.Errorf("%d events, the last has ID %d", len(p.history), p.x.LastEvent)
			}
		})
	}
}

// What a definition of some kilobytes gathered before anybody looked at its size ended the process: all members of a
// template, or all arguments of a function, each the whole input again.
func TestADefinitionDoesNotTakeTheMemory(t *testing.T) {
	text := `{"a":"` + strings.Repeat("x", MaxData-20) + `"}`
	list := `{"l":[` + strings.TrimSuffix(strings.Repeat("1,", MaxData/2-10), ",") + `]}`
	members := func(path string) string {
		var b strings.Builder
		for i := range 300 {
			fmt.Fprintf(&b, `"k%d.$":%q,`, i, path)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	call := func(format string, path string) string {
		return fmt.Sprintf(`{"x.$":"`+format+`"}`, strings.Repeat(","+path, 300))
	}
	const limit, state = `FAILED States.DataLimitExceeded: The state/task 'A'`, `"A":{"Type":"Pass","%s":%s,%s"End":true}`
	for name, tt := range map[string]struct{ states, input, want string }{
		"members, each the input":        {fmt.Sprintf(state, "Parameters", members("$"), ""), text, limit},
		"members, each an array":         {fmt.Sprintf(state, "Parameters", members("$.l[*]"), ""), list, limit},
		"members that are dropped":       {fmt.Sprintf(state, "Parameters", members("$.l[*]"), `"ResultPath":null,`), list, limit},
		"elements, each an array":        {fmt.Sprintf(state, "Parameters", `{"x":[`+strings.TrimSuffix(strings.Repeat(`{"y.$":"$.l[*]"},`, 300), ",")+`]}`, ""), list, limit},
		"a Map's items, each an array":   {`"A":{"Type":"Map","ItemsPath":"$.l","ItemSelector":` + members("$.l[*]") + `,"ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Pass","End":true}}},"End":true}`, list, limit},
		"a text of many":                 {fmt.Sprintf(state, "Parameters", call("States.Format('"+strings.Repeat("{}", 300)+"'%s)", "$"), ""), text, "had the following error: the arguments of States.Format are larger than"},
		"a text of many arrays":          {fmt.Sprintf(state, "Parameters", call("States.Format('"+strings.Repeat("{}", 300)+"'%s)", "$.l[*]"), ""), list, "had the following error: the arguments of States.Format are larger than"},
		"the length of an array of many": {fmt.Sprintf(state, "Parameters", call("States.ArrayLength(States.Array(0%s))", "$.l[*]"), ""), list, "had the following error: the arguments of States.Array are larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := newPlayer(t, tt.states, tt.input).play().outcome()
			runtime.ReadMemStats(&after)
			if !strings.HasPrefix(got, "FAILED") || !strings.Contains(got, tt.want) {
				t.Errorf("outcome %.300s\nwant    %s", got, tt.want)
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 100 {
				t.Errorf("it took %d MB", took)
			}
		})
	}
}

// One step does not gather the history of a long loop in memory.
func TestAStepIsBounded(t *testing.T) {
	d, err := Parse([]byte(`{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, 1)","big.$":"$.big"},"Next":"B"},
		"B":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericLessThan":0,"Next":"C"}],"Default":"A"},"C":{"Type":"Succeed"}}}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	x := &Execution{Input: fmt.Sprintf(`{"n":1,"big":%q}`, strings.Repeat("x", 100000)), Started: noon}
	res, err := d.Step(x, Begun{}, Env{Now: noon})
	if err != nil || len(res.History) > 100 {
		t.Errorf("Step() made %d events of 100 kB each, %v; want fewer", len(res.History), err)
	}
	if due, ok := x.Due(); !ok || due.After(noon) {
		t.Errorf("Due() = %v, %v; want at once", due, ok)
	}
	before := x.LastEvent
	if _, err := d.Step(x, Woken{}, Env{Now: noon}); err != nil || x.LastEvent <= before {
		t.Errorf("the next step went from event %d to %d, %v", before, x.LastEvent, err)
	}
}
