package asl

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzDefinition runs whatever is accepted, with functions that answer, fail or
// stay silent by turns. Nothing may panic, hang or grow without bounds.
func FuzzDefinition(f *testing.F) {
	for _, states := range []string{
		`"A":{` + taskF + `,"Retry":[{"ErrorEquals":["States.ALL"],"JitterStrategy":"FULL"}],"Catch":[{"ErrorEquals":["E"],"Next":"B"}],"TimeoutSecondsPath":"$.t","End":true},"B":{"Type":"Fail","ErrorPath":"$.Error"}`,
		`"A":{` + tokenF + `,"HeartbeatSeconds":2,"ResultPath":"$.r[0]","End":true}`,
		`"A":{"Type":"Choice","Choices":[{"Not":{"Variable":"$.n","NumericLessThan":3},"Next":"B"},{"And":[{"Variable":"$.s","StringMatches":"*a\\*"}],"Next":"B"}],"Default":"C"},"B":{"Type":"Succeed"},"C":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n,1)"},"Next":"A"}`,
		branches(`,"ResultSelector":{"x.$":"$[*].a"},"End":true`, passEnd, arnF+`,"End":true`),
		items(`"ItemsPath":"$.l","ItemSelector":{"v.$":"$$.Map.Item.Value","f.$":"States.Format('{}',$.n)"},"MaxConcurrencyPath":"$.n",`, `"Type":"Wait","SecondsPath":"$.v","End":true`),
		`"A":{"Type":"Wait","Timestamp":"2027-01-01T00:00:00Z","OutputPath":"$['a','b'][0:1]","End":true}`,
		`"A":{"Type":"Pass","Parameters":{"x.$":"States.Array($,$,$)"},"Next":"A2"},"A2":{"Type":"Pass","Parameters":{"x.$":"States.JsonToString($)","y.$":"$"},"Next":"A"},"E":{"Type":"Succeed"}`,
	} {
		f.Add(`{"StartAt":"A","TimeoutSeconds":1000,"States":{`+states+`}}`, `{"t":5,"n":2,"l":[1,2,3],"s":"xa*"}`)
	}
	f.Fuzz(func(t *testing.T, definition, input string) {
		if len(definition) > 1<<20 || len(input) > MaxData {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		d, err := Parse([]byte(definition), Options{})
		if err != nil {
			if len(err.Error()) > 1<<20 {
				t.Errorf("the refusal has %d bytes", len(err.Error()))
			}
			return
		}
		if !json.Valid([]byte(input)) {
			return
		}
		x := &Execution{Input: input, Started: noon}
		now, turns := noon, 0
		var events, bytes int
		var calls []Call
		step := func(ev Event) {
			x = restarted(t, x)
			res, err := d.Step(x, ev, Env{Now: now, Random: func() float64 { return 0.5 }, NewUUID: func() string { return "u" }, NewToken: func() string { return "token" }})
			if err != nil {
				t.Fatalf("Step(%T) = %v", ev, err)
			}
			n := 0
			for _, e := range res.History {
				events++
				n += e.Details.size()
			}
			if bytes += n; n > 64<<20 {
				t.Fatalf("one step made %d bytes of events", n)
			}
			calls = append(calls, res.Calls...)
		}
		for step(Begun{}); x.Status == Running && turns < 300 && bytes < 32<<20; turns++ {
			if len(calls) > 0 {
				c := calls[0]
				calls = calls[1:]
				kind := "E"
				switch turns % 4 {
				case 0:
					step(Returned{Frame: c.Frame, Number: c.Number, Failure: &Failure{Error: &kind}})
				case 3: // silent
				default:
					step(Returned{Frame: c.Frame, Number: c.Number, Output: c.Payload})
				}
				continue
			}
			due, ok := x.Due()
			if !ok {
				if len(x.Tokens()) == 0 && len(calls) == 0 && !silentCall(x) {
					t.Fatalf("nothing is due, and the execution runs: %s", encode(definition))
				}
				return
			}
			if due.Before(now) {
				due = now
			}
			now = due
			if now.Sub(noon) > 290*365*24*time.Hour {
				return
			}
			step(Woken{})
		}
		if events > MaxEvents {
			t.Errorf("%d events", events)
		}
	})
}

// silentCall says whether the execution waits for a function that the fuzzer
// left without an answer.
func silentCall(x *Execution) bool { return len(x.PendingCalls()) > 0 }

// FuzzPath reads and evaluates paths and functions.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"$", "$$.a", "$.a.b[0]", "$['a'][-1:]", "$[*].*", "$[0,1][0,1]", "States.Format('{} \\'', $.a)", "States.ArrayRange(1,$.b,2)", "States.JsonToString(States.Array($,$['a']))", "States.StringSplit('a,b', ',')"} {
		f.Add(s, `{"a":{"b":[1,[2,3],"x"]},"b":9}`)
	}
	f.Fuzz(func(t *testing.T, text, data string) {
		if len(text) > 1<<16 || len(data) > MaxData {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		root, err := decode(data)
		if err != nil {
			return
		}
		e, err := parseExpression(text)
		if err != nil {
			return
		}
		if e.path != nil && !strings.HasPrefix(text, "$") {
			t.Fatalf("%q was read as a path", text)
		}
		s := &scope{data: root, context: func() any { return root }, random: func() float64 { return 0 }, uuid: func() string { return "u" }}
		v, err := e.eval(s, "x")
		asText := read(encode(root), true)
		w, errOfText := e.eval(&scope{data: asText, context: func() any { return asText }, random: s.random, uuid: s.uuid}, "x")
		if (err == nil) != (errOfText == nil) || err == nil && encode(v) != encode(w) {
			t.Fatalf("%q gives %v, %v of the value, and %v, %v of its text", text, v, err, w, errOfText)
		}
		if err != nil {
			return
		}
		if fits(v, MaxData) {
			if _, err := decode(encode(v)); err != nil {
				t.Fatalf("%q gives %v, which is no JSON: %v", text, v, err)
			}
		}
		if e.path == nil || !e.path.definite() {
			return
		}
		// What is put at a definite path is found there.
		if out, err := e.path.set(root, "put"); err == nil && !e.path.context {
			if got, ok := e.path.eval(out); !ok || got != "put" {
				t.Fatalf("%q finds %v after it was set", text, got)
			}
		}
	})
}
