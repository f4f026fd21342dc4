package asl

import (
	"strings"
	"testing"
)

func TestPathFinds(t *testing.T) {
	const data = `{"a":{"b":[10,20,30,{"c":"x"}],"d e":1,"n":null,"delivery-partner":"UQS"},"z":[[1,2],[3]]}`
	for name, tt := range map[string]struct{ path, want string }{
		"the whole":                             {"$", data},
		"a member":                              {"$.a.d e", "refused"},
		"a member in brackets":                  {"$['a']['d e']", "1"},
		"a member in double quotes":             {`$["a"].n`, "null"},
		"a name with a dash":                    {"$.a.delivery-partner", `"UQS"`},
		"an element":                            {"$.a.b[1]", "20"},
		"an element from the end":               {"$.a.b[-1].c", `"x"`},
		"nothing for a missing member":          {"$.a.x", "none"},
		"nothing for a member of a number":      {"$.a.b[0].x", "none"},
		"nothing past the end":                  {"$.a.b[4]", "none"},
		"nothing before the beginning":          {"$.a.b[-5]", "none"},
		"nothing for an element of an object":   {"$.a[0]", "none"},
		"an array for a wildcard":               {"$.z[*]", "[[1,2],[3]]"},
		"all elements of all":                   {"$.z[*][*]", "[1,2,3]"},
		"the members of an object":              {"$.a.b[3].*", `["x"]`},
		"an empty array for a missing wildcard": {"$.x[*].y", "[]"},
		"a slice":                               {"$.a.b[1:3]", "[20,30]"},
		"a slice from the beginning":            {"$.a.b[:1]", "[10]"},
		"a slice from the end":                  {"$.a.b[-1:]", `[{"c":"x"}]`},
		"a slice with steps":                    {"$.a.b[0:4:2]", "[10,30]"},
		"an empty slice":                        {"$.a.b[3:1]", "[]"},
		"a slice of nothing":                    {"$.x[0:1]", "[]"},
		"a union of elements":                   {"$.a.b[0,2]", "[10,30]"},
		"a union of members":                    {"$['a','z']['n',0]", "refused"},
		"a union of two members":                {"$.a['n','d e']", "[null,1]"},
		"a deep scan":                           {"$..b", "refused"},
		"a filter":                              {"$.a.b[?(@.c)]", "refused"},
		"a function":                            {"$.a.b.length()", "refused"},
		"a variable":                            {"$a.b", "refused"},
		"no dollar":                             {"a.b", "refused"},
		"an open bracket":                       {"$.a[1", "refused"},
		"an open quote":                         {"$['a", "refused"},
		"two dots at the end":                   {"$.a.", "refused"},
		"an index that is no number":            {"$.a[x]", "refused"},
		"a step of zero":                        {"$.a[::0]", "refused"},
		"text after the path":                   {"$['a']b", "refused"},
	} {
		bothForms(t, name, data, func(t *testing.T, root any) {
			got := "refused"
			if p, err := parsePath(tt.path); err == nil {
				got = "none"
				if v, ok := p.eval(root); ok {
					got = encode(v)
				}
			}
			want := tt.want
			if want == data {
				want = encode(root)
			}
			if got != want {
				t.Errorf("%s in %s is %s; want %s", tt.path, data, got, want)
			}
		})
	}
}

