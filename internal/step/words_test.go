package step_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/step"
)

func TestWordsTakeTheSentenceOutOfAReport(t *testing.T) {
	for cause, want := range map[string]string{
		`{"errorMessage":"no route","errorType":"Canary.Invalid"}`:                     "no route",
		`Canary.Transient: {"errorMessage":"no route","errorType":"Canary.Transient"}`: "Canary.Transient: no route",
		`{"errorMessage":"found: {}","errorType":"x"}`:                                 "found: {}",
		`found: {"a": 1}`: `found: {"a": 1}`,
		"aborted":         "aborted",
		"":                "",
	} {
		if got := step.Words(cause); got != want {
			t.Errorf("Words(%s) = %q; want %q", cause, got, want)
		}
	}
}
