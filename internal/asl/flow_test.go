package asl

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDataFlow(t *testing.T) {
	for name, tt := range map[string]struct{ states, input, want string }{
		"Pass hands its input on":                {`"A":{"Type":"Pass","End":true}`, `{"a":1}`, `SUCCEEDED {"a":1}`},
		"numbers keep their text":                {`"A":{"Type":"Pass","End":true}`, `0.0`, `SUCCEEDED 0.0`},
		"Result is the output":                   {`"A":{"Type":"Pass","Result":{"b":2},"End":true}`, `{"a":1}`, `SUCCEEDED {"b":2}`},
		"Result is not computed":                 {`"A":{"Type":"Pass","Result":{"b.$":"$.a"},"End":true}`, `{"a":1}`, `SUCCEEDED {"b.$":"$.a"}`},
		"Result may be false":                    {`"A":{"Type":"Pass","Result":false,"End":true}`, `{"a":1}`, `SUCCEEDED false`},
		"ResultPath puts it into the raw input":  {`"A":{"Type":"Pass","InputPath":"$.a","ResultPath":"$.b.c","End":true}`, `{"a":1}`, `SUCCEEDED {"a":1,"b":{"c":1}}`},
		"ResultPath null drops it":               {`"A":{"Type":"Pass","Result":5,"ResultPath":null,"End":true}`, `{"a":1}`, `SUCCEEDED {"a":1}`},
		"InputPath null is an empty object":      {`"A":{"Type":"Pass","InputPath":null,"End":true}`, `{"a":1}`, `SUCCEEDED {}`},
		"OutputPath picks":                       {`"A":{"Type":"Pass","OutputPath":"$.a","End":true}`, `{"a":[1]}`, `SUCCEEDED [1]`},
		"OutputPath null is an empty object":     {`"A":{"Type":"Pass","OutputPath":null,"End":true}`, `{"a":[1]}`, `SUCCEEDED {}`},
		"Parameters are computed where they say": {`"A":{"Type":"Pass","Parameters":{"x.$":"$.a","y":{"z.$":"$$.Execution.Name"},"l":[{"v.$":"$.a"},2]},"End":true}`, `{"a":1}`, `SUCCEEDED {"l":[{"v":1},2],"x":1,"y":{"z":"x"}}`},
		"InputPath may name the context":         {`"A":{"Type":"Pass","InputPath":"$$.StateMachine","End":true}`, `{}`, `SUCCEEDED {"Id":"arn:m","Name":"m"}`},
		"the context knows execution and state":  {`"A":{"Type":"Pass","Parameters":{"c.$":"$$"},"End":true}`, `[7]`, `SUCCEEDED {"c":{"Execution":{"Id":"arn:x","Input":[7],"Name":"x","RoleArn":"role","StartTime":"2026-11-21T12:00:00.000Z"},"State":{"EnteredTime":"2026-11-21T12:00:00.000Z","Name":"A","RetryCount":0},"StateMachine":{"Id":"arn:m","Name":"m"}}}`},
		"an input is written anew elsewhere":     {`"A":{"Type":"Pass","InputPath":"$.b","Parameters":{"x.$":"$$.Execution.Input","y.$":"$"},"End":true}`, ` { "b" : { "d" : 2, "c" : 1 }, "a" : 1 } `, `SUCCEEDED {"x":{"a":1,"b":{"c":1,"d":2}},"y":{"c":1,"d":2}}`},
		"an input is written anew after a wait":  {`"A":{"Type":"Wait","Seconds":1,"Next":"B"},"B":{"Type":"Pass","ResultPath":"$.c","InputPath":"$.a","Next":"C"},"C":{"Type":"Wait","Seconds":1,"End":true}`, ` { "b" : 1, "a" : [ 2 ] } `, `SUCCEEDED {"a":[2],"b":1,"c":[2]}`},
		"a Map takes items that have waited":     {`"A":{"Type":"Pass","Result":{"l":[1,{"a":2}]},"Next":"W"},"W":{"Type":"Wait","Seconds":1,"Next":"B"},"B":{"Type":"Map","ItemsPath":"$.l","ItemProcessor":{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}},"End":true}`, `{}`, `SUCCEEDED [1,{"a":2}]`},
		"Succeed applies both paths":             {`"A":{"Type":"Succeed","InputPath":"$.a","OutputPath":"$.b"}`, `{"a":{"b":3}}`, `SUCCEEDED 3`},
		"a missing InputPath":                    {`"A":{"Type":"Pass","InputPath":"$.no","End":true}`, `{}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.no' : No results for path: $['no']`},
		"an InputPath that ends half-way":        {`"A":{"Type":"Pass","InputPath":"$.a.b.c","End":true}`, `{"a":{}}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.a.b.c' : Missing property in path $['a']['b']`},
		"an OutputPath past the end":             {`"A":{"Type":"Pass","OutputPath":"$.a[1]","End":true}`, `{"a":[0]}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.a[1]' : No results for path: $['a'][1]`},
		"a ResultPath that cannot be":            {`"A":{"Type":"Pass","Result":1,"ResultPath":"$.a.b","End":true}`, `{"a":1}`, `FAILED States.ResultPathMatchFailure: An error occurred while executing the state 'A' (entered at the event id #2). Unable to apply ResultPath '$.a.b': no member "b" in a value of type number`},
		"an intrinsic function that fails":       {`"A":{"Type":"Pass","Parameters":{"x.$":"States.MathAdd($.a, 1)"},"End":true}`, `{"a":"1"}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). The function 'States.MathAdd($.a, 1)' had the following error: argument 1 must be a number but was string`},
		"Fail says error and cause":              {`"A":{"Type":"Fail","Error":"E","Cause":"C"}`, `{}`, `FAILED E: C`},
		"Fail may say nothing":                   {`"A":{"Type":"Fail"}`, `{}`, `FAILED <absent>: <absent>`},
		"Fail computes error and cause":          {`"A":{"Type":"Fail","ErrorPath":"$.e","CausePath":"States.Format('at {}', $$.State.Name)"}`, `{"e":"E"}`, `FAILED E: at A`},
		"Fail with an error that is no text":     {`"A":{"Type":"Fail","ErrorPath":"$.e"}`, `{"e":1}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). The value of the field 'ErrorPath' must be a string but was number`},
		"Choice goes on with its input":          {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"B"}]},"B":{"Type":"Succeed"}`, `{"a":1.0}`, `SUCCEEDED {"a":1.0}`},
		"Choice without a match":                 {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"B"}]},"B":{"Type":"Succeed"}`, `{"a":2}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Failed to transition out of the state. The state does not point to a next state.`},
		"Choice of what is not there":            {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":1,"Next":"B"}],"Default":"B"},"B":{"Type":"Succeed"}`, `{}`, `FAILED States.Runtime: An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.a': The choice state's condition path references an invalid value.`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newPlayer(t, tt.states, tt.input).play().outcome(); got != tt.want {
				t.Errorf("outcome %s\nwant    %s", got, tt.want)
			}
		})
	}
}

