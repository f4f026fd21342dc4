package prometheus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/metric/prometheus"
	"github.com/stepcanary/stepcanary/internal/metric/queries"
)

// A wire answers requests without a network.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// answering gives the same answer to everything.
func answering(status int, body string) wire {
	return func(*http.Request) (*http.Response, error) { return response(status, body), nil }
}

func meterOn(t testing.TB, w wire, o prometheus.Options) *prometheus.Meter {
	t.Helper()
	set, err := queries.OpenPrometheus("traefik")
	if err != nil {
		t.Fatal(err)
	}
	o.Address, o.Queries, o.Transport, o.Lag = "https://prometheus.example", set, w, lag
	if o.Clock == nil {
		o.Clock = clock.NewVirtual(metrictest.Start.Add(10 * time.Minute))
	}
	m, err := prometheus.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// two is a window of two intervals.
var two = metric.Window{From: metrictest.Start, To: metrictest.Start.Add(2 * time.Minute), Every: time.Minute}

// matrix is an answer with the stable's requests at the window's ends and the
// canary's as given, by code: values at -1, 0, 1 and 2 minutes; "" is no sample.
func matrix(canary map[string][4]string) string {
	series := []string{one("checkout-1", "200", [4]string{"100", "200", "300", "400"})}
	for code, values := range canary {
		series = append(series, one("checkout-2", code, values))
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
}

func one(version, code string, values [4]string) string {
	var samples []string
	for i, v := range values {
		if v != "" {
			samples = append(samples, fmt.Sprintf(`[%d,%q]`, metrictest.Start.Add(time.Duration(i-1)*time.Minute).Unix(), v))
		}
	}
	return fmt.Sprintf(`{"metric":{"__name__":"traefik_service_requests_total","code":%q,"service":%q},"values":[%s]}`,
		code, traefik("checkout", version), strings.Join(samples, ","))
}

func TestWhatEachValueMeans(t *testing.T) {
	const none = "not known"
	for name, tt := range map[string]struct {
		canary map[string][4]string
		want   [2]string
	}{
		"a counter that rises":           {map[string][4]string{"200": {"1", "5", "9", "20"}}, [2]string{"4/0", "11/0"}},
		"errors are the 5xx":             {map[string][4]string{"200": {"0", "0", "3", "3"}, "404": {"0", "0", "2", "2"}, "503": {"0", "0", "1", "2"}}, [2]string{"6/1", "1/1"}},
		"a counter that stands":          {map[string][4]string{"200": {"7", "7", "7", "7"}}, [2]string{"0/0", "0/0"}},
		"a counter that began anew":      {map[string][4]string{"200": {"1", "50", "3", "8"}}, [2]string{"3/0", "5/0"}},
		"a series that is new":           {map[string][4]string{"200": {"1", "5", "9", "20"}, "500": {"", "", "2", "2"}}, [2]string{"6/2", "11/0"}},
		"a series that went":             {map[string][4]string{"200": {"1", "5", "9", "20"}, "500": {"1", "1", "", ""}}, [2]string{"4/0", "11/0"}},
		"a series that came back":        {map[string][4]string{"200": {"1", "", "9", "20"}}, [2]string{none, "11/0"}},
		"a version that went":            {map[string][4]string{"200": {"1", "5", "", ""}}, [2]string{none, none}},
		"no series of the version":       {nil, [2]string{none, none}},
		"NaN":                            {map[string][4]string{"200": {"1", "5", "9", "NaN"}}, [2]string{"4/0", none}},
		"NaN in one series of two":       {map[string][4]string{"200": {"1", "5", "9", "20"}, "500": {"0", "0", "NaN", "1"}}, [2]string{none, none}},
		"an infinity":                    {map[string][4]string{"200": {"1", "5", "+Inf", "+Inf"}}, [2]string{none, none}},
		"a negative infinity":            {map[string][4]string{"200": {"1", "-Inf", "5", "6"}}, [2]string{none, "1/0"}},
		"a negative":                     {map[string][4]string{"200": {"1", "5", "-9", "20"}}, [2]string{none, none}},
		"a number beyond floating point": {map[string][4]string{"200": {"1", "5", "1e999", "20"}}, [2]string{none, none}},
		"a number beyond belief":         {map[string][4]string{"200": {"1", "5", "1e300", "1e300"}}, [2]string{none, "0/0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := meterOn(t, answering(http.StatusOK, matrix(tt.canary)), prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, two)
			if err != nil || len(got) != 2 {
				t.Fatalf("Intervals() = %v, %v", got, err)
			}
			for i, want := range tt.want {
				text := none
				if c := got[i].Canary; c.Known {
					text = fmt.Sprintf("%d/%d", c.Requests, c.Errors)
				}
				if text != want {
					t.Errorf("interval %d: canary %s; want %s", i, text, want)
				}
				if s := got[i].Stable; !s.Known || s.Requests != 100 {
					t.Errorf("interval %d: stable %+v; want its 100 requests, whatever the canary's are", i, s)
				}
			}
		})
	}
}

func TestWhatEachAnswerMeans(t *testing.T) {
	const success = `{"status":"success","data":{"resultType":`
	for name, tt := range map[string]struct {
		status int
		body   string
		kind   fault.Kind
		tries  int
		want   string
	}{
		"a bad query":             {400, `{"status":"error","errorType":"bad_data","error":"1:3: parse error"}`, fault.Invalid, 1, "bad_data: 1:3: parse error"},
		"no credentials":          {401, `unauthorized`, fault.Invalid, 1, "401 Unauthorized: unauthorized"},
		"wrong credentials":       {403, `{"message":"The security token is invalid"}`, fault.Invalid, 1, "403 Forbidden"},
		"no such path":            {404, `404 page not found`, fault.Invalid, 1, "404 Not Found"},
		"too many samples":        {422, `{"status":"error","errorType":"execution","error":"too many samples"}`, fault.Invalid, 1, "too many samples"},
		"a redirect":              {302, ``, fault.Invalid, 1, "302 Found"},
		"throttling":              {429, `slow down`, fault.Transient, 3, "429 Too Many Requests"},
		"an internal error":       {500, `oops`, fault.Transient, 3, "500 Internal Server Error"},
		"a dead proxy":            {502, `<html>bad gateway</html>`, fault.Transient, 3, "502 Bad Gateway"},
		"a restart":               {503, `{"status":"error","errorType":"unavailable","error":"starting"}`, fault.Transient, 3, "unavailable: starting"},
		"a time-out":              {504, ``, fault.Transient, 3, "504 Gateway Timeout"},
		"an empty body":           {200, ``, fault.Transient, 3, "not JSON"},
		"no JSON":                 {200, `<html>log in</html>`, fault.Transient, 3, "not JSON"},
		"JSON that ends too soon": {200, success + `"matrix","result":[`, fault.Transient, 3, "not JSON"},
		"JSON of something else":  {200, `[]`, fault.Transient, 3, "not JSON"},
		"no status":               {200, `{}`, fault.Transient, 3, `answered ""`},
		"an error with 200":       {200, `{"status":"error","errorType":"timeout","error":"query timed out"}`, fault.Transient, 3, "query timed out"},
		"a part of the answer":    {200, `{"status":"success","warnings":["store 2 is down"],"data":{"resultType":"matrix","result":[]}}`, fault.Transient, 3, "in part only: store 2 is down"},
		"another type of result":  {200, success + `"vector","result":[]}}`, fault.Transient, 1, "a matrix is expected"},
		"an unknown type":         {200, success + `"streams","result":[]}}`, fault.Transient, 3, `"streams"`},
		"a sample that is none":   {200, success + `"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}}`, fault.Transient, 3, `"x"`},
		"a sample of one part":    {200, success + `"matrix","result":[{"metric":{},"values":[[1]]}]}}`, fault.Transient, 3, "2 are expected"},
		"moments not asked for":   {200, strings.ReplaceAll(matrix(nil), fmt.Sprint(metrictest.Start.Unix()), fmt.Sprint(metrictest.Start.Unix()+7)), fault.Invalid, 1, "aligned to its step"},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			w := wire(func(*http.Request) (*http.Response, error) {
				tries++
				return response(tt.status, tt.body), nil
			})
			got, err := meterOn(t, w, prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, two)
			if got != nil || fault.Of(err) != tt.kind || tries != tt.tries || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Intervals() = %v, %v after %d tries; want %v with %q after %d", got, err, tries, tt.kind, tt.want, tt.tries)
			}
		})
	}
}

