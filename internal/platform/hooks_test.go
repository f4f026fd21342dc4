package platform

import (
	"encoding/json"
	"testing"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
)

// What the engine's settings do not allow is not asked.
func TestHooksReachWhatTheSettingsAllow(t *testing.T) {
	for name, tt := range map[string]struct {
		settings, url string
		ok            bool
	}{
		"nothing allows a public address":     {``, "https://gate.example/", true},
		"nothing allows no private one":       {``, "https://10.0.0.1/", false},
		"nothing allows no loopback":          {``, "http://127.0.0.1:9000/", false},
		"private":                             {`{"allow_private": true}`, "https://10.0.0.1/", true},
		"private is not loopback":             {`{"allow_private": true}`, "http://127.0.0.1:9000/", false},
		"loopback":                            {`{"allow_loopback": true}`, "http://127.0.0.1:9000/", true},
		"loopback is not private":             {`{"allow_loopback": true}`, "https://10.0.0.1/", false},
		"a metadata address is never allowed": {`{"allow_private": true, "allow_loopback": true}`, "https://169.254.169.254/", false},
	} {
		c, err := Settings{Hooks: json.RawMessage(tt.settings)}.HookOpener(clock.Real{})()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = c.CheckGate(hook.Gate{Endpoint: hook.Endpoint{Name: "g", URL: tt.url}, Phase: hook.PreStep})
		if (err == nil) != tt.ok {
			t.Errorf("%s: CheckGate(%s) = %v; want ok %v", name, tt.url, err, tt.ok)
		}
	}
}

func TestHooksSettingsThatAreNone(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `{"allow": true}`, `{"allow_private": "yes"}`} {
		if _, err := (Settings{Hooks: json.RawMessage(text)}).HookOpener(clock.Real{})(); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v; want %v", text, err, fault.Invalid)
		}
	}
}
