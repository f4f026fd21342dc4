package meters_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/meters"
)

var (
	now     = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	subject = metric.Subject{Cluster: "demo", Namespace: "shop", Service: "checkout", Route: "checkout", Canary: "checkout-2", Stable: "checkout-1"}
	window  = metric.Window{From: now.Add(-time.Minute), To: now, Every: time.Minute}
)

func open(engine, document string) (metric.Meter, error) {
	e, err := meters.Parse([]byte(engine))
	if err != nil {
		return nil, err
	}
	return meters.Opener(e, clock.NewVirtual(now))(context.Background(), []byte(document))
}

// offline keeps the AWS SDK from looking for credentials or regions outside of
// the test.
func offline(t *testing.T) {
	t.Helper()
	for k, v := range map[string]string{
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_SESSION_TOKEN": "",
	} {
		t.Setenv(k, v)
	}
}

func TestOpenRefuses(t *testing.T) {
	offline(t)
	const engine = `{"provider":"prometheus","address":"http://prometheus.example"}`
	for name, tt := range map[string]struct{ engine, document, want string }{
		"no provider":                   {``, ``, `metrics.provider "": Canary.Invalid: prometheus or cloudwatch is expected`},
		"an unknown provider":           {``, `{"provider":"datadog"}`, `"datadog"`},
		"counts that were made up":      {``, `{"provider":"memory"}`, `"memory"`},
		"an unknown field":              {``, `{"provider":"prometheus","adress":"http://x"}`, `unknown field "adress"`},
		"no JSON":                       {`{`, ``, `metrics: Canary.Invalid`},
		"two documents":                 {engine + engine, ``, `after the configuration's end`},
		"unknown queries":               {engine, `{"queries":"traefic"}`, `provider prometheus knows app, envoy-appmesh, istio, linkerd, nginx, podlet, traefik, traefik-ingress`},
		"queries of another provider":   {``, `{"provider":"cloudwatch","region":"eu-west-1","queries":"istio"}`, `provider cloudwatch knows alb, ancestor, stepcanary`},
		"no address":                    {``, `{"provider":"prometheus"}`, `https://prometheus.example is expected`},
		"credentials in the address":    {``, `{"provider":"prometheus","address":"https://user:hunter2@x"}`, `auth with a reference`},
		"an address with a query":       {``, `{"provider":"prometheus","address":"https://x/?a=b"}`, `a URL such as`},
		"another scheme":                {``, `{"provider":"prometheus","address":"file:///etc/passwd"}`, `a URL such as`},
		"no CA":                         {`{"provider":"prometheus","address":"https://x","ca":"nothing"}`, ``, `metrics.ca`},
		"a secret instead of its place": {engine, `{"auth":{"bearer":"hunter2"}}`, `env:STEPCANARY_SECRET_NAME or the ARN`},
		"a variable that is no secret":  {engine, `{"auth":{"bearer":"env:AWS_SECRET_ACCESS_KEY"}}`, `env:STEPCANARY_SECRET_NAME or the ARN`},
		"a secret that is not there":    {engine, `{"auth":{"bearer":"env:STEPCANARY_SECRET_NONE"}}`, `the variable is not set`},
		"two kinds of credentials":      {engine, `{"auth":{"bearer":"env:STEPCANARY_SECRET_A","sigv4":{}}}`, `one of bearer, basic, sigv4`},
		"a secret over http":            {`{"auth_addresses":["http://x"]}`, `{"provider":"prometheus","address":"http://x","auth":{"bearer":"env:STEPCANARY_SECRET_A"}}`, `https is expected`},
		"loopback by the document":      {engine, `{"allow_loopback":true}`, `the engine's to say`},
		"addresses by the document":     {engine, `{"auth_addresses":["https://x"]}`, `the engine's to say`},
		"an address that is none":       {`{"auth_addresses":["prometheus.example"]}`, ``, `metrics.auth_addresses: found "prometheus.example"`},
		"CloudWatch without a region":   {``, `{"provider":"cloudwatch"}`, `metrics.region`},
		"CloudWatch with an address":    {``, `{"provider":"cloudwatch","region":"eu-west-1","address":"https://x"}`, `takes no address`},
		"a negative duration":           {engine, `{"lag":"-1s"}`, `duration`},
		"SigV4 without a region":        {engine, `{"auth":{"sigv4":{}}}`, `metrics.region`},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := open(tt.engine, tt.document)
			if m != nil || fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Open(%s over %s) = %v, %v; want %v with %q", tt.document, tt.engine, m, err, fault.Invalid, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestOpenChoosesTheDriver(t *testing.T) {
	offline(t)
	for name, tt := range map[string]struct {
		engine, document string
		want             metric.Pace
	}{
		"the engine's defaults": {
			`{"provider":"prometheus","address":"http://127.0.0.1:9090","scrape_interval":1,"lag":"500ms"}`, ``,
			metric.Pace{Every: time.Second, Lag: 500 * time.Millisecond, Settle: time.Second},
		},
		"pods that are scraped apart": {
			`{"provider":"prometheus","address":"http://127.0.0.1:9090","scrape_interval":"1s"}`, `{"queries":"podlet"}`,
			metric.Pace{Every: 2 * time.Second, Lag: 250 * time.Millisecond, Settle: time.Second},
		},
		"a managed Prometheus": {
			``, `{"provider":"prometheus","address":"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1","auth":{"sigv4":{"service":"aps"}}}`,
			metric.Pace{Every: 15 * time.Second, Lag: 15 * time.Second, Settle: 15 * time.Second},
		},
		"CloudWatch beside an engine that uses Prometheus": {
			`{"provider":"prometheus","address":"http://127.0.0.1:9090","lag":1}`, `{"provider":"cloudwatch","region":"eu-west-1","queries":"ancestor"}`,
			metric.Pace{Every: time.Minute, Lag: 2 * time.Minute, Grid: time.Minute, Settle: time.Minute},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := open(tt.engine, tt.document)
			if err != nil {
				t.Fatalf("Open() = %v", err)
			}
			if diff := cmp.Diff(tt.want, m.Pace()); diff != "" {
				t.Errorf("Pace() (-want +got):\n%s", diff)
			}
			if before, ok := paceOf(t, tt.engine, tt.document); !ok || before != m.Pace() {
				t.Errorf("before it is opened %+v, %v; want %+v", before, ok, m.Pace())
			}
		})
	}
}

