package platform

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// What no look could open is found without a network, and without a right to read secrets.
func TestCheckMetricsFindsWhatCannotBeOpened(t *testing.T) {
	const engine = `{"provider": "prometheus", "address": "http://127.0.0.1:9090", "scrape_interval": "1s"}`
	for name, tt := range map[string]struct {
		engine, block, want string
		unscoped            bool
	}{
		"the engine's source":           {engine: engine, block: `{}`, want: ""},
		"the document's own":            {engine: ``, block: `{"provider": "prometheus", "address": "https://prometheus.example"}`, want: ""},
		"a secret at nobody's address":  {engine: engine, block: `{"address": "https://prometheus.example", "auth": {"bearer": "env:STEPCANARY_SECRET_NO_SUCH_TOKEN"}}`, want: "auth_addresses"},
		"a signature at nobody's":       {engine: engine, block: `{"address": "https://prometheus.example", "region": "eu-west-1", "auth": {"sigv4": {}}}`, want: "auth_addresses"},
		"a signature for a workspace":   {engine: engine, block: `{"address": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1", "auth": {"sigv4": {}}}`, want: ""},
		"a signature on this machine":   {engine: `{"allow_loopback": true, "auth_addresses": ["http://127.0.0.1:9091"]}`, block: `{"provider": "prometheus", "address": "http://127.0.0.1:9091/workspaces/ws-1", "auth": {"sigv4": {}}}`, want: ""},
		"a secret that nobody looks up": {engine: `{"auth_addresses": ["https://prometheus.example"]}`, block: `{"provider": "prometheus", "address": "https://prometheus.example", "auth": {"bearer": "env:STEPCANARY_SECRET_NO_SUCH_TOKEN"}}`, want: ""},
		"none":                          {engine: ``, block: `{}`, want: "provider"},
		"a provider without an address": {engine: ``, block: `{"provider": "prometheus"}`, want: "address"},
		"a field that is not known":     {engine: `{"provider": "prometheus", "adress": "http://127.0.0.1:9090"}`, block: `{}`, want: "adress"},
		"a provider that is not known":  {engine: engine, block: `{"provider": "prom"}`, want: "prom"},
		"queries that are not known":    {engine: engine, block: `{"queries": "traffic"}`, want: "traffic"},
		"a certificate that is none":    {engine: `{"provider": "prometheus", "address": "https://prometheus.example", "ca": "none"}`, block: `{}`, want: "ca"},
		"what was counted before us":    {engine: `{"provider": "cloudwatch"}`, block: `{}`, unscoped: true},
		"CloudWatch by version":         {engine: `{"provider": "cloudwatch", "queries": "stepcanary"}`, block: `{}`},
		"CloudWatch beside another":     {engine: engine, block: `{"provider": "cloudwatch"}`, unscoped: true},
	} {
		unscoped, err := Settings{Metrics: json.RawMessage(tt.engine)}.CheckMetrics(t.Context(), json.RawMessage(tt.block))
		if (err == nil) != (tt.want == "") || err != nil && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckMetrics() = %v; want it to name %q", name, err, tt.want)
		}
		if unscoped != tt.unscoped {
			t.Errorf("%s: CheckMetrics() tells that versions are counted together: %v; want %v", name, unscoped, tt.unscoped)
		}
	}
}

// An engine's defaults may leave to deploy.json what they do not say, and nothing else.
func TestCheckDefaultsLeavesOpenWhatDeployJSONMaySay(t *testing.T) {
	for text, ok := range map[string]bool{
		``:                            true,
		`{"scrape_interval": "1s"}`:   true,
		`{"provider": "prometheus"}`:  true,
		`{"provider": "cloudwatch"}`:  true,
		`{"provider": "prom"}`:        false,
		`{"adress": "http://x:9090"}`: false,
		`{"provider": "prometheus", "address": "x:9090"}`: false,
		`{`: false,
	} {
		if err := (Settings{Metrics: json.RawMessage(text)}).CheckDefaults(t.Context()); (err == nil) != ok {
			t.Errorf("CheckDefaults(%s) = %v; want ok %v", text, err, ok)
		}
	}
}