func TestChoiceRules(t *testing.T) {
	const data = `{"s":"m","n":5,"t":"2026-01-02T03:04:05Z","b":true,"z":null,"s2":"m","n2":5.0,"t2":"2026-01-02T04:04:05+01:00","n3":6}`
	for rule, want := range map[string]bool{
		`"Variable":"$.s","StringEquals":"m"`:                                                  true,
		`"Variable":"$.s","StringLessThan":"n"`:                                                true,
		`"Variable":"$.s","StringGreaterThanEquals":"n"`:                                       false,
		`"Variable":"$.s","StringEqualsPath":"$.s2"`:                                           true,
		`"Variable":"$.n","StringEquals":"5"`:                                                  false,
		`"Variable":"$.s","StringMatches":"*m"`:                                                true,
		`"Variable":"$.n","NumericEqualsPath":"$.n2"`:                                          true,
		`"Variable":"$.n","NumericLessThanPath":"$.n3"`:                                        true,
		`"Variable":"$.n","NumericGreaterThan":5`:                                              false,
		`"Variable":"$.n","NumericGreaterThanEquals":5`:                                        true,
		`"Variable":"$.s","NumericLessThanEquals":5`:                                           false,
		`"Variable":"$.t","TimestampEqualsPath":"$.t2"`:                                        true,
		`"Variable":"$.t","TimestampLessThan":"2026-01-02T03:04:06Z"`:                          true,
		`"Variable":"$.s","TimestampEquals":"2026-01-02T03:04:05Z"`:                            false,
		`"Variable":"$.b","BooleanEquals":true`:                                                true,
		`"Variable":"$.s","BooleanEquals":false`:                                               false,
		`"Variable":"$.b","BooleanEqualsPath":"$.b"`:                                           true,
		`"Variable":"$.z","IsNull":true`:                                                       true,
		`"Variable":"$.s","IsNull":true`:                                                       false,
		`"Variable":"$.x","IsPresent":false`:                                                   true,
		`"Variable":"$.z","IsPresent":true`:                                                    true,
		`"Variable":"$.s","IsNumeric":false`:                                                   true,
		`"Variable":"$.n","IsNumeric":true`:                                                    true,
		`"Variable":"$.t","IsTimestamp":true`:                                                  true,
		`"Variable":"$.s","IsTimestamp":false`:                                                 true,
		`"Variable":"$.b","IsBoolean":true`:                                                    true,
		`"Variable":"$.b","IsString":true`:                                                     false,
		`"Variable":"$$.State.Name","StringEquals":"A"`:                                        true,
		`"And":[{"Variable":"$.b","BooleanEquals":true},{"Variable":"$.n","NumericEquals":5}]`: true,
		`"And":[{"Variable":"$.x","IsPresent":true},{"Variable":"$.x","NumericEquals":5}]`:     false,
		`"Or":[{"Variable":"$.n","NumericEquals":5},{"Variable":"$.x","NumericEquals":5}]`:     true,
		`"Not":{"Variable":"$.n","NumericEquals":4}`:                                           true,
	} {
		t.Run(rule, func(t *testing.T) {
			p := newPlayer(t, `"A":{"Type":"Choice","Choices":[{`+rule+`,"Next":"Y"}],"Default":"N"},"Y":{"Type":"Pass","Result":true,"End":true},"N":{"Type":"Pass","Result":false,"End":true}`, data).play()
			if got := p.outcome(); got != fmt.Sprintf("SUCCEEDED %v", want) {
				t.Errorf("{%s} of %s: %s; want %v", rule, data, got, want)
			}
		})
	}
}

