package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
)

var (
	now      = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	question = hook.Question{Namespace: "shop", Name: "checkout", Weight: 20, Execution: "arn:run-1", Canary: "checkout-2", Stable: "checkout-1"}
)

// A wire answers requests without a network.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func client(w wire) *hook.Client {
	return hook.New(hook.Options{Clock: clock.NewVirtual(now), Transport: w})
}

func gate() hook.Gate {
	return hook.Gate{Endpoint: hook.Endpoint{Name: "load test", URL: "https://gate.example/t0ken"}, Phase: hook.PreStep}
}

func TestWhatAGateSays(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want hook.Answer
	}{
		"yes":                     {`{"hookStatus":"SUCCEEDED"}`, hook.Answer{Status: hook.Succeeded}},
		"no, with a reason":       {`{"hookStatus":"FAILED","reason":"p99 is\n3 s"}`, hook.Answer{Status: hook.Failed, Reason: "p99 is 3 s"}},
		"not yet":                 {`{"hookStatus":"IN_PROGRESS"}`, hook.Answer{Status: hook.InProgress, After: 30 * time.Second}},
		"not before a while":      {`{"hookStatus":"IN_PROGRESS","callBackDelay":90}`, hook.Answer{Status: hook.InProgress, After: 90 * time.Second}},
		"ask again at once":       {`{"hookStatus":"IN_PROGRESS","callBackDelay":0}`, hook.Answer{Status: hook.InProgress, After: time.Second}},
		"ask again yesterday":     {`{"hookStatus":"IN_PROGRESS","callBackDelay":-1e300}`, hook.Answer{Status: hook.InProgress, After: time.Second}},
		"ask again after ages":    {`{"hookStatus":"IN_PROGRESS","callBackDelay":1e300}`, hook.Answer{Status: hook.InProgress, After: time.Hour}},
		"a link of its own":       {`{"hookStatus":"FAILED","reason":"see https://ci.example/t0ken/1"}`, hook.Answer{Status: hook.Failed, Reason: "see https://ci.example/t0ken/1"}},
		"more than was asked":     {`{"hookStatus":"SUCCEEDED","hookDetails":{"a":1}}`, hook.Answer{Status: hook.Succeeded}},
		"a reason without an end": {`{"hookStatus":"FAILED","reason":"` + strings.Repeat("x", 1000) + `"}`, hook.Answer{Status: hook.Failed, Reason: strings.Repeat("x", 300) + "..."}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := client(func(*http.Request) (*http.Response, error) { return response(200, tt.body), nil }).Ask(t.Context(), gate(), question)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Ask() = %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// No answer opens no gate: every case ends without a status. One that contradicts itself is none:
// the last of several words once counted, whatever its capitals.
func TestWhatIsNoAnswer(t *testing.T) {
	redirect := func(status int, to string) *http.Response {
		res := response(status, "")
		res.Header.Set("Location", to)
		return res
	}
	for name, tt := range map[string]struct {
		answer *http.Response
		err    error
		kind   fault.Kind
		tries  int
	}{
		"an empty body":                 {response(200, ""), nil, fault.Transient, 1},
		"a page to log in":              {response(200, "<html>"), nil, fault.Transient, 1},
		"no status":                     {response(200, "{}"), nil, fault.Transient, 1},
		"another status":                {response(200, `{"hookStatus":"succeeded"}`), nil, fault.Transient, 1},
		"a status that is no word":      {response(200, `{"hookStatus":true}`), nil, fault.Transient, 1},
		"a list":                        {response(200, `[{"hookStatus":"SUCCEEDED"}]`), nil, fault.Transient, 1},
		"two words":                     {response(200, `{"hookStatus":"FAILED","hookStatus":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"two words, one in capitals":    {response(200, `{"hookStatus":"FAILED","HOOKSTATUS":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"two words, the other way":      {response(200, `{"HookStatus":"FAILED","hookStatus":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"two words, one escaped":        {response(200, `{"hookStatus":"FAILED","hook\u0053tatus":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"a word by another name":        {response(200, `{"HOOKSTATUS":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"a word by a letter like an s":  {response(200, `{"hook\u017ftatus":"FAILED","hookStatus":"SUCCEEDED"}`), nil, fault.Transient, 1},
		"two reasons":                   {response(200, `{"hookStatus":"FAILED","reason":"a","Reason":"b"}`), nil, fault.Transient, 1},
		"another field twice":           {response(200, `{"hookStatus":"SUCCEEDED","a":1,"a":2}`), nil, fault.Transient, 1},
		"a reason that is none":         {response(200, `{"hookStatus":"SUCCEEDED","reason":1}`), nil, fault.Transient, 1},
		"two answers":                   {response(200, `{"hookStatus":"SUCCEEDED"}{"hookStatus":"FAILED"}`), nil, fault.Transient, 1},
		"more than is read":             {response(200, `{"hookStatus":"SUCCEEDED"}`+strings.Repeat(" ", 64<<10)), nil, fault.Invalid, 1},
		"yes, with an error's status":   {response(500, `{"hookStatus":"SUCCEEDED"}`), nil, fault.Transient, 3},
		"yes, with a refusal's status":  {response(403, `{"hookStatus":"SUCCEEDED"}`), nil, fault.Invalid, 1},
		"yes, with a redirect's status": {response(304, `{"hookStatus":"SUCCEEDED"}`), nil, fault.Invalid, 1},
		"throttling":                    {response(429, ""), nil, fault.Transient, 3},
		"no connection":                 {nil, errors.New("connection refused"), fault.Transient, 3},
		"a redirect to another host":    {redirect(307, "https://elsewhere.example/"), nil, fault.Invalid, 1},
		"a redirect to another port":    {redirect(307, "https://gate.example:8443/"), nil, fault.Invalid, 1},
		"a redirect to http":            {redirect(307, "http://gate.example/"), nil, fault.Invalid, 1},
		"a redirect that drops all":     {redirect(302, "https://gate.example/other"), nil, fault.Invalid, 1},
		"a redirect in a circle":        {redirect(308, "https://gate.example/t0ken"), nil, fault.Invalid, 4},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			c := client(func(*http.Request) (*http.Response, error) {
				tries++
				if tt.answer == nil {
					return nil, tt.err
				}
				again := *tt.answer
				return &again, nil
			})
			got, err := c.Ask(t.Context(), gate(), question)
			if got != (hook.Answer{}) || fault.Of(err) != tt.kind || tries != tt.tries {
				t.Errorf("Ask() = %+v, %v after %d tries; want nothing, %v after %d", got, err, tries, tt.kind, tt.tries)
			}
			if strings.Contains(fmt.Sprint(err), "t0ken") {
				t.Errorf("the error tells the URL's path, which may be a secret: %v", err)
			}
		})
	}
}

func TestARedirectOnTheSameHostIsFollowedWithTheQuestion(t *testing.T) {
	var seen []string
	c := client(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, r.Method+" "+r.URL.Path+" "+fmt.Sprint(len(body) > 0))
		if len(seen) == 1 {
			res := response(308, "")
			res.Header.Set("Location", "/moved")
			return res, nil
		}
		return response(200, `{"hookStatus":"SUCCEEDED"}`), nil
	})
	a, err := c.Ask(t.Context(), gate(), question)
	if diff := cmp.Diff([]string{"POST /t0ken true", "POST /moved true"}, seen); err != nil || a.Status != hook.Succeeded || diff != "" {
		t.Errorf("Ask() = %+v, %v (-want +got):\n%s", a, err, diff)
	}
}

func TestAQuestionIsSignedAndKnownAgain(t *testing.T) {
	t.Setenv("STEPCANARY_SECRET_HOOK", "k3y")
	var deliveries []string
	c := client(func(r *http.Request) (*http.Response, error) {
		body, _ := io.ReadAll(r.Body)
		if err := hook.Verify("k3y", r.Header.Get(hook.SignatureHeader), body, now.Add(time.Minute), 5*time.Minute); err != nil {
			t.Errorf("Verify() = %v", err)
		}
		want := `{"namespace":"shop","name":"checkout","phase":"step","weight":20,"execution":"arn:run-1","canary":"checkout-2","stable":"checkout-1","metadata":{"kind":"smoke"}}`
		if diff := cmp.Diff(want, string(body)); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		deliveries = append(deliveries, r.Header.Get(hook.DeliveryHeader))
		if len(deliveries) == 1 {
			return response(503, ""), nil
		}
		return response(200, `{"hookStatus":"IN_PROGRESS"}`), nil
	})
	g := gate()
	g.Secret, g.Metadata = "env:STEPCANARY_SECRET_HOOK", map[string]string{"kind": "smoke"}
	for range 2 {
		if _, err := c.Ask(t.Context(), g, question); err != nil {
			t.Fatal(err)
		}
	}
	if len(deliveries) != 3 || deliveries[0] == "" || deliveries[0] != deliveries[1] || deliveries[1] != deliveries[2] {
		t.Errorf("deliveries %q; want the same name for the same question", deliveries)
	}
}

func TestVerify(t *testing.T) {
	body := []byte(`{"a":1}`)
	good := hook.Sign("k3y", now, body)
	if want := "t=1795251600,v1="; !strings.HasPrefix(good, want) {
		t.Errorf("Sign() = %s; want it to begin with %s", good, want)
	}
	for name, tt := range map[string]struct {
		key, header, body string
		at                time.Time
		ok                bool
	}{
		"the sender's":       {"k3y", good, `{"a":1}`, now, true},
		"a moment later":     {"k3y", good, `{"a":1}`, now.Add(5 * time.Minute), true},
		"by a clock behind":  {"k3y", good, `{"a":1}`, now.Add(-5 * time.Minute), true},
		"an old one":         {"k3y", good, `{"a":1}`, now.Add(6 * time.Minute), false},
		"with another key":   {"key", good, `{"a":1}`, now, false},
		"of another body":    {"k3y", good, `{"a":2}`, now, false},
		"at another time":    {"k3y", strings.Replace(good, "t=17952516", "t=17952517", 1), `{"a":1}`, now, false},
		"an empty one":       {"k3y", "", `{"a":1}`, now, false},
		"without a time":     {"k3y", strings.TrimPrefix(good, "t="), `{"a":1}`, now, false},
		"without an HMAC":    {"k3y", "t=1795251600,v1=", `{"a":1}`, now, false},
		"of another version": {"k3y", strings.Replace(good, "v1=", "v0=", 1), `{"a":1}`, now, false},
	} {
		if err := hook.Verify(tt.key, tt.header, []byte(tt.body), tt.at, 5*time.Minute); (err == nil) != tt.ok {
			t.Errorf("%s: Verify() = %v; want ok %v", name, err, tt.ok)
		}
	}
}

// Known by OpenSSL: printf '1795251600.{"a":1}' | openssl dgst -sha256 -hmac k3y
func TestSignIsHMACSHA256(t *testing.T) {
	const want = "t=1795251600,v1=2b9671d7ac9dfb3fa157fbfc834f6c00a3261e265af5bf633a109ae3aa469d52"
	if got := hook.Sign("k3y", now, []byte(`{"a":1}`)); got != want {
		t.Errorf("Sign() = %s; want %s", got, want)
	}
}

func TestCheckRefuses(t *testing.T) {
	c := hook.New(hook.Options{Clock: clock.NewVirtual(now)})
	some := func(n int) *int { return &n }
	for name, change := range map[string]func(*hook.Gate){
		"no name":                    func(g *hook.Gate) { g.Name = "" },
		"no URL":                     func(g *hook.Gate) { g.URL = "" },
		"two URLs":                   func(g *hook.Gate) { g.URLFrom = "env:STEPCANARY_SECRET_URL" },
		"http":                       func(g *hook.Gate) { g.URL = "http://gate.example" },
		"http to this machine":       func(g *hook.Gate) { g.URL = "http://127.0.0.1:9001/" },
		"https to this machine":      func(g *hook.Gate) { g.URL = "https://127.0.0.1/" },
		"a private address":          func(g *hook.Gate) { g.URL = "https://10.0.0.1/" },
		"the metadata address":       func(g *hook.Gate) { g.URL = "https://169.254.169.254/latest/meta-data" },
		"the metadata address in v6": func(g *hook.Gate) { g.URL = "https://[fd00:ec2::254]/" },
		"another scheme":             func(g *hook.Gate) { g.URL = "file:///etc/passwd" },
		"no host":                    func(g *hook.Gate) { g.URL = "https:///path" },
		"no port":                    func(g *hook.Gate) { g.URL = "https://gate.example:99999/" },
		"credentials in the URL":     func(g *hook.Gate) { g.URL = "https://user:hunter2@gate.example/" },
		"a secret, not its place":    func(g *hook.Gate) { g.Secret = "hunter2" },
		"a URL that is a secret":     func(g *hook.Gate) { g.URL, g.URLFrom = "", "https://hunter2.example" },
		"a phase that is none":       func(g *hook.Gate) { g.Phase = "rollout" },
		"no phase":                   func(g *hook.Gate) { g.Phase = "" },
		"a negative time-out":        func(g *hook.Gate) { g.Timeout = -1 },
		"a time-out of an hour":      func(g *hook.Gate) { g.Timeout = 3600 },
		"too many retries":           func(g *hook.Gate) { g.Retries = some(11) },
		"negative retries":           func(g *hook.Gate) { g.Retries = some(-1) },
	} {
		g := gate()
		change(&g)
		err := c.CheckGate(g)
		if fault.Of(err) != fault.Invalid || strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: CheckGate() = %v; want %v, and no secret", name, err, fault.Invalid)
		}
	}
	if err := c.CheckGate(gate()); err != nil {
		t.Errorf("CheckGate() = %v", err)
	}
}

// Where plain text may go to this machine, it may go nowhere else.
func TestPlainTextStaysOnThisMachine(t *testing.T) {
	c := hook.New(hook.Options{Clock: clock.NewVirtual(now), Egress: egress.Policy{Loopback: true, Private: true}})
	for url, allowed := range map[string]bool{
		"http://localhost:9001/": true, "http://127.0.0.1:9001/": true, "http://[::1]:9001/": true,
		"http://gate.example/": false, "http://localhost.gate.example/": false, "http://10.0.0.7/": false, "http://[fd12::1]/": false,
	} {
		g := gate()
		g.URL = url
		if err := c.CheckGate(g); (err == nil) != allowed {
			t.Errorf("CheckGate() of %s = %v; want allowed %t", url, err, allowed)
		}
	}
}

// A name that leads to this machine stands for one that leads to a metadata
// address: both are refused after the name was resolved.
func TestAForbiddenAddressIsNotReachedByAName(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		fmt.Fprint(w, `{"hookStatus":"SUCCEEDED"}`)
	}))
	defer server.Close()
	g := gate()
	g.URL = strings.Replace(server.URL, "http://127.0.0.1", "https://localhost", 1)
	c := hook.New(hook.Options{Clock: clock.NewVirtual(now), Egress: egress.Policy{Private: true}})
	if a, err := c.Ask(t.Context(), g, question); fault.Of(err) != fault.Invalid || reached || a.Status != "" {
		t.Errorf("Ask() = %+v, %v, reached %v; want %v before it is reached", a, err, reached, fault.Invalid)
	}
	g.URL = server.URL
	c = hook.New(hook.Options{Clock: clock.NewVirtual(now), Egress: egress.Policy{Loopback: true}})
	if a, err := c.Ask(t.Context(), g, question); err != nil || a.Status != hook.Succeeded {
		t.Errorf("Ask() where the engine allows loopback = %+v, %v", a, err)
	}
}

func TestASlowGateIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		c := hook.New(hook.Options{Clock: clock.Real{}, Transport: wire(func(r *http.Request) (*http.Response, error) {
			tries++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})})
		g := gate()
		g.Timeout = 2
		before := time.Now()
		_, err := c.Ask(t.Context(), g, question)
		if took := time.Since(before); fault.Of(err) != fault.Transient || took != 7500*time.Millisecond || tries != 3 {
			t.Errorf("Ask() = %v after %v and %d tries; want %v after 3 tries of 2 s, 0.5 s and 1 s between them", err, took, tries, fault.Transient)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tries = 0
		if _, err := c.Ask(ctx, g, question); err == nil || tries != 1 {
			t.Errorf("Ask() of a task whose time is over = %v after %d tries; want an error after one", err, tries)
		}
	})
}

// A gate that repeats its question's address, or the key that it knows, says so in the reason
// of a rollout's end, which anybody reads.
func TestASecretIsInNoAnswer(t *testing.T) {
	t.Setenv("STEPCANARY_SECRET_HOOK", "k3y+hunter2")
	t.Setenv("STEPCANARY_SECRET_URL", "https://gate.example/a/t0ken hunter2?key=b/hunter2")
	for name, reason := range map[string]string{
		"the address":              "no test at https://gate.example/a/t0ken%20hunter2?key=b/hunter2",
		"the request's line":       "POST /a/t0ken%20hunter2?key=b/hunter2 is unknown",
		"the path":                 "POST /a/t0ken hunter2 is unknown",
		"the path, as it was sent": "POST /a/t0ken%20hunter2 is unknown",
		"the query":                "key=b/hunter2 is unknown",
		"the key":                  "signed by k3y+hunter2",
		"the key in a URL":         "signed by k3y%2Bhunter2",
		"the key at the cut":       strings.Repeat("x", 295) + "k3y+hunter2",
	} {
		t.Run(name, func(t *testing.T) {
			g := gate()
			g.URL, g.URLFrom, g.Secret = "", "env:STEPCANARY_SECRET_URL", "env:STEPCANARY_SECRET_HOOK"
			body, err := json.Marshal(map[string]string{"hookStatus": "FAILED", "reason": reason})
			if err != nil {
				t.Fatal(err)
			}
			a, err := client(func(*http.Request) (*http.Response, error) { return response(200, string(body)), nil }).Ask(t.Context(), g, question)
			if err != nil || a.Status != hook.Failed || a.Reason == "" || strings.Contains(a.Reason, "k3y") || strings.Contains(a.Reason, "hunter2") {
				t.Errorf("Ask() = %+v, %v; want the gate's reason without a secret", a, err)
			}
			body, _ = json.Marshal(map[string]string{"hookStatus": reason})
			_, err = client(func(*http.Request) (*http.Response, error) { return response(200, string(body)), nil }).Ask(t.Context(), g, question)
			if err == nil || strings.Contains(err.Error(), "k3y") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Ask() = %v; want an error without a secret", err)
			}
		})
	}
}

func FuzzGate(f *testing.F) {
	f.Add([]byte(`{"hookStatus":"SUCCEEDED"}`))
	f.Add([]byte(`{"hookStatus":"IN_PROGRESS","callBackDelay":1e308,"reason":"\u0000"}`))
	f.Add([]byte(`{"hookStatus":null}`))
	f.Add([]byte(`{"hookStatus":"FAILED","HOOKSTATUS":"SUCCEEDED","a":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<20 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		a, err := client(func(*http.Request) (*http.Response, error) { return response(200, string(body)), nil }).Ask(t.Context(), gate(), question)
		if err != nil {
			if a != (hook.Answer{}) {
				t.Errorf("Ask() = %+v beside %v", a, err)
			}
			return
		}
		var said map[string]any
		if json.Unmarshal(body, &said) != nil || said["hookStatus"] != string(a.Status) {
			t.Errorf("%q was read as %+v", body, a)
		}
		for name := range said {
			if name != "hookStatus" && strings.EqualFold(name, "hookStatus") {
				t.Errorf("%q has %q beside hookStatus, and was read as %+v", body, name, a)
			}
		}
		if a.Status == hook.InProgress && (a.After < time.Second || a.After > time.Hour) || strings.ContainsAny(a.Reason, "\n\r\x00") {
			t.Errorf("%q was read as %+v", body, a)
		}
	})
}

// FuzzVerify shows receivers what nobody signed: a signature of ours fits its own body within the
// tolerance and no other, and of all headers only one that Sign would write is believed.
func FuzzVerify(f *testing.F) {
	good := hook.Sign("k3y", now, []byte(`{"a":1}`))
	for _, header := range []string{
		good, good + " ", strings.ToUpper(good), strings.Replace(good, "t=", "t=+", 1), strings.Replace(good, "t=", "t=0", 1), good + ",v1=00",
		"", "t=", "t=,v1=", "t=9223372036854775807,v1=00", "t=-9223372036854775808,v1=00",
	} {
		f.Add("k3y", header, []byte(`{"a":1}`), int64(0), int64(300))
	}
	f.Add("", "t=1795251600,v1=", []byte{}, int64(-1<<62), int64(-1))
	f.Fuzz(func(t *testing.T, key, header string, body []byte, age, tolerance int64) {
		if len(header)+len(body)+len(key) > 1<<20 {
			return
		}
		within := time.Duration(tolerance%(1<<30)) * time.Second
		at := time.Unix(now.Unix()-age%(1<<40), 0)
		mine := hook.Sign(key, at, body)
		if err := hook.Verify(key, mine, body, now, within); (err == nil) != (now.Sub(at).Abs() <= within) {
			t.Errorf("Verify(%q) of a signature %v old = %v; at most %v is allowed", mine, now.Sub(at), err, within)
		}
		if err := hook.Verify(key, mine, append([]byte{' '}, body...), now, within); err == nil {
			t.Errorf("Verify(%q) of another body is believed", mine)
		}
		if hook.Verify(key, header, body, now, within) != nil {
			return
		}
		var seconds int64
		if _, err := fmt.Sscanf(header, "t=%d,", &seconds); err != nil || !strings.EqualFold(header, hook.Sign(key, time.Unix(seconds, 0), body)) {
			t.Errorf("Verify(%q) is believed", header)
		}
	})
}