func TestASourceThatWasAwayCountsNothingFromZero(t *testing.T) {
	// Prometheus was down until the window's first minute: its totals are old ones.
	body := `{"status":"success","data":{"resultType":"matrix","result":[` +
		one("checkout-1", "200", [4]string{"", "", "1000000", "1000100"}) + "," + one("checkout-2", "200", [4]string{"", "", "5000", "5010"}) + `]}}`
	got, err := meterOn(t, answering(http.StatusOK, body), prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, two)
	if err != nil || got[0].Canary.Known || got[0].Stable.Known || got[1].Canary.Requests != 10 || got[1].Stable.Requests != 100 {
		t.Errorf("Intervals() = %+v, %v; want nothing known, then 10 and 100 requests", got, err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var hosts []string
	w := wire(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Host)
		res := response(http.StatusTemporaryRedirect, "")
		res.Header.Set("Location", "https://elsewhere.example/")
		return res, nil
	})
	m := meterOn(t, w, prometheus.Options{Authorize: prometheus.Bearer("t0ken")})
	if _, err := m.Intervals(t.Context(), metrictest.Subject, two); fault.Of(err) != fault.Invalid || len(hosts) != 1 {
		t.Errorf("Intervals() = %v, asked %v; want %v after one host", err, hosts, fault.Invalid)
	}
}

