package asl

import (
	"errors"
	"strings"
	"testing"
)

// Each definition has one thing wrong; where it is and what it is must be said.
func TestBadDefinitionsAreRefusedWithTheirPlace(t *testing.T) {
	const succeed = `,"B":{"Type":"Succeed"}`
	for name, tt := range map[string]struct{ definition, path, says string }{
		"no JSON":                      {`{"StartAt":`, "/", "not JSON, at byte 11"},
		"text after it":                {`{"StartAt":"A","States":{"A":{"Type":"Succeed"}}} x`, "/", "not JSON"},
		"no object":                    {`[]`, "/", "expected an object, found array"},
		"nothing in it":                {`{}`, "/", "the field 'StartAt' is required"},
		"no states":                    {`{"StartAt":"A","States":{}}`, "/States", "expected one state or more"},
		"a StartAt to nowhere":         {`{"StartAt":"X","States":{"A":{"Type":"Succeed"}}}`, "/StartAt", "Missing 'Next' target: X"},
		"a field that is there twice":  {`{"StartAt":"A","States":{"A":{"Type":"Succeed","Type":"Succeed"}}}`, "/States/A/Type", "there twice"},
		"an unknown field at the top":  {`{"StartAt":"A","Colour":1,"States":{"A":{"Type":"Succeed"}}}`, "/Colour", "not known in a state machine"},
		"another version":              {`{"Version":"2.0","StartAt":"A","States":{"A":{"Type":"Succeed"}}}`, "/Version", "expected 1.0, found 2.0"},
		"JSONata":                      {`{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Succeed"}}}`, "/QueryLanguage", "JSONata is not supported"},
		"JSONata in a state":           {`"A":{"Type":"Succeed","QueryLanguage":"JSONata"}`, "/States/A/QueryLanguage", "JSONata is not supported"},
		"another language":             {`"A":{"Type":"Succeed","QueryLanguage":"SQL"}`, "/States/A/QueryLanguage", "expected JSONPath"},
		"a machine's timeout of zero":  {`{"TimeoutSeconds":0,"StartAt":"A","States":{"A":{"Type":"Succeed"}}}`, "/TimeoutSeconds", "from 1 to 99999999, found 0"},
		"no type":                      {`"A":{"End":true}`, "/States/A", "the field 'Type' is required"},
		"an unknown type":              {`"A":{"Type":"Tusk","End":true}`, "/States/A/Type", "found Tusk"},
		"a type in the wrong case":     {`"A":{"Type":"pass","End":true}`, "/States/A/Type", "found pass"},
		"an unknown field":             {`"A":{"Type":"Pass","ResultPat":"$","End":true}`, "/States/A/ResultPat", "not known in a state of type Pass"},
		"a field of another type":      {`"A":{"Type":"Succeed","Seconds":1}`, "/States/A/Seconds", "not known in a state of type Succeed"},
		"variables":                    {`"A":{"Type":"Pass","Assign":{"x":1},"End":true}`, "/States/A/Assign", "(variables) is not supported"},
		"Arguments":                    {`"A":{` + arnF + `,"Arguments":{},"End":true}`, "/States/A/Arguments", "(JSONata) is not supported"},
		"Credentials":                  {`"A":{` + arnF + `,"Credentials":{},"End":true}`, "/States/A/Credentials", "is not supported"},
		"neither Next nor End":         {`"A":{"Type":"Pass"}`, "/States/A", "one of the fields Next and End is required"},
		"both Next and End":            {`"A":{"Type":"Pass","Next":"B","End":true}` + succeed, "/States/A", "exclude each other"},
		"End false":                    {`"A":{"Type":"Pass","End":false}`, "/States/A", "one of the fields Next and End is required"},
		"End that is no truth":         {`"A":{"Type":"Pass","End":"yes"}`, "/States/A/End", `expected true, found "yes"`},
		"Next to nowhere":              {`"A":{"Type":"Pass","Next":"X"}`, "/States/A/Next", "Missing 'Next' target: X"},
		"Next in another scope":        {branches(`,"End":true`, `"Type":"Pass","Next":"A"`), "/States/A/Branches/0/States/S0/Next", "Missing 'Next' target: A"},
		"a state that nobody reaches":  {`"A":{"Type":"Pass","End":true}` + succeed, "/States/B", `State "B" is not reachable`},
		"no way to end":                {`"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Pass","Next":"A"}`, "/States", "no state ends"},
		"one name twice":               {branches(`,"Next":"S0"`, passEnd) + `,"S0":{"Type":"Succeed"}`, "/States/S0", "is used at /States/A/Branches/0/States/S0 as well"},
		"a name that is too long":      {`"A":{"Type":"Pass","Next":"` + strings.Repeat("x", 81) + `"},"` + strings.Repeat("x", 81) + `":{"Type":"Succeed"}`, "/States/" + strings.Repeat("x", 81), "1 to 80 characters, found 81"},
		"a path that is no path":       {`"A":{"Type":"Pass","InputPath":"a.b","End":true}`, "/States/A/InputPath", "does not begin with $"},
		"a path that is a number":      {`"A":{"Type":"Pass","InputPath":1,"End":true}`, "/States/A/InputPath", "expected a path, found number"},
		"a result at many places":      {`"A":{"Type":"Pass","ResultPath":"$.a[*]","End":true}`, "/States/A/ResultPath", "names one place"},
		"a result in the context":      {`"A":{"Type":"Pass","ResultPath":"$$.a","End":true}`, "/States/A/ResultPath", "context object"},
		"a parameter that is no text":  {`"A":{"Type":"Pass","Parameters":{"a":{"x.$":1}},"End":true}`, "/States/A/Parameters/a/x.$", "must be a string"},
		"a parameter that is no path":  {`"A":{"Type":"Pass","Parameters":{"x.$":"hello"},"End":true}`, "/States/A/Parameters/x.$", "neither a path"},
		"a parameter there twice":      {`"A":{"Type":"Pass","Parameters":{"x":1,"x.$":"$"},"End":true}`, "/States/A/Parameters/x.$", "with and without .$"},
		"a function that is not":       {`"A":{"Type":"Pass","Parameters":{"x.$":"States.Sum(1)"},"End":true}`, "/States/A/Parameters/x.$", `no function "States.Sum"`},
		"a deep scan":                  {`"A":{"Type":"Pass","InputPath":"$..a","End":true}`, "/States/A/InputPath", "not supported"},
		"a variable in a path":         {`"A":{"Type":"Pass","Parameters":{"x.$":"$a"},"End":true}`, "/States/A/Parameters/x.$", "variable, which is not supported"},
		"no resource":                  {`"A":{"Type":"Task","End":true}`, "/States/A", "'Resource' is required"},
		"a resource that is no ARN":    {`"A":{"Type":"Task","Resource":"f","End":true}`, "/States/A/Resource", "expected the ARN"},
		"an ARN of something else":     {`"A":{"Type":"Task","Resource":"arn:aws:s3:::bucket","End":true}`, "/States/A/Resource", "expected the ARN"},
		"an activity":                  {`"A":{"Type":"Task","Resource":"arn:aws:states:eu-west-1:1:activity:x","End":true}`, "/States/A/Resource", "an activity is not supported"},
		"another service":              {`"A":{"Type":"Task","Resource":"arn:aws:states:::sqs:sendMessage","End":true}`, "/States/A/Resource", `"sqs:sendMessage" is not supported`},
		"a task that is waited for":    {`"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.sync","Parameters":{"FunctionName":"f"},"End":true}`, "/States/A/Resource", `"lambda:invoke.sync" is not supported`},
		"no function's name":           {`"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"Payload":1},"End":true}`, "/States/A/Parameters", "'FunctionName' is required"},
		"no parameters":                {`"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","End":true}`, "/States/A/Parameters", "FunctionName"},
		"a parameter Lambda lacks":     {`"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Paylod":1},"End":true}`, "/States/A/Parameters/Paylod", "not supported by lambda:invoke"},
		"an asynchronous call":         {`"A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","InvocationType":"Event"},"End":true}`, "/States/A/Parameters/InvocationType", "not supported"},
		"a timeout twice":              {`"A":{` + arnF + `,"TimeoutSeconds":1,"TimeoutSecondsPath":"$.t","End":true}`, "/States/A", "exclude each other"},
		"a timeout that is no number":  {`"A":{` + arnF + `,"TimeoutSeconds":"1","End":true}`, "/States/A/TimeoutSeconds", `found "1"`},
		"a heartbeat that is too slow": {`"A":{` + arnF + `,"TimeoutSeconds":5,"HeartbeatSeconds":5,"End":true}`, "/States/A/HeartbeatSeconds", "less than TimeoutSeconds, 5"},
		"a selector that is a list":    {`"A":{` + arnF + `,"ResultSelector":[],"End":true}`, "/States/A/ResultSelector", "expected an object"},
		"a retrier without errors":     {`"A":{` + arnF + `,"Retry":[{"MaxAttempts":1}],"End":true}`, "/States/A/Retry/0", "'ErrorEquals' is required"},
		"a retrier of no errors":       {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":[]}],"End":true}`, "/States/A/Retry/0/ErrorEquals", "array of 1 or more, found an array of 0"},
		"an unknown States error":      {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["States.Timeot"]}],"End":true}`, "/States/A/Retry/0/ErrorEquals/0", "no error States.Timeot"},
		"States.ALL with another":      {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["States.ALL","E"]}],"End":true}`, "/States/A/Retry/0/ErrorEquals/0", "must be alone"},
		"States.ALL before another":    {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["E"]}],"End":true}`, "/States/A/Retry/0/ErrorEquals/0", "in the last one"},
		"a backoff below one":          {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["E"],"BackoffRate":0.5}],"End":true}`, "/States/A/Retry/0/BackoffRate", "1 or more, found 0.5"},
		"a longest delay too short":    {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["E"],"IntervalSeconds":5,"MaxDelaySeconds":5}],"End":true}`, "/States/A/Retry/0/MaxDelaySeconds", "more than IntervalSeconds"},
		"an unknown jitter":            {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["E"],"JitterStrategy":"HALF"}],"End":true}`, "/States/A/Retry/0/JitterStrategy", "expected FULL or NONE"},
		"an unknown retrier's field":   {`"A":{` + arnF + `,"Retry":[{"ErrorEquals":["E"],"Attempts":1}],"End":true}`, "/States/A/Retry/0/Attempts", "not known in a retrier"},
		"a catcher to nowhere":         {`"A":{` + arnF + `,"Catch":[{"ErrorEquals":["E"],"Next":"X"}],"End":true}`, "/States/A/Catch/0/Next", "Missing 'Next' target: X"},
		"a catcher without Next":       {`"A":{` + arnF + `,"Catch":[{"ErrorEquals":["E"]}],"End":true}`, "/States/A/Catch/0", "'Next' is required"},
		"a Choice without rules":       {`"A":{"Type":"Choice","Choices":[],"Default":"B"}` + succeed, "/States/A/Choices", "array of 1 or more"},
		"a Choice with End":            {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"B"}],"End":true}` + succeed, "/States/A/End", "not known in a state of type Choice"},
		"a rule without comparison":    {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","Next":"B"}]}` + succeed, "/States/A/Choices/0", "expected one comparison"},
		"a rule with two":              {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"IsPresent":true,"Next":"B"}]}` + succeed, "/States/A/Choices/0", "found 2 [IsNull IsPresent]"},
		"a rule without variable":      {`"A":{"Type":"Choice","Choices":[{"IsNull":true,"Next":"B"}]}` + succeed, "/States/A/Choices/0", "'Variable' is required"},
		"a rule of the wrong type":     {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":"1","Next":"B"}]}` + succeed, "/States/A/Choices/0/NumericEquals", `found "1"`},
		"a rule with a bad moment":     {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","TimestampEquals":"today","Next":"B"}]}` + succeed, "/States/A/Choices/0/TimestampEquals", "expected a timestamp"},
		"a misspelt comparison":        {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","StringEqual":"x","Next":"B"}]}` + succeed, "/States/A/Choices/0/StringEqual", "not known"},
		"a nested rule with Next":      {`"A":{"Type":"Choice","Choices":[{"And":[{"Variable":"$.a","IsNull":true,"Next":"B"}],"Next":"B"}]}` + succeed, "/States/A/Choices/0/And/0/Next", "not known in a nested choice rule"},
		"a default to nowhere":         {`"A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"Next":"B"}],"Default":"X"}` + succeed, "/States/A/Default", "Missing 'Next' target: X"},
		"a wait for nothing":           {`"A":{"Type":"Wait","End":true}`, "/States/A", "exactly one of Seconds"},
		"a wait for two things":        {`"A":{"Type":"Wait","Seconds":1,"Timestamp":"2026-01-01T00:00:00Z","End":true}`, "/States/A", "found 2"},
		"a wait for a bad moment":      {`"A":{"Type":"Wait","Timestamp":"2026-13-01T00:00:00Z","End":true}`, "/States/A/Timestamp", "does not match RFC3339"},
		"a wait of negative time":      {`"A":{"Type":"Wait","Seconds":-1,"End":true}`, "/States/A/Seconds", "from 0 to 99999999"},
		"error and its path":           {`"A":{"Type":"Fail","Error":"E","ErrorPath":"$.e"}`, "/States/A", "exclude each other"},
		"a Fail with a retry":          {`"A":{"Type":"Fail","Retry":[]}`, "/States/A/Retry", "not known in a state of type Fail"},
		"no branches":                  {`"A":{"Type":"Parallel","Branches":[],"End":true}`, "/States/A/Branches", "array of 1 or more"},
		"a problem in a branch":        {branches(`,"End":true`, `"Type":"Pass","X":1,"End":true`), "/States/A/Branches/0/States/S0/X", "not known"},
		"a distributed Map":            {strings.Replace(items(``, passEnd), "INLINE", "DISTRIBUTED", 1), "/States/A/ItemProcessor/ProcessorConfig/Mode", "DISTRIBUTED is not supported"},
		"a reader of items":            {items(`"ItemReader":{},`, passEnd), "/States/A/ItemReader", "(distributed Map) is not supported"},
		"no processor":                 {`"A":{"Type":"Map","End":true}`, "/States/A", "'ItemProcessor' is required"},
		"two processors":               {items(`"Iterator":{"StartAt":"T","States":{"T":{"Type":"Succeed"}}},`, passEnd), "/States/A", "exclude each other"},
		"a negative concurrency":       {items(`"MaxConcurrency":-1,`, passEnd), "/States/A/MaxConcurrency", "found -1"},
	} {
		t.Run(name, func(t *testing.T) {
			text := tt.definition
			if strings.HasPrefix(text, `"`) {
				text = `{"StartAt":"A","States":{` + text + `}}`
			}
			_, err := Parse([]byte(text), Options{})
			var bad *DefinitionError
			if !errors.As(err, &bad) {
				t.Fatalf("Parse(%s) = %v; want it refused", text, err)
			}
			for _, p := range bad.Problems {
				if p.Path == tt.path && strings.Contains(p.Message, tt.says) {
					return
				}
			}
			t.Errorf("Parse(%s) = %v; want %q at %s", text, err, tt.says, tt.path)
		})
	}
}