func TestWaits(t *testing.T) {
	at := "An error occurred while executing the state 'A' (entered at the event id #2). "
	for name, tt := range map[string]struct {
		wait, input string
		want        string
		after       time.Duration
	}{
		"seconds":                           {`"Seconds":90`, `{}`, `SUCCEEDED {}`, 90 * time.Second},
		"seconds from the input":            {`"SecondsPath":"$.s"`, `{"s":90}`, `SUCCEEDED {"s":90}`, 90 * time.Second},
		"seconds from what InputPath gives": {`"InputPath":"$.x","SecondsPath":"$.s"`, `{"x":{"s":9}}`, `SUCCEEDED {"s":9}`, 9 * time.Second},
		"a moment":                          {`"Timestamp":"2026-11-21T14:00:00+01:00"`, `{}`, `SUCCEEDED {}`, time.Hour},
		"a moment from the input":           {`"TimestampPath":"$.t"`, `{"t":"2026-11-24T12:00:00.5Z"}`, `SUCCEEDED {"t":"2026-11-24T12:00:00.5Z"}`, 72*time.Hour + 500*time.Millisecond},
		"a moment that has passed":          {`"Timestamp":"2016-01-01T00:00:00Z"`, `{}`, `SUCCEEDED {}`, 0},
		"no time":                           {`"SecondsPath":"$.s"`, `{"s":0}`, `SUCCEEDED {"s":0}`, 0},
		"negative seconds":                  {`"SecondsPath":"$.s"`, `{"s":-1}`, "FAILED States.Runtime: " + at + "The SecondsPath parameter references a negative value: $.s == -1", 0},
		"part of a second":                  {`"SecondsPath":"$.s"`, `{"s":1.5}`, "FAILED States.Runtime: " + at + "The SecondsPath parameter cannot be parsed as a long value: $.s == 1.5", 0},
		"seconds as text":                   {`"SecondsPath":"$.s"`, `{"s":"1"}`, "FAILED States.Runtime: " + at + "The SecondsPath parameter cannot be parsed as a long value: $.s == 1", 0},
		"missing seconds":                   {`"SecondsPath":"$.s"`, `{}`, "FAILED States.Runtime: " + at + "The SecondsPath parameter does not reference an input value: $.s", 0},
		"a moment without offset":           {`"TimestampPath":"$.t"`, `{"t":"2026-11-24T12:00:00"}`, "FAILED States.Runtime: " + at + "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: $.t == 2026-11-24T12:00:00", 0},
		"longer than AWS can count":         {`"SecondsPath":"$.s"`, `{"s":2147483648}`, "FAILED States.Runtime: " + at + "Wait state delay is too long", 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, `"A":{"Type":"Wait",`+tt.wait+`,"End":true}`, tt.input).play()
			if got := p.outcome(); got != tt.want || p.now.Sub(noon) != tt.after {
				t.Errorf("after %v: %s\nwant after %v: %s", p.now.Sub(noon), got, tt.after, tt.want)
			}
		})
	}
}