func TestATryThatFailsIsRepeated(t *testing.T) {
	v := clock.NewVirtual(metrictest.Start.Add(time.Hour))
	tries := 0
	w := wire(func(*http.Request) (*http.Response, error) {
		if tries++; tries == 1 {
			res := response(http.StatusTooManyRequests, "")
			res.Header.Set("Retry-After", "3")
			return res, nil
		}
		if tries == 2 {
			return nil, errors.New("connection reset")
		}
		return response(http.StatusOK, matrix(nil)), nil
	})
	before := v.Now()
	got, err := meterOn(t, w, prometheus.Options{Clock: v}).Intervals(t.Context(), metrictest.Subject, two)
	if err != nil || len(got) != 2 {
		t.Fatalf("Intervals() = %v, %v; want the third try's answer", got, err)
	}
	if waited := v.Now().Sub(before); waited != 3500*time.Millisecond {
		t.Errorf("waited %v; want the 3 s asked for, and 500 ms", waited)
	}
}

func TestOneRequestPerFamilyReadsBothVersions(t *testing.T) {
	var asked []string
	w := wire(func(r *http.Request) (*http.Response, error) {
		_ = r.ParseForm()
		asked = append(asked, r.Form.Get("query"))
		return response(http.StatusOK, matrix(nil)), nil
	})
	m := meterOn(t, w, prometheus.Options{})
	if _, err := m.Intervals(t.Context(), metrictest.Subject, two); err != nil || len(asked) != 1 {
		t.Errorf("Intervals() = %v with %d requests; want 1: %q", err, len(asked), asked)
	}
	asked = nil
	bounded := two
	bounded.Bounds = []float64{0.1, 1}
	if _, err := m.Intervals(t.Context(), metrictest.Subject, bounded); err != nil || len(asked) != 2 {
		t.Errorf("Intervals() with bounds = %v with %d requests; want 2: %q", err, len(asked), asked)
	}
	for _, q := range asked {
		if !strings.Contains(q, "checkout-1") || !strings.Contains(q, "checkout-2") || strings.Contains(q, "rate(") {
			t.Errorf("asked %q; want raw series of both versions", q)
		}
	}
}

// endless gives a byte at a time and never ends, until its request does.
type endless struct {
	ctx  context.Context
	wait time.Duration
}

