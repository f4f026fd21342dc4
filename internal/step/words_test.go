package step_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/step"
)

func TestWordsTakeTheSentenceOutOfAReport(t *testing.T) {
	for cause, want := range map[string]string{
		`{"errorMessage":"no route","errorType":"Canary.Invalid"}`:                                                               "no route",
		`Canary.Transient: {"errorMessage":"no route","errorType":"Canary.Transient"}`:                                           "Canary.Transient: no route",
		`{"errorMessage":"found: {}","errorType":"x"}`:                                                                           "found: {}",
		`{"errorMessage":"start rollout of shop/cart: Canary.Refused: arn:x is running","errorType":"Canary.Refused"}`:           "start rollout of shop/cart: arn:x is running",
		`Canary.Transient: {"errorMessage":"read: Canary.Transient: busy","errorType":"Canary.Transient"}`:                       "Canary.Transient: read: busy",
		`{"errorMessage":"check deploy.json: Canary.Invalid: a: found 1\nread b: Canary.Conflict","errorType":"Canary.Invalid"}`: "check deploy.json: a: found 1\nread b: Canary.Conflict",
		`found: {"a": 1}`: `found: {"a": 1}`,
		"aborted":         "aborted",
		"":                "",
	} {
		if got := step.Words(cause); got != want {
			t.Errorf("Words(%s) = %q; want %q", cause, got, want)
		}
	}
}
