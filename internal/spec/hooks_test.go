package spec_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/spec"
)

func TestHooksTakeTheirDefaults(t *testing.T) {
	s := parse(t, `"percentage_step": 50, "wait_time": 60, "patience": "7m",
		"webhooks": [{"name": "smoke", "phase": "step", "url": "https://gate.example/x?y=z"}, {"name": "slow", "phase": "pre-promotion", "url_from": "env:STEPCANARY_SECRET_URL", "limit": "3h"}],
		"notifications": [{"name": "team", "url": "http://localhost:9000"}]`)
	if diff := cmp.Diff([]spec.Webhook{
		{Name: "smoke", Phase: spec.BeforeStep, URL: "https://gate.example/x?y=z", Timeout: secs(10), Retries: 2, Limit: secs(420)},
		{Name: "slow", Phase: spec.BeforePromotion, URLFrom: "env:STEPCANARY_SECRET_URL", Timeout: secs(10), Retries: 2, Limit: secs(3 * 3600)},
	}, s.Webhooks); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]spec.Notification{
		{Name: "team", URL: "http://localhost:9000", Format: "json", On: []string{"start", "hold", "end"}},
	}, s.Notifications); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

// What gates may take is part of the budget.
func TestGatesAreBudgeted(t *testing.T) {
	const plain = `"percentage_step": 50, "wait_time": 60`
	gate := func(phase string) string {
		return `, "webhooks": [{"name": "g", "phase": "` + phase + `", "limit": "1h", "url": "https://gate.example"}, {"name": "h", "phase": "` + phase + `", "limit": "2h", "url": "https://gate.example"}]`
	}
	without := parse(t, plain).Budget()
	for _, phase := range []string{spec.BeforeRollout, spec.BeforeStep, spec.BeforePromotion} {
		b := parse(t, plain+gate(phase)).Budget()
		if more := b.Longest - without.Longest; more.Hours() != 2 || b.Events <= without.Events {
			t.Errorf("%s: %v and %d events more; want the longest limit, 2h, and more events", phase, more, b.Events-without.Events)
		}
		asks := parse(t, plain+`, "on_undecided": "ask"`).Budget()
		b = parse(t, plain+`, "on_undecided": "ask"`+gate(phase)).Budget()
		if more := b.Longest - asks.Longest; more.Hours() != 26 {
			t.Errorf("%s, where a person is asked: %v more; want pause_limit on top", phase, more)
		}
	}
}