func (e endless) Read(p []byte) (int, error) {
	if e.wait > 0 {
		select {
		case <-time.After(e.wait):
		case <-e.ctx.Done():
			return 0, e.ctx.Err()
		}
		p[0] = ' '
		return 1, nil
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func (endless) Close() error { return nil }

func TestAnAnswerWithoutEndIsGivenUp(t *testing.T) {
	for name, tt := range map[string]struct {
		wait time.Duration
		want string
	}{
		"as slow as can be": {time.Second, "no answer from prometheus.example within 10s"},
		"as fast as can be": {0, "larger than 8388608 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := wire(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: endless{r.Context(), tt.wait}}, nil
				})
				before := time.Now()
				got, err := meterOn(t, w, prometheus.Options{Clock: clock.Real{}}).Intervals(t.Context(), metrictest.Subject, two)
				if got != nil || fault.Of(err) != fault.Transient || !strings.Contains(fmt.Sprint(err), tt.want) {
					t.Errorf("Intervals() = %v, %v; want %v with %q", got, err, fault.Transient, tt.want)
				}
				if took := time.Since(before); took > 31*time.Second {
					t.Errorf("gave up after %v; want 3 tries of at most 10 s and the waits between them", took)
				}
			})
		})
	}
}

// many is an answer with so many series, as small as they can be written.
func many(n int) string {
	return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.TrimSuffix(strings.Repeat(`{"metric":{}},`, n), ",") + `]}}`
}

// A Lambda has 256 MB. An answer of 8 MB in series of fourteen bytes was laid out on the window's
// grid whole: 300 MB for twelve intervals, and 1.5 GB for 2 MB and 600 intervals.
func TestAnAnswerOfTooManySeriesIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		intervals int
		body      string
		// want is a part of the error, empty where the answer is read.
		want string
	}{
		"a service of four thousand pods and five codes": {2, many(20_000), ""},
		"one series more":                                    {2, many(20_001), "more than 20000 series"},
		"as many as 8 MB can hold":                           {12, many(590_000), "more than 20000 series"},
		"a long window of some":                              {600, many(1700), ""},
		"a long window of many":                              {600, many(1800), "1800 series at 611 moments; at most 1048576 points are expected"},
		"a long window of more than the points of an answer": {600, many(20_000), "20000 series at 611 moments"},
		"a series of more labels than any has":               {2, strings.Replace(many(1), "{}", `{"a":""`+strings.Repeat(`,"b":""`, 1000)+`}`, 1), "1001 labels; at most 1000 are expected"},
		"a lot of warnings":                                  {2, `{"status":"success","warnings":["store 2 is down"` + strings.Repeat(`,""`, 2_000_000) + `]}`, "in part only: store 2 is down"},
	} {
		t.Run(name, func(t *testing.T) {
			w := metric.Window{From: metrictest.Start, To: metrictest.Start.Add(time.Duration(tt.intervals) * time.Minute), Every: time.Minute}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := meterOn(t, answering(http.StatusOK, tt.body), prometheus.Options{}).Intervals(t.Context(), metrictest.Subject, w)
			runtime.ReadMemStats(&after)
			switch {
			case tt.want == "" && (err != nil || len(got) != tt.intervals):
				t.Errorf("Intervals() = %d intervals, %v; want %d", len(got), err, tt.intervals)
			case tt.want != "" && (got != nil || fault.Of(err) != fault.Transient || !strings.Contains(fmt.Sprint(err), tt.want)):
				t.Errorf("Intervals() = %d intervals, %v; want %v with %q", len(got), err, fault.Transient, tt.want)
			}
			// All three tries together, garbage included.
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 200 {
				t.Errorf("an answer of %d bytes took %d MB; want 200 at most", len(tt.body), mb)
			}
		})
	}
}

