package asl

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// standard is what encoding/json writes of a value.
func standard(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// sameAsText says that a value and its text are one and the same, for who writes and who looks.
func sameAsText(t *testing.T, data string) {
	t.Helper()
	v, err := decode(data)
	if err != nil {
		return
	}
	text := encode(v)
	if want := standard(t, v); text != want {
		t.Fatalf("encode(%s) = %s, want %s", data, text, want)
	}
	for _, w := range []any{read(text, true), read(data, false)} {
		if got := encode(w); got != text {
			t.Errorf("encode before it was opened = %s, want %s", got, text)
		}
		if !equal(w, v) || typeName(w) != typeName(v) {
			t.Errorf("%s is not equal to its text", text)
		}
		if d := cmp.Diff(v, whole(w)); d != "" {
			t.Errorf("whole (-decoded +read):\n%s", d)
		}
		if got := encode(w); got != text {
			t.Errorf("encode after it was opened = %s, want %s", got, text)
		}
	}
}

// bothForms runs a test on a value, and on the text of it.
func bothForms(t *testing.T, name, data string, test func(t *testing.T, root any)) {
	t.Helper()
	root, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Run(name, func(t *testing.T) { test(t, root) })
	t.Run(name+", as text", func(t *testing.T) { test(t, read(encode(root), true)) })
}

func TestAValueIsTheSameAsItsText(t *testing.T) {
	for _, data := range []string{
		`null`, `true`, ` false `, `0`, `-1.50e+3`, `""`, `"a\"\\\n\u00e9\u2028<>&"`, `{}`, `[]`, `[[],{}]`,
		` { "b" : [ 1 , "x,]}" , { } ] , "a" : { "k\"{[" : null , "" : -0.0 } } `, `[true,false,null,[1,[2,[3]]],"\\"]`,
		"\"\xff\xfe\"", "{\"\xff\":[\"\xff\"]}", `{"a":"é","z":{"y":{"x":[{}]}}}`,
	} {
		t.Run(data, func(t *testing.T) { sameAsText(t, data) })
	}
}

// FuzzWritten looks for a text that means something else as long as it is not opened.
func FuzzWritten(f *testing.F) {
	f.Add(`{"a":[1,"]",{"b":null}],"c":"\\\""}`)
	f.Fuzz(func(t *testing.T, data string) { sameAsText(t, data) })
}

// TestWhatNobodyLooksAtStaysText: a state that reads one member leaves the others alone, and
// what it passes on is written as it came.
func TestWhatNobodyLooksAtStaysText(t *testing.T) {
	root := open(read(`{"big":{"x":[1,2,3]},"watch":{"action":"wait","state":{"n":1}}}`, true)).(map[string]any)
	p, err := parsePath("$.watch.action")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := p.eval(root); !ok || v != "wait" {
		t.Errorf("%s = %v, %v", p.text, v, ok)
	}
	if w := root["big"].(*written); w.value != nil {
		t.Errorf("big was opened")
	}
	if w := root["watch"].(*written).value.(map[string]any)["state"].(*written); w.value != nil {
		t.Errorf("watch.state was opened")
	}
	out, err := p.set(root, number(7))
	if want := `{"big":{"x":[1,2,3]},"watch":{"action":7,"state":{"n":1}}}`; err != nil || encode(out) != want {
		t.Errorf("set = %s, %v; want %s", encode(out), err, want)
	}
}

// TestAnAnswerGoesOnAsItCame: what a function answers keeps the order of its members, as on AWS,
// and loses its blanks; two objects are the same in whatever order.
func TestAnAnswerGoesOnAsItCame(t *testing.T) {
	const answer = ` { "b" : [ { "y" : 1, "x" : "<\u00e9" }, { "x" : "<é", "y" : 1 } ], "a" : "\ud800" } `
	for name, tt := range map[string]struct{ with, want string }{
		"whole":           {`"ResultPath":"$.r"`, `{"r":{"b":[{"y":1,"x":"<\u00e9"},{"x":"<é","y":1}],"a":"\ud800"}}`},
		"a part":          {`"ResultSelector":{"z.$":"$.b[0]","a.$":"$.a"}`, `{"a":"` + "\ufffd" + `","z":{"y":1,"x":"<\u00e9"}}`},
		"without doubles": {`"ResultSelector":{"n.$":"States.ArrayUnique($.b)"},"OutputPath":"$.n"`, `[{"y":1,"x":"<\u00e9"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			want := "SUCCEEDED " + tt.want
			if got := newPlayer(t, `"A":{`+arnF+`,`+tt.with+`,"Next":"B"},"B":{"Type":"Wait","Seconds":1,"End":true}`, `{}`).play(reply{out: answer}).outcome(); got != want {
				t.Errorf("outcome %s\nwant    %s", got, want)
			}
		})
	}
}
