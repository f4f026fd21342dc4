package asl

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// branches makes a Parallel state A of one-state branches.
func branches(more string, states ...string) string {
	var b []string
	for i, s := range states {
		b = append(b, fmt.Sprintf(`{"StartAt":"S%d","States":{"S%d":{%s}}}`, i, i, s))
	}
	return `"A":{"Type":"Parallel","Branches":[` + strings.Join(b, ",") + `]` + more + `}`
}

const passEnd = `"Type":"Pass","End":true`

func TestParallel(t *testing.T) {
	arn := func(name string) string { return strings.Replace(arnF, ":f\"", ":"+name+"\"", 1) + `,"End":true` }
	for name, tt := range map[string]struct {
		states, input string
		replies       []reply
		want          string
		gone          int
	}{
		"results are in the order of branches":   {branches(`,"End":true`, arn("f"), passEnd, arn("g")), `1`, []reply{{out: `"f"`}, {out: `"g"`}}, `SUCCEEDED ["f",1,"g"]`, 0},
		"branches get the computed input":        {branches(`,"Parameters":{"x.$":"$.a"},"End":true`, passEnd, passEnd), `{"a":1}`, nil, `SUCCEEDED [{"x":1},{"x":1}]`, 0},
		"the result goes through the selector":   {branches(`,"ResultSelector":{"first.$":"$[0]"},"ResultPath":"$.r","End":true`, passEnd, passEnd), `{"a":1}`, nil, `SUCCEEDED {"a":1,"r":{"first":{"a":1}}}`, 0},
		"a failing branch ends the others":       {branches(`,"End":true`, arn("f"), arn("g")), `1`, []reply{failing("E")}, `FAILED E: because`, 1},
		"its error can be caught":                {branches(`,"Catch":[{"ErrorEquals":["E"],"ResultPath":"$.e","Next":"B"}],"End":true`, arn("f"), arn("g")) + `,"B":{"Type":"Succeed"}`, `{}`, []reply{failing("E")}, `SUCCEEDED {"e":{"Cause":"because","Error":"E"}}`, 1},
		"and retried, with all branches":         {branches(`,"Retry":[{"ErrorEquals":["E"]}],"End":true`, arn("f"), passEnd), `1`, []reply{failing("E"), {out: `2`}}, `SUCCEEDED [2,1]`, 0},
		"a state in a branch catches for itself": {branches(`,"End":true`, arnF+`,"Catch":[{"ErrorEquals":["E"],"Next":"T"}],"End":true},"T":{"Type":"Pass","Result":"caught","End":true`, passEnd), `1`, []reply{failing("E")}, `SUCCEEDED ["caught",1]`, 0},
		"States.Runtime goes through":            {branches(`,"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],"End":true`, `"Type":"Pass","InputPath":"$.no","End":true`) + `,"B":{"Type":"Succeed"}`, `{}`, nil, `FAILED States.Runtime: An error occurred while executing the state 'S0' (entered at the event id #4). Invalid path '$.no' : No results for path: $['no']`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer(t, tt.states, tt.input).play(append(tt.replies, silent)...)
			if got := p.outcome(); got != tt.want || len(p.gone) != tt.gone {
				t.Errorf("outcome %s, %d calls given up\nwant    %s, %d", got, len(p.gone), tt.want, tt.gone)
			}
		})
	}
}

func TestHistoryOfParallel(t *testing.T) {
	p := newPlayer(t, branches(`,"Next":"B"`, passEnd, passEnd)+`,"B":{"Type":"Succeed"}`, `1`).play()
	want := []string{
		"1<0 ExecutionStarted", "2<0 ParallelStateEntered", "3<2 ParallelStateStarted",
		"4<3 PassStateEntered", "5<4 PassStateExited", "6<3 PassStateEntered", "7<6 PassStateExited",
		"8<7 ParallelStateSucceeded", "9<7 ParallelStateExited", // as recorded, the exit does not follow the success
		"10<9 SucceedStateEntered", "11<10 SucceedStateExited", "12<11 ExecutionSucceeded",
	}
	if diff := cmp.Diff(want, p.trail()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}

	p = newPlayer(t, branches(`,"Retry":[{"ErrorEquals":["E"],"MaxAttempts":1}],"End":true`, `"Type":"Fail","Error":"E"`), `1`).play()
	want = []string{
		"1<0 ExecutionStarted", "2<0 ParallelStateEntered", "3<2 ParallelStateStarted", "4<3 FailStateEntered",
		"5<4 ParallelStateStarted", "6<5 FailStateEntered", "7<6 ParallelStateFailed", "8<7 ExecutionFailed",
	}
	if diff := cmp.Diff(want, p.trail()); diff != "" {
		t.Errorf("history of a retry (-want +got):\n%s", diff)
	}
}

