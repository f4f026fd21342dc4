package spec_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"

	"github.com/stepcanary/stepcanary/internal/spec"
)

// What an error quotes moves no cursor and begins no line of a pipeline's log: a kind with a new line in it made a line of its own,
// which a pipeline took for a command to it.
func TestAProblemIsOneVisibleLine(t *testing.T) {
	const hostile = `X\u001b]0;pwned\u0007\n::add-mask::x\u009b31m\u202e`
	template := func(text string) error {
		_, err := spec.Spec{Namespace: "shop", Service: "cart", ConfigFile: base64.StdEncoding.EncodeToString([]byte(text))}.Template()
		return err
	}
	document := func(text string) error {
		_, err := spec.Parse("deploy.json", []byte(text))
		return err
	}
	for name, err := range map[string]error{
		"a kind":                  template("kind: \"" + hostile + "\"\n"),
		"a field of the template": template("apiVersion: v1\nkind: Service\nmetadata: {\"" + hostile + "\": 1}\n"),
		"a number by its tag":     template("apiVersion: v1\nkind: !!int \"" + hostile + "\"\n"),
		"an unknown field":        document(`{"` + hostile + `": 1}`),
		"a field twice":           document(`{"` + hostile + `": 1, "` + hostile + `": 1}`),
	} {
		t.Run(name, func(t *testing.T) {
			problems, ok := err.(spec.Errors)
			if !ok {
				t.Fatalf("%v; want problems", err)
			}
			if !strings.Contains(err.Error(), `X\x1b]0;pwned`) {
				t.Errorf("%q does not show what was found", err)
			}
			for _, p := range problems {
				if i := strings.IndexFunc(p.String(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%q has %q in it", p.String(), p.String()[i])
				}
			}
		})
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"Grüezi 🐤 \"a\" \\n": "Grüezi 🐤 \"a\" \\n",
		"\x1b[31m\a":         `\x1b[31m\a`,
		"a\nb\r\tc":          `a\nb\r\tc`,
		"\u009b \u2028":      `\u009b \u2028`,
		"\u202e\u2066":       `\u202e\u2066`,
		"\x9b\xff":           `\x9b\xff`,
	} {
		if got := spec.Visible(text); got != want {
			t.Errorf("Visible(%q) = %s, want %s", text, got, want)
		}
	}
}
