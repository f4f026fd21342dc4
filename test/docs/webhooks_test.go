package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// TestTheProtocolOfWebhooksIsTheCodes holds the page on webhooks to the code: its example is a valid part of a deploy.json,
// and its signature is the one that is sent.
func TestTheProtocolOfWebhooksIsTheCodes(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "docs", "webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	_, rest, ok := strings.Cut(page, "```json\n")
	example, _, _ := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	doc := `{"cluster_name": "c", "kubernetes_namespace": "shop", "microservice_name": "checkout", "percentage_step": 50, "wait_time": 60, ` + example + "}"
	s, err := spec.Parse("deploy.json", []byte(doc))
	if err != nil || len(s.Webhooks) != 2 || len(s.Notifications) != 1 {
		t.Errorf("the example is %d webhooks and %d notifications, %v", len(s.Webhooks), len(s.Notifications), err)
	}
	signed := hook.Sign("k3y", time.Unix(1795251600, 0), []byte(`{"a":1}`))
	_, mac, _ := strings.Cut(signed, ",v1=")
	for _, want := range []string{hook.DeliveryHeader + ": ", hook.SignatureHeader + ": t=", mac, string(hook.Succeeded), string(hook.Failed), string(hook.InProgress)} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, phase := range []hook.Phase{hook.PreRollout, hook.PreStep, hook.PrePromotion} {
		if !strings.Contains(page, "| `"+string(phase)+"` |") {
			t.Errorf("the page does not explain the phase %s", phase)
		}
	}
	for _, on := range []hook.Occasion{hook.OnStart, hook.OnStep, hook.OnHold, hook.OnVerdict, hook.OnEnd} {
		if !strings.Contains(page, "| `"+string(on)+"` |") {
			t.Errorf("the page does not explain the occasion %s", on)
		}
	}
}