// items makes a Map state A with one state in its processor.
func items(more, state string) string {
	return `"A":{"Type":"Map",` + more + `"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"S","States":{"S":{` + state + `}}},"End":true}`
}

func TestMap(t *testing.T) {
	at := "An error occurred while executing the state 'A' (entered at the event id #2). "
	for name, tt := range map[string]struct {
		states, input string
		want          string
	}{
		"each item goes through":            {items(``, passEnd), `[1,"x",{"a":2}]`, `SUCCEEDED [1,"x",{"a":2}]`},
		"no items":                          {items(``, passEnd), `[]`, `SUCCEEDED []`},
		"items from a path":                 {items(`"ItemsPath":"$.l",`, passEnd), `{"l":[1]}`, `SUCCEEDED [1]`},
		"ItemSelector sees input and item":  {items(`"InputPath":"$.in","ItemsPath":"$.l","ItemSelector":{"i.$":"$$.Map.Item.Index","v.$":"$$.Map.Item.Value","k.$":"$.k"},`, passEnd), `{"in":{"l":["a","b"],"k":7}}`, `SUCCEEDED [{"i":0,"k":7,"v":"a"},{"i":1,"k":7,"v":"b"}]`},
		"Parameters is its older name":      {items(`"Parameters":{"v.$":"$$.Map.Item.Value"},`, passEnd), `["a"]`, `SUCCEEDED [{"v":"a"}]`},
		"the context knows the item inside": {items(``, `"Type":"Pass","Parameters":{"i.$":"$$.Map.Item.Index"},"End":true`), `["a","b"]`, `SUCCEEDED [{"i":0},{"i":1}]`},
		"the result is selected and placed": {items(`"ItemsPath":"$.l","ResultSelector":{"n.$":"States.ArrayLength($)"},"ResultPath":"$.r",`, passEnd), `{"l":[1,2]}`, `SUCCEEDED {"l":[1,2],"r":{"n":2}}`},
		"no array":                          {items(``, passEnd), `{"a":1}`, `FAILED States.Runtime: ` + at + `Map state input must be an array but was: {"a":1}`},
		"an ItemsPath to no array":          {items(`"ItemsPath":"$.l",`, passEnd), `{"l":1}`, `FAILED States.Runtime: ` + at + `Reference path "$.l" must point to array.`},
		"an ItemsPath to nowhere":           {items(`"ItemsPath":"$.l",`, passEnd), `{}`, `FAILED States.Runtime: ` + at + `The JSONPath '$.l' specified for the field 'ItemsPath' could not be found in the input '{}'`},
		"a concurrency that is no number":   {items(`"ItemsPath":"$.l","MaxConcurrencyPath":"$.c",`, passEnd), `{"l":[],"c":"x"}`, `FAILED States.Runtime: ` + at + `The MaxConcurrencyPath field refers to value "x" which is not a valid integer: $.c`},
		"a failing item":                    {items(``, `"Type":"Fail","Error":"E"`), `[1,2]`, `FAILED E: <absent>`},
		"a failing item that is caught":     {items(`"Catch":[{"ErrorEquals":["E"],"Next":"B"}],`, `"Type":"Fail","Error":"E","Cause":"c"`) + `,"B":{"Type":"Succeed"}`, `[1,2]`, `SUCCEEDED {"Cause":"c","Error":"E"}`},
		"an ItemSelector that fails":        {items(`"ItemSelector":{"x.$":"$.no"},`, passEnd), `[1]`, `FAILED States.Runtime: ` + at + `The JSONPath '$.no' specified for the field 'x.$' could not be found in the input '[1]'`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := newPlayer(t, tt.states, tt.input).play().outcome(); got != tt.want {
				t.Errorf("outcome %s\nwant    %s", got, tt.want)
			}
		})
	}
}