func TestAllProblemsAreSaidAtOnce(t *testing.T) {
	_, err := Parse([]byte(`{"StartAt":"A","States":{"A":{"Type":"Pass","X":1},"B":{"Type":"Wait","Seconds":-1,"End":true}}}`), Options{})
	var bad *DefinitionError
	if !errors.As(err, &bad) || len(bad.Problems) != 4 {
		t.Errorf("Parse() = %v; want four problems", err)
	}
}

func TestHugeAndDeepDefinitionsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"huge":         `{"Comment":"` + strings.Repeat("x", MaxDefinition) + `"}`,
		"deep":         strings.Repeat(`{"a":`, 100000) + "1" + strings.Repeat("}", 100000),
		"deep choices": `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[` + strings.Repeat(`{"Not":`, 1000) + "1" + strings.Repeat("}", 1000) + `]}}}`,
	} {
		if _, err := Parse([]byte(text), Options{}); err == nil || len(err.Error()) > 100000 {
			t.Errorf("%s: Parse() = %.100v", name, err)
		}
	}
}

func TestFunctionsOfADefinition(t *testing.T) {
	d, err := Parse([]byte(`{"StartAt":"A","States":{"A":{`+taskF+`,"Next":"B"},"B":{`+arnF+`,"Next":"C"},"C":{`+tokenF+`,"Next":"D"},
		"D":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName.$":"$.f"},"Next":"E"},
		"E":{"Type":"Map","ItemProcessor":{"StartAt":"F","States":{"F":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"g"},"End":true}}},"End":true}}}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(d.Functions(), " "); got != "f arn:aws:lambda:eu-west-1:123456789012:function:f g" {
		t.Errorf("Functions() = %s", got)
	}
}
