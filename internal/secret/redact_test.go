package secret_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/secret"
)

func TestRedact(t *testing.T) {
	for name, tt := range map[string]struct {
		text    string
		secrets []string
		want    string
	}{
		"nothing to hide":            {"no such token", nil, "no such token"},
		"as it is, each time":        {"a t0ken, a t0ken", []string{"t0ken"}, "a [redacted], a [redacted]"},
		"in a URL's query":           {"?t=a%2Fb+c", []string{"a/b c"}, "?t=[redacted]"},
		"in a URL's path":            {"/x/a%2Fb%20c", []string{"a/b c"}, "/x/[redacted]"},
		"in quotes":                  {`"a\"b"`, []string{`a"b`}, `"[redacted]"`},
		"as Go writes JSON":          {`{"t":"a\u0026b"}`, []string{"a&b"}, `{"t":"[redacted]"}`},
		"with escaped slashes":       {`{"t":"a\/b"}`, []string{"a/b"}, `{"t":"[redacted]"}`},
		"one that begins another":    {"hunter2hunter", []string{"hunter2", "hunter2hunter"}, "[redacted]"},
		"one within another":         {"Bearer t0ken", []string{"t0ken", "Bearer t0ken"}, "[redacted]"},
		"one that is in the place":   {"a t0ken", []string{"t0ken", "redacted"}, "a [redacted]"},
		"an empty one":               {"a t0ken", []string{""}, "a t0ken"},
		"a character is no secret":   {"https://gate.example/", []string{"/"}, "https://gate.example/"},
		"bytes that are no text are": {"a \xff\xfe", []string{"\xff\xfe"}, "a [redacted]"},
	} {
		if got := secret.Redact(tt.text, tt.secrets...); got != tt.want {
			t.Errorf("%s: Redact(%q, %q) = %q; want %q", name, tt.text, tt.secrets, got, tt.want)
		}
	}
}