func TestMapRunsNoMoreAtOnceThanItMay(t *testing.T) {
	p := newPlayer(t, items(`"MaxConcurrency":2,`, arnF+`,"End":true`), `[1,2,3,4,5]`)
	most := 0
	for p.x.Status == Running {
		most = max(most, len(p.calls))
		p.answer(reply{out: p.calls[0].Payload, after: time.Second})
	}
	if got := p.outcome(); got != `SUCCEEDED [1,2,3,4,5]` || most != 2 {
		t.Errorf("%s with %d at once; want all with 2", got, most)
	}
	many := newPlayer(t, items(``, arnF+`,"End":true`), "["+strings.Repeat("1,", 99)+"1]")
	if n := len(many.calls); n != 40 {
		t.Errorf("%d of 100 items at once without a bound; want 40, as on AWS", n)
	}
}

func TestHistoryOfMap(t *testing.T) {
	p := newPlayer(t, items(`"MaxConcurrency":1,`, passEnd), `[1,2]`).play()
	want := []string{
		"1<0 ExecutionStarted", "2<0 MapStateEntered", "3<2 MapStateStarted",
		"4<3 MapIterationStarted", "5<4 PassStateEntered", "6<5 PassStateExited", "7<6 MapIterationSucceeded",
		"8<6 MapIterationStarted", "9<8 PassStateEntered", "10<9 PassStateExited", "11<10 MapIterationSucceeded",
		"12<11 MapStateSucceeded", "13<11 MapStateExited", "14<13 ExecutionSucceeded",
	}
	if diff := cmp.Diff(want, p.trail()); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}

	p = newPlayer(t, items(`"MaxConcurrency":1,"Retry":[{"ErrorEquals":["E"],"MaxAttempts":1}],`, `"Type":"Fail","Error":"E"`), `[1]`).play()
	want = []string{
		"1<0 ExecutionStarted", "2<0 MapStateEntered", "3<2 MapStateStarted", "4<3 MapIterationStarted", "5<4 FailStateEntered", "6<5 MapIterationFailed",
		"7<5 MapStateStarted", "8<7 MapIterationStarted", "9<8 FailStateEntered", "10<9 MapIterationFailed",
		"11<9 MapStateFailed", "12<11 ExecutionFailed",
	}
	if diff := cmp.Diff(want, p.trail()); diff != "" {
		t.Errorf("history of a retry (-want +got):\n%s", diff)
	}

	p = newPlayer(t, items(``, arnF+`,"End":true`), `[1,2]`)
	p.answer(failing("E"))
	end := p.trail()[len(p.trail())-5:]
	want = []string{"13<12 MapIterationFailed", "14<12 TaskStateAborted", "15<12 MapIterationAborted", "16<12 MapStateFailed", "17<16 ExecutionFailed"}
	if diff := cmp.Diff(want, end); diff != "" {
		t.Errorf("history of an item that fails beside another (-want +got):\n%s", diff)
	}
}

// A Map in a Parallel in a Map, with functions inside, all restarted at each
// step.
func TestNesting(t *testing.T) {
	inner := `"Type":"Map","ItemProcessor":{"StartAt":"L","States":{"L":{` + arnF + `,"End":true}}},"End":true`
	p := newPlayer(t, items(``, `"Type":"Parallel","Branches":[{"StartAt":"M","States":{"M":{`+inner+`}}},{"StartAt":"N","States":{"N":{`+passEnd+`}}}],"End":true`), `[[1,2],[3]]`)
	for p.x.Status == Running {
		p.answer(reply{out: p.calls[0].Payload + "0"})
	}
	if got := p.outcome(); got != `SUCCEEDED [[[10,20],[1,2]],[[30],[3]]]` {
		t.Errorf("outcome %s", got)
	}
}
