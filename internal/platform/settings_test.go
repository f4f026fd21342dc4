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
	for name, tt := range map[string]struct{ engine, block, want string }{
		"the engine's source":           {engine, `{}`, ""},
		"the document's own":            {``, `{"provider": "prometheus", "address": "https://prometheus.example"}`, ""},
		"a secret at nobody's address":  {engine, `{"address": "https://prometheus.example", "auth": {"bearer": "env:STEPCANARY_SECRET_NO_SUCH_TOKEN"}}`, "auth_addresses"},
		"a secret that nobody looks up": {`{"auth_addresses": ["https://prometheus.example"]}`, `{"provider": "prometheus", "address": "https://prometheus.example", "auth": {"bearer": "env:STEPCANARY_SECRET_NO_SUCH_TOKEN"}}`, ""},
		"none":                          {``, `{}`, "provider"},
		"a provider without an address": {``, `{"provider": "prometheus"}`, "address"},
		"a field that is not known":     {`{"provider": "prometheus", "adress": "http://127.0.0.1:9090"}`, `{}`, "adress"},
		"a provider that is not known":  {engine, `{"provider": "prom"}`, "prom"},
		"queries that are not known":    {engine, `{"queries": "traffic"}`, "traffic"},
		"a certificate that is none":    {`{"provider": "prometheus", "address": "https://prometheus.example", "ca": "none"}`, `{}`, "ca"},
	} {
		err := Settings{Metrics: json.RawMessage(tt.engine)}.CheckMetrics(t.Context(), json.RawMessage(tt.block))
		if (err == nil) != (tt.want == "") || err != nil && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: CheckMetrics() = %v; want it to name %q", name, err, tt.want)
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