func TestPathSets(t *testing.T) {
	for name, tt := range map[string]struct{ path, root, want string }{
		"a new member":                    {"$.b", `{"a":1}`, `{"a":1,"b":9}`},
		"in the place of a member":        {"$.a", `{"a":1}`, `{"a":9}`},
		"objects on the way are made":     {"$.x.y.z", `{"a":1}`, `{"a":1,"x":{"y":{"z":9}}}`},
		"null gives way to an object":     {"$.a.b", `{"a":null}`, `{"a":{"b":9}}`},
		"an element that is there":        {"$.a[1]", `{"a":[1,2]}`, `{"a":[1,9]}`},
		"an element that is not there":    {"$.a[2]", `{"a":[1,2]}`, "error"},
		"a member of a number":            {"$.a.b", `{"a":1}`, "error"},
		"a member of an array":            {"$.b", `[1]`, "error"},
		"a member of an element's object": {"$.a[0].b", `{"a":[{}]}`, `{"a":[{"b":9}]}`},
	} {
		bothForms(t, name, tt.root, func(t *testing.T, root any) {
			p, err := parsePath(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			got := "error"
			if v, err := p.set(root, number(9)); err == nil {
				got = encode(v)
			}
			if got != tt.want {
				t.Errorf("set %s in %s = %s; want %s", tt.path, tt.root, got, tt.want)
			}
			if after := encode(root); after != tt.root {
				t.Errorf("set %s changed its input to %s", tt.path, after)
			}
		})
	}
}

func TestIntrinsicFunctions(t *testing.T) {
	const data = `{"s":"a,b;;c","n":2.5,"l":[1,1.0,"1",[1],[1]],"o":{"x":{"y":1},"k":[true,null]},"t":"at {} and {}","e":""}`
	for expr, want := range map[string]string{
		`States.Array()`: `[]`,
		`States.Array($.n, 'x', true, null, -1.5)`:                       `[2.5,"x",true,null,-1.5]`,
		`States.ArrayLength($.l)`:                                        `5`,
		`States.ArrayLength($.s)`:                                        `! argument 1 must be an array but was string`,
		`States.ArrayUnique($.l)`:                                        `[1,1.0,"1",[1]]`,
		`States.ArrayContains($.l, 1)`:                                   `true`,
		`States.ArrayContains($.l, 2)`:                                   `false`,
		`States.ArrayGetItem($.l, 2)`:                                    `"1"`,
		`States.ArrayGetItem($.l, 5)`:                                    `! index 5 is outside`,
		`States.ArrayPartition($.l, 0)`:                                  `! must be positive`,
		`States.ArrayRange(1, 9, 3)`:                                     `[1,4,7]`,
		`States.ArrayRange(3, 1, -1)`:                                    `[3,2,1]`,
		`States.ArrayRange(1, 2, 0)`:                                     `! step must not be 0`,
		`States.ArrayRange(1, 1001, 1)`:                                  `! more than 1000`,
		`States.MathAdd($.n, 1.49)`:                                      `4`,
		`States.MathAdd(-2.5, 0)`:                                        `-2`,
		`States.MathAdd(-0.5, 0)`:                                        `0`,
		`States.MathAdd(9223372036854775807, 1)`:                         `! out of range`,
		`States.MathAdd('1', 1)`:                                         `! argument 1 must be a number but was string`,
		`States.MathRandom(1, 3)`:                                        `2`,
		`States.MathRandom(3, 3)`:                                        `! must be above`,
		`States.StringSplit($.s, ',;')`:                                  `["a","b","c"]`,
		`States.StringSplit($.e, ',')`:                                   `[]`,
		`States.StringToJson('{"a":[1]}')`:                               `{"a":[1]}`, // braces need no escape outside of Format
		`States.StringToJson('\{"a":[1]\}')`:                             `{"a":[1]}`,
		`States.StringToJson('')`:                                        `null`,
		`States.StringToJson('nonsense')`:                                `! invalid character`,
		`States.JsonToString($.o)`:                                       `"{\"k\":[true,null],\"x\":{\"y\":1}}"`,
		`States.JsonMerge($.o, States.StringToJson('\{"x":1\}'), false)`: `{"k":[true,null],"x":1}`,
		`States.JsonMerge($.o, $.o, true)`:                               `! only the shallow merge`,
		`States.Format('{}-{}', $.s, $.n)`:                               `"a,b;;c-2.5"`,
		`States.Format('\{\} \' {}', null)`:                              `"{} ' null"`,
		`States.Format('{}', $.o)`:                                       `"{k=[true, null], x={y=1}}"`,
		`States.Format($.t, 1, 2)`:                                       `"at 1 and 2"`,
		`States.Format('{}')`:                                            `! 1 places for 0 arguments`,
		`States.Base64Encode('héllo')`:                                   `"aMOpbGxv"`,
		`States.Base64Decode('aMOpbGxv')`:                                `"héllo"`,
		`States.Base64Decode('%')`:                                       `! illegal base64`,
		`States.Hash('a', 'SHA-1')`:                                      `"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"`,
		`States.Hash($.o, 'SHA-384')`:                                    `"`,
		`States.Hash('a', 'CRC')`:                                        `! must be MD5`,
		`States.UUID()`:                                                  `"a-uuid"`,
		`States.ArrayGetItem(States.StringSplit('a b', ' '), 1)`:         `"b"`,
		`States.ArrayLength(States.ArrayGetItem($.l, 3))`:                `1`,
		`States.Array($.missing)`:                                        `! The JSONPath '$.missing' specified for the field 'States.Array' could not be found`,
		`States.Array($.o['x'].y)`:                                       `[1]`,
		`States.Nope(1)`:                                                 `? there is no function "States.Nope"`,
		`States.UUID(1)`:                                                 `? takes 0 arguments, found 1`,
		`States.MathAdd(1)`:                                              `? takes 2 arguments, found 1`,
		`States.Array("x")`:                                              `? single quotes`,
		`States.Array('x`:                                                `? closing '`,
		`States.Array(1 2)`:                                              `? expected , or )`,
		`States.Array(1) x`:                                              `? left over`,
		`States.Array`:                                                   `? no parenthesis`,
		strings.Repeat("States.Array(", 11) + strings.Repeat(")", 11):    `? nested more than 10 deep`,
	} {
		bothForms(t, expr, data, func(t *testing.T, root any) {
			got := ""
			e, err := parseExpression(expr)
			if err != nil {
				got = "? " + err.Error()
			} else if v, err := e.eval(&scope{data: root, random: func() float64 { return 0.5 }, uuid: func() string { return "a-uuid" }}, "x"); err != nil {
				got = "! " + err.Error()
			} else {
				got = encode(v)
			}
			exact := !strings.HasPrefix(want, "!") && !strings.HasPrefix(want, "?") && want != `"`
			rest := strings.TrimLeft(want, "!? ")
			if exact && got != want || !exact && (got[:1] != want[:1] || !strings.Contains(got, rest)) {
				t.Errorf("%s = %s; want %s", expr, got, want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"log-*.txt", "log-1.txt", true}, {"log-*.txt", "log-.txt", true}, {"log-*.txt", "xlog-1.txt", false},
		{"*", "", true}, {"", "", true}, {"", "x", false}, {"a", "a", true}, {"a*", "ab", true}, {"*a", "ba", true}, {"*a", "ab", false},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false}, {"ab*ba", "aba", false}, {`\*`, "*", true}, {`\*`, "x", false}, {`\\*`, `\x`, true}, {"a**b", "ab", true},
	} {
		if got := matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("matches(%q, %q) = %v; want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
}
