package secret

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Redact takes secrets out of a text, in case whoever was sent them sends them
// back: as they are, as they stand in a URL, and as JSON or quotes write them.
// Redact first and cut afterwards, for of a secret that was cut the rest is not
// found. What is shorter than two characters is no secret.
func Redact(text string, secrets ...string) string {
	var all []string
	for _, s := range secrets {
		if len(s) > 1 {
			all = append(all, forms(s)...)
		}
	}
	// Of two that begin alike, the longer one goes first: nothing of it stays.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range all {
		pairs = append(pairs, s, "[redacted]")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// forms are the ways in which a secret may be repeated.
func forms(secret string) []string {
	// Strings are always written. Go writes <, > and & by their numbers, others do not.
	safe, _ := json.Marshal(secret)
	quoted := string(safe[1 : len(safe)-1])
	plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(quoted)
	return []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		quoted, plain, strings.ReplaceAll(plain, "/", `\/`),
	}
}