// paceOf is what a plan knows of a source.
func paceOf(t *testing.T, engine, document string) (metric.Pace, bool) {
	t.Helper()
	var parsed [2]meters.Config
	for i, text := range []string{engine, document} {
		var err error
		if parsed[i], err = meters.Parse([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	c, err := meters.Merge(parsed[0], parsed[1])
	if err != nil {
		t.Fatal(err)
	}
	return c.Pace()
}

func TestNoPaceWithoutAProvider(t *testing.T) {
	if p, ok := paceOf(t, ``, `{"lag": 5}`); ok {
		t.Errorf("the pace is %+v; want none", p)
	}
}

func TestMergeKeepsCredentialsAtTheEnginesAddress(t *testing.T) {
	engine := meters.Config{
		Provider: "prometheus", Address: "https://prometheus.example", Queries: "istio", CA: "pem",
		Auth: meters.Auth{Bearer: "env:STEPCANARY_SECRET_TOKEN"}, Query: map[string]string{"a": "1", "b": "1"},
	}
	for name, tt := range map[string]struct{ document, want meters.Config }{
		"nothing said":          {meters.Config{}, engine},
		"the same address said": {meters.Config{Address: engine.Address}, engine},
		"an address of its own": {
			meters.Config{Address: "https://elsewhere.example", Query: map[string]string{"b": "2"}},
			meters.Config{Provider: "prometheus", Address: "https://elsewhere.example", Queries: "istio", Query: map[string]string{"a": "1", "b": "2"}},
		},
		"another provider": {
			meters.Config{Provider: "cloudwatch"}, meters.Config{Provider: "cloudwatch"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := meters.Merge(engine, tt.document)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(meters.Config{})); err != nil || diff != "" {
				t.Errorf("Merge() = %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// Whoever may write deploy.json must not be able to read a secret of the engine's at an address of
// their own.
func TestASecretGoesToAddressesThatTheEngineKnows(t *testing.T) {
	const engine = `{"provider":"prometheus","address":"https://prometheus.example/a"}`
	const bearer, basic = `"auth":{"bearer":"env:STEPCANARY_SECRET_TOKEN"}`, `"auth":{"basic":{"username":"me","password":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-AbCdEf"}}`
	listed := strings.Replace(engine, "{", `{"auth_addresses":["https://Team.example:443"],`, 1)
	for name, tt := range map[string]struct {
		engine, document string
		ok               bool
	}{
		"the engine's address":                {engine, `{` + bearer + `}`, true},
		"another path there":                  {engine, `{"address":"https://prometheus.example:443/b",` + bearer + `}`, true},
		"an address of its own":               {engine, `{"address":"https://team.example",` + bearer + `}`, false},
		"an address of its own, with basic":   {engine, `{"address":"https://team.example",` + basic + `}`, false},
		"an address of its own, signed":       {engine, `{"address":"https://team.example","auth":{"sigv4":{}}}`, false},
		"an address of its own, without auth": {engine, `{"address":"https://team.example"}`, true},
		"another port":                        {engine, `{"address":"https://prometheus.example:9090/a",` + bearer + `}`, false},
		"another scheme":                      {engine, `{"address":"http://prometheus.example/a",` + bearer + `}`, false},
		"the engine's host as a user":         {engine, `{"address":"https://prometheus.example@team.example/a",` + bearer + `}`, false},
		"AWS's address":                       {engine, `{"address":"https://aps-workspaces.eu-west-1.amazonaws.com",` + bearer + `}`, false},
		"a listed address":                    {listed, `{"address":"https://team.example/x",` + bearer + `}`, true},
		"an address that is not listed":       {listed, `{"address":"https://other.example",` + bearer + `}`, false},
		"an engine without an address":        {``, `{"provider":"prometheus","address":"https://team.example",` + bearer + `}`, false},
		"an engine with another provider":     {`{"provider":"cloudwatch"}`, `{"provider":"prometheus","address":"https://team.example",` + bearer + `}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := meters.Parse([]byte(tt.engine))
			if err != nil {
				t.Fatal(err)
			}
			d, err := meters.Parse([]byte(tt.document))
			if err != nil {
				t.Fatal(err)
			}
			_, err = meters.Merge(e, d)
			if (err == nil) != tt.ok || err != nil && (fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "auth_addresses")) {
				t.Errorf("Merge() = %v; want ok %v", err, tt.ok)
			}
		})
	}
}

// Beside a signature goes the token of the engine's session.
func TestASignatureGoesToAddressesThatTheEngineKnows(t *testing.T) {
	offline(t)
	const engine = `{"provider":"prometheus","address":"http://prometheus.example/a","region":"eu-west-1","auth_addresses":["https://team.example","http://plain.example"]}`
	const nobodys, plain = "one of auth_addresses", "https is expected"
	for address, want := range map[string]string{
		"http://prometheus.example/a": "",
		"https://team.example/x":      "",
		"https://other.example":       nobodys,
		"https://team.example:8443":   nobodys,
		"http://plain.example":        plain,
		"https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1":               "",
		"https://APS-Workspaces.eu-west-1.amazonaws.com:443/workspaces/ws-1":           "",
		"https://aps-workspaces-fips.us-gov-west-1.amazonaws.com":                      "",
		"https://aps-workspaces.ap-southeast-5.api.aws":                                "",
		"https://aps-workspaces-fips.us-east-1.api.aws":                                "",
		"https://aps-workspaces.cn-north-1.amazonaws.com.cn":                           "",
		"https://aps-workspaces.cn-northwest-1.api.amazonwebservices.com.cn":           "",
		"http://aps-workspaces.eu-west-1.amazonaws.com":                                nobodys,
		"https://aps-workspaces.eu-west-1.amazonaws.com:8443":                          nobodys,
		"https://aps-workspaces.eu-west-1.amazonaws.com.example":                       nobodys,
		"https://example/aps-workspaces.eu-west-1.amazonaws.com":                       nobodys,
		"https://aps-workspaces.eu-west-1.amazonaws.com@other.example":                 nobodys,
		"https://other-aps-workspaces.eu-west-1.amazonaws.com":                         nobodys,
		"https://aps-workspaces.eu-west-1xamazonaws.com":                               nobodys,
		"https://aps-workspaces.eu-west-1.api.aws.cn":                                  nobodys,
		"https://aps-workspaces.s3.amazonaws.com":                                      nobodys, // anybody's bucket
		"https://aps-workspaces.s3-eu-west-1.amazonaws.com":                            nobodys,
		"https://aps-workspaces.s3.eu-west-1.amazonaws.com":                            nobodys,
		"https://vpce-0a1b-aps-workspaces.aps-workspaces.eu-west-1.vpce.amazonaws.com": nobodys,
	} {
		m, err := open(engine, fmt.Sprintf(`{"address":%q,"auth":{"sigv4":{}}}`, address))
		if want == "" && (m == nil || err != nil) || want != "" && (m != nil || fault.Of(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), want)) {
			t.Errorf("Open(%s) = %v; want %q", address, err, want)
		}
	}
}

func TestARefusedAddressIsToldWithoutItsUser(t *testing.T) {
	_, err := open(``, `{"provider":"prometheus","address":"https://me:hunter2@Team.example/x","auth":{"sigv4":{}}}`)
	const want = `metrics.address beside metrics.auth: found "https://team.example:443": Canary.Invalid: ` +
		`the engine's own address, one of auth_addresses of its metrics settings or, for sigv4, https://aps-workspaces.REGION.amazonaws.com is expected`
	if fmt.Sprint(err) != want {
		t.Errorf("Open() = %v; want %s", err, want)
	}
}

// empty answers every query with nothing, and notes what it was sent.
func empty(seen *http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*seen = r.Header.Clone()
		fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	}
}

func TestCredentialsReachTheSource(t *testing.T) {
	offline(t)
	t.Setenv("STEPCANARY_SECRET_TOKEN", " t0ken\n")
	for name, tt := range map[string]struct{ auth, want string }{
		"none":   {`{}`, ``},
		"bearer": {`{"bearer":"env:STEPCANARY_SECRET_TOKEN"}`, `Bearer t0ken`},
		"basic":  {`{"basic":{"username":"me","password":"env:STEPCANARY_SECRET_TOKEN"}}`, `Basic bWU6dDBrZW4=`},
		"sigv4":  {`{"sigv4":{}}`, `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/eu-west-1/aps/aws4_request`},
	} {
		t.Run(name, func(t *testing.T) {
			var seen http.Header
			server := httptest.NewTLSServer(empty(&seen))
			defer server.Close()
			ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
			m, err := open(fmt.Sprintf(`{"provider":"prometheus","address":%q,"region":"eu-west-1","ca":%q,"auth":%s}`, server.URL, ca, tt.auth), ``)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Intervals(t.Context(), subject, window); err != nil {
				t.Fatalf("Intervals() = %v", err)
			}
			if got := seen.Get("Authorization"); !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("Authorization: %q; want it to begin with %q", got, tt.want)
			}
		})
	}
}

func TestADocumentsAddressMayNotBeThisMachine(t *testing.T) {
	var seen http.Header
	server := httptest.NewServer(empty(&seen))
	defer server.Close()
	document := fmt.Sprintf(`{"provider":"prometheus","address":%q}`, server.URL)
	for engine, allowed := range map[string]bool{``: false, `{"allow_loopback":true}`: true, document: true} {
		m, err := open(engine, document)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Intervals(t.Context(), subject, window); (err == nil) != allowed {
			t.Errorf("Intervals() with the engine's %s = %v; want allowed %v", engine, err, allowed)
		}
	}
}

func TestCloudWatchIsFoundByItsEndpointVariable(t *testing.T) {
	offline(t)
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path
		http.Error(w, "", http.StatusBadRequest)
	}))
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_CLOUDWATCH", server.URL)
	m, err := open(``, `{"provider":"cloudwatch","region":"eu-west-1"}`)
	if err != nil {
		t.Fatal(err)
	}
	w := metric.Window{From: now.Add(-10 * time.Minute), To: now.Add(-5 * time.Minute), Every: time.Minute}
	if _, err := m.Intervals(t.Context(), subject, w); err == nil || !strings.HasSuffix(asked, "/operation/GetMetricData") {
		t.Errorf("Intervals() = %v, asked %q; want an error and GetMetricData", err, asked)
	}
}

func TestASecretIsReadFromSecretsManager(t *testing.T) {
	offline(t)
	const arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:stepcanary/token-AbCdEf"
	answer, status := `{"SecretString":"t0ken"}`, http.StatusOK
	manager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	defer manager.Close()
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", manager.URL)
	var seen http.Header
	source := httptest.NewServer(empty(&seen))
	defer source.Close()
	engine := fmt.Sprintf(`{"provider":"prometheus","address":%q,"auth":{"bearer":%q}}`, source.URL, arn)
	m, err := open(engine, ``)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Intervals(t.Context(), subject, window); err != nil || seen.Get("Authorization") != "Bearer t0ken" {
		t.Errorf("Intervals() = %v with %q; want the secret as a bearer token", err, seen.Get("Authorization"))
	}
	answer, status = `{"__type":"ResourceNotFoundException","Message":"no such secret"}`, http.StatusBadRequest
	if m, err := open(engine, ``); m != nil || fault.Of(err) != fault.Invalid {
		t.Errorf("Open() = %v, %v; want %v", m, err, fault.Invalid)
	}
	answer = `{"SecretString":" "}`
	status = http.StatusOK
	if m, err := open(engine, ``); m != nil || fault.Of(err) != fault.Invalid {
		t.Errorf("Open() with an empty secret = %v, %v; want %v", m, err, fault.Invalid)
	}
}