func TestHistoryOfTasks(t *testing.T) {
	for name, tt := range map[string]struct {
		states  string
		replies []reply
		want    []string
	}{
		"lambda:invoke": {`"A":{` + taskF + `,"End":true}`, []reply{{out: "1"}}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 TaskScheduled", "4<3 TaskStarted", "5<4 TaskSucceeded", "6<5 TaskStateExited", "7<6 ExecutionSucceeded"}},
		"a function's ARN": {`"A":{` + arnF + `,"End":true}`, []reply{{out: "1"}}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 LambdaFunctionScheduled", "4<3 LambdaFunctionStarted", "5<4 LambdaFunctionSucceeded", "6<5 TaskStateExited", "7<6 ExecutionSucceeded"}},
		"a retry has no event of its own": {`"A":{` + taskF + `,"Retry":[{"ErrorEquals":["E"]}],"End":true}`, []reply{failing("E"), {out: "1"}}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 TaskScheduled", "4<3 TaskStarted", "5<4 TaskFailed", "6<5 TaskScheduled", "7<6 TaskStarted", "8<7 TaskSucceeded", "9<8 TaskStateExited", "10<9 ExecutionSucceeded"}},
		"a catch leaves the state": {`"A":{` + taskF + `,"Catch":[{"ErrorEquals":["E"],"Next":"B"}],"End":true},"B":{"Type":"Succeed"}`, []reply{failing("E")}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 TaskScheduled", "4<3 TaskStarted", "5<4 TaskFailed", "6<5 TaskStateExited", "7<6 SucceedStateEntered", "8<7 SucceedStateExited", "9<8 ExecutionSucceeded"}},
		"an error that nobody handles does not leave it": {`"A":{` + taskF + `,"End":true}`, []reply{failing("E")}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 TaskScheduled", "4<3 TaskStarted", "5<4 TaskFailed", "6<5 ExecutionFailed"}},
		"a timeout": {`"A":{` + arnF + `,"TimeoutSeconds":5,"End":true}`, []reply{silent}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 LambdaFunctionScheduled", "4<3 LambdaFunctionStarted", "5<4 LambdaFunctionTimedOut", "6<5 ExecutionFailed"}},
		"a token that nobody answers": {`"A":{` + tokenF + `,"TimeoutSeconds":5,"End":true}`, []reply{{out: "1"}}, []string{
			"1<0 ExecutionStarted", "2<0 TaskStateEntered", "3<2 TaskScheduled", "4<3 TaskStarted", "5<4 TaskSubmitted", "6<5 TaskTimedOut", "7<6 ExecutionFailed"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, tt.states, `{}`).play(tt.replies...)
			if diff := cmp.Diff(tt.want, p.trail()); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsCarryWhatTheAPIShows(t *testing.T) {
	p := newPlayer(t, `"A":{`+tokenF+`,"TimeoutSecondsPath":"$.t","HeartbeatSeconds":7,"End":true}`, `{"t": 60}`)
	p.answer(reply{out: `{"StatusCode":200}`})
	cause := "no"
	p.step(Answered{Token: p.x.Tokens()[0], Failure: &Failure{Cause: &cause}})
	var got []string
	for _, e := range p.history {
		data, err := e.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var back HistoryEvent
		if err := back.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s read back (-want +got):\n%s", data, diff)
		}
		got = append(got, string(data))
	}
	const head = `{"timestamp":1795262400,"type":`
	want := []string{
		head + `"ExecutionStarted","id":1,"previousEventId":0,"executionStartedEventDetails":{"input":"{\"t\": 60}","inputDetails":{"truncated":false},"roleArn":"role"}}`,
		head + `"TaskStateEntered","id":2,"previousEventId":0,"stateEnteredEventDetails":{"name":"A","input":"{\"t\": 60}","inputDetails":{"truncated":false}}}`,
		head + `"TaskScheduled","id":3,"previousEventId":2,"taskScheduledEventDetails":{"resourceType":"lambda","resource":"invoke.waitForTaskToken","region":"eu-west-1","parameters":"{\"FunctionName\":\"f\",\"Payload\":{\"t\":\"token-2-1\"}}","timeoutInSeconds":60,"heartbeatInSeconds":7}}`,
		head + `"TaskStarted","id":4,"previousEventId":3,"taskStartedEventDetails":{"resourceType":"lambda","resource":"invoke.waitForTaskToken"}}`,
		head + `"TaskSubmitted","id":5,"previousEventId":4,"taskSubmittedEventDetails":{"resourceType":"lambda","resource":"invoke.waitForTaskToken","output":"{\"StatusCode\":200}","outputDetails":{"truncated":false}}}`,
		head + `"TaskFailed","id":6,"previousEventId":5,"taskFailedEventDetails":{"resourceType":"lambda","resource":"invoke.waitForTaskToken","cause":"no"}}`,
		head + `"ExecutionFailed","id":7,"previousEventId":6,"executionFailedEventDetails":{"cause":"no"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