// A source that repeats what it was sent must not put it into the history. Of a secret that
// began near the place where an answer is cut, the first half once stayed: the answer was cut
// before the secret was looked for.
func TestASecretIsInNoError(t *testing.T) {
	const token = `s3cr3t-t0ken+/"&=tail`
	long := func(before int, text string) string { return strings.Repeat("x", before) + text }
	for name, w := range map[string]wire{
		"sent back in a refusal":        answering(http.StatusForbidden, "no such token: "+token),
		"sent back in an error":         answering(http.StatusOK, `{"status":"error","error":"bad s3cr3t-t0ken+\/\"&=tail"}`),
		"sent back in no JSON":          answering(http.StatusOK, token),
		"sent back as another status":   answering(http.StatusOK, `{"status":"s3cr3t-t0ken+/\"\u0026=tail"}`),
		"sent back in a warning":        answering(http.StatusOK, `{"status":"success","warnings":["s3cr3t-t0ken+/\"&=tail"]}`),
		"sent back as a sample":         answering(http.StatusOK, `{"status":"success","data":{"resultType":"scalar","result":[1,"s3cr3t-t0ken+/\"&=tail"]}}`),
		"at the place of the cut":       answering(http.StatusForbidden, long(290, token)),
		"at the cut of an error":        answering(http.StatusBadRequest, `{"errorType":"bad_data","error":"`+long(280, `s3cr3t-t0ken+/\"&=tail`)+`"}`),
		"at the cut of a warning":       answering(http.StatusOK, `{"status":"success","warnings":["`+long(290, `s3cr3t-t0ken+/\"&=tail`)+`"]}`),
		"as JSON, by a gateway":         answering(http.StatusForbidden, `{"message":"no token s3cr3t-t0ken+/\"\u0026=tail"}`),
		"as JSON, with escaped slashes": answering(http.StatusForbidden, `{"message":"no token s3cr3t-t0ken+\/\"&=tail"}`),
		"in a URL's query":              answering(http.StatusForbidden, "/login?token=s3cr3t-t0ken%2B%2F%22%26%3Dtail"),
		"in a URL's path":               answering(http.StatusForbidden, "/login/s3cr3t-t0ken+%2F%22&=tail"),
		"in the transport's own word":   func(r *http.Request) (*http.Response, error) { return nil, fmt.Errorf("dial: %v", r.Header) },
	} {
		t.Run(name, func(t *testing.T) {
			m := meterOn(t, w, prometheus.Options{Authorize: prometheus.Bearer(token), Secrets: []string{token}})
			_, err := m.Intervals(t.Context(), metrictest.Subject, two)
			if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "tail") {
				t.Errorf("Intervals() = %v; want an error without the token", err)
			}
			if len(err.Error()) > 500 {
				t.Errorf("Intervals() = %v; want no more than the beginning of what the source said", err)
			}
			if k := fault.Of(err); k != fault.Invalid && k != fault.Transient {
				t.Errorf("the error's kind is %v; it must survive", k)
			}
		})
	}
}

// AWS repeats the whole request, and a session's token is longer than what is kept of an answer.
func TestASessionsTokenIsInNoError(t *testing.T) {
	for name, token := range map[string]string{"a short one": "s3ss10n", "one longer than what is kept": "s3ss10n" + strings.Repeat("0123456789", 90)} {
		t.Run(name, func(t *testing.T) {
			w := wire(func(r *http.Request) (*http.Response, error) {
				return response(http.StatusForbidden, "The canonical string should have been x-amz-security-token:"+r.Header.Get("X-Amz-Security-Token")), nil
			})
			s := signer
			s.Credentials = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", token)
			_, err := meterOn(t, w, prometheus.Options{Authorize: s.Authorize}).Intervals(t.Context(), metrictest.Subject, two)
			if fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "s3ss10n") || !strings.Contains(err.Error(), "token:[redacted]") {
				t.Errorf("Intervals() = %v; want %v without the token", err, fault.Invalid)
			}
		})
	}
}

var signer = prometheus.Signer{
	Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI", "s3ss10n"), Region: "eu-west-1",
	Now: func() time.Time { return metrictest.Start },
}

// The signature was made by botocore 1.43 from the same request.
func TestSignerSignsAsBotocoreDoes(t *testing.T) {
	const body = "query=up&time=1772442000.000"
	req, err := http.NewRequest(http.MethodPost, "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/query", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := signer.Authorize(req, []byte(body)); err != nil {
		t.Fatal(err)
	}
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260302/eu-west-1/aps/aws4_request, " +
		"SignedHeaders=content-length;content-type;host;x-amz-date;x-amz-security-token, Signature=e02e26c301e508846a37c25a7b3788e41ddeb388cc22f33d17514f6cee02fd83"
	if diff := cmp.Diff(want, req.Header.Get("Authorization")); diff != "" {
		t.Errorf("Authorization (-want +got):\n%s", diff)
	}
}
