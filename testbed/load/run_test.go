package load

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A server answers without a network, so that time can be synctest's.
type server func(*http.Request) (version string, status int, took time.Duration, err error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) {
	version, status, took, err := s(r)
	select {
	case <-time.After(took):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{"X-Version": {version}}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}, nil
}

// against runs the options against s in fake time.
func against(t *testing.T, ctx context.Context, o Options, s server) Result {
	t.Helper()
	if o.Targets == nil {
		o.Targets = []Target{{URL: "http://127.0.0.1:1/"}}
	}
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRun(o, s).run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ok(*http.Request) (string, int, time.Duration, error) { return "v1", 200, time.Millisecond, nil }

func TestRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := against(t, t.Context(), Options{Rate: 200, Duration: 10 * time.Second}, ok)
		if r.Sent != 2000 || r.Failed != 0 || r.Dropped != 0 {
			t.Errorf("sent %d, failed %d, dropped %d; want 2000, 0, 0", r.Sent, r.Failed, r.Dropped)
		}
		for _, b := range r.Series {
			if b.Sent != 200 {
				t.Errorf("second at %v ms: sent %d; want 200", b.At, b.Sent)
			}
		}
		if len(r.Series) != 10 {
			t.Errorf("%d buckets; want 10", len(r.Series))
		}
	})
}

func TestRateIsKeptWhenAnswersStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stalls := func(r *http.Request) (string, int, time.Duration, error) { return "v1", 200, 3 * time.Second, nil }
		r := against(t, t.Context(), Options{Rate: 100, Requests: 100, InFlight: 60}, stalls)
		if r.Sent != 60 || r.Dropped != 40 {
			t.Errorf("sent %d, dropped %d; want 60 sent on time and 40 dropped", r.Sent, r.Dropped)
		}
		if got := r.Versions["v1"].Latency.P50; got != 3000 {
			t.Errorf("p50 = %v ms; want 3000", got)
		}
	})
}

func TestWithoutARateWorkersBoundTheLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		r := against(t, t.Context(), Options{Requests: 100, InFlight: 4}, func(r *http.Request) (string, int, time.Duration, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return "v1", 200, 0, nil
		})
		if r.Sent != 100 || r.Dropped != 0 || most != 4 || r.Elapsed != 25 {
			t.Errorf("sent %d, dropped %d, %d at once, %v ms; want 100, 0, 4, 25", r.Sent, r.Dropped, most, r.Elapsed)
		}
	})
}

func TestAnswersAreCountedByVersionAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var mu sync.Mutex
		r := against(t, t.Context(), Options{Rate: 10, Requests: 100}, func(*http.Request) (string, int, time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			n++
			switch {
			case n == 31: // due after 3.0 s
				return "v2", 500, 0, nil
			case n == 42:
				return "", 0, 0, syscall.ECONNREFUSED
			case n == 55:
				return "", 404, 0, nil
			case n%10 == 0:
				return "v2", 200, 20 * time.Millisecond, nil
			}
			return "v1", 200, 10 * time.Millisecond, nil
		})
		if got, want := r.Versions["v2"].Status[200], 10; got != want {
			t.Errorf("v2 answered 200 %d times; want %d", got, want)
		}
		if got, want := r.Versions["v2"].Latency.P90, Millis(20); got != want {
			t.Errorf("v2 p90 = %v; want %v", got, want)
		}
		if got, want := r.Share("v2"), .11; got != want {
			t.Errorf("Share(v2) = %v; want %v", got, want)
		}
		if r.Failed != 3 || r.Errors["connection refused"] != 1 || r.Versions[""].Failed != 2 {
			t.Errorf("failed %d, errors %v, unnamed failed %d; want 3, one refused, 2", r.Failed, r.Errors, r.Versions[""].Failed)
		}
		if r.FirstBad == nil || *r.FirstBad != (Bad{At: 3000, Version: "v2", Status: 500}) {
			t.Errorf("first bad = %+v; want v2's 500 at 3000 ms", r.FirstBad)
		}
		if r.LastBad == nil || *r.LastBad != (Bad{At: 5400, Status: 404}) {
			t.Errorf("last bad = %+v; want the 404 at 5400 ms", r.LastBad)
		}
		if b := r.Series[4]; b.At != 4000 || b.Failed != 1 || b.Versions["v1"] != 8 || b.Versions["v2"] != 1 || b.Versions[""] != 1 {
			t.Errorf("fifth second = %+v; want 8 of v1, 1 of v2, 1 without an answer", b)
		}
	})
}

func TestEndOfTheCallerIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1050*time.Millisecond)
		defer cancel()
		slow := func(*http.Request) (string, int, time.Duration, error) { return "v1", 200, time.Second, nil }
		r := against(t, ctx, Options{Rate: 10, Duration: time.Minute}, slow)
		if r.Sent != 11 || r.Failed != 0 || r.Elapsed != 2000 {
			t.Errorf("sent %d, failed %d, ended after %v ms; want 11, all answered, 2000", r.Sent, r.Failed, r.Elapsed)
		}
	})
}

func TestTimeoutIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(*http.Request) (string, int, time.Duration, error) { return "", 0, time.Hour, nil }
		r := against(t, t.Context(), Options{Rate: 10, Requests: 3, Timeout: time.Second}, never)
		if r.Failed != 3 || r.Errors["timeout"] != 3 {
			t.Errorf("failed %d, errors %v; want 3 timeouts", r.Failed, r.Errors)
		}
	})
}

func TestTargetsAndSessionsTakeTurns(t *testing.T) {
	var mu sync.Mutex
	cookies := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v1")
		mu.Lock()
		defer mu.Unlock()
		if c, err := r.Cookie("seen"); err == nil {
			cookies[c.Value]++
		} else {
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: r.Host, Path: "/"})
		}
		if r.Header.Get("X-Canary") != "insider" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer srv.Close()
	h := http.Header{"X-Canary": {"insider"}}
	r, err := Run(t.Context(), Options{Requests: 40, InFlight: 1, Sessions: 2,
		Targets: []Target{{URL: srv.URL, Host: "a.example", Header: h}, {URL: srv.URL, Host: "b.example", Header: h}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed != 0 || r.Hosts["a.example"].Requests != 20 || r.Hosts["b.example"].Requests != 20 {
		t.Errorf("failed %d, hosts %+v; want none, 20 requests each", r.Failed, r.Hosts)
	}
	if cookies["a.example"] != 19 || cookies["b.example"] != 19 {
		t.Errorf("cookies seen = %v; want each session's own, 19 times", cookies)
	}
}

func TestObserveSeesEachAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		against(t, t.Context(), Options{Rate: 10, Requests: 5, Observe: func(a Answer) { got = append(got, a.Status) }}, ok)
		if len(got) != 5 {
			t.Errorf("observed %v; want 5 answers", got)
		}
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	good := []Target{{URL: "http://127.0.0.1:8000/"}}
	for name, tt := range map[string]struct {
		o    Options
		want string
	}{
		"no end":                  {Options{Targets: good, Rate: 1}, "found neither"},
		"no target":               {Options{Requests: 1}, "targets: found 0"},
		"too many requests":       {Options{Targets: good, Requests: MaxRequests + 1}, "requests: found"},
		"too many in the time":    {Options{Targets: good, Rate: 20_000, Duration: time.Hour}, "found 72000000 requests"},
		"too long":                {Options{Targets: good, Duration: 2 * time.Hour}, "duration: found 2h"},
		"too fast":                {Options{Targets: good, Requests: 1, Rate: 1e6}, "rate: found"},
		"a rate below zero":       {Options{Targets: good, Requests: 1, Rate: -1}, "rate: found"},
		"another machine":         {Options{Targets: []Target{{URL: "http://192.0.2.1/"}}, Requests: 1}, `target 1: host "192.0.2.1": expected a loopback address`},
		"a name":                  {Options{Targets: []Target{{URL: "http://example.com/"}}, Requests: 1}, "expected a loopback address"},
		"every address":           {Options{Targets: []Target{{URL: "http://0.0.0.0/"}}, Requests: 1}, "expected a loopback address"},
		"TLS":                     {Options{Targets: []Target{{URL: "https://127.0.0.1/"}}, Requests: 1}, "expected http://"},
		"a method that is no one": {Options{Targets: []Target{{URL: "http://127.0.0.1/", Method: "A B"}}, Requests: 1}, "invalid method"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Run(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run(%+v) error = %v; want one with %q", tt.o, err, tt.want)
			}
		})
	}
}

func TestDialerRefusesWhatIsNotLoopback(t *testing.T) {
	for address, allowed := range map[string]bool{
		"127.0.0.1:80": true, "127.77.3.4:8080": true, "[::1]:80": true,
		"192.0.2.1:80": false, "[2001:db8::1]:80": false, "0.0.0.0:80": false, "169.254.169.254:80": false,
	} {
		if err := loopbackOnly("tcp", address, nil); (err == nil) != allowed {
			t.Errorf("loopbackOnly(%s) = %v; want allowed = %v", address, err, allowed)
		}
	}
}

func TestRedirectIsAnAnswer(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("http://192.0.2.1/", http.StatusFound))
	defer srv.Close()
	r, err := Run(t.Context(), Options{Requests: 1, Targets: []Target{{URL: srv.URL}}})
	if err != nil || r.Failed != 0 || r.Versions[""].Status[302] != 1 {
		t.Errorf("Run = %+v, %v; want the 302 itself", r, err)
	}
}

func TestCauses(t *testing.T) {
	for want, err := range map[string]error{
		"connection reset":  errors.Join(syscall.ECONNRESET),
		"connection closed": io.ErrUnexpectedEOF,
		"timeout":           context.DeadlineExceeded,
		"odd":               errors.New("odd"),
	} {
		if got := cause(err); got != want {
			t.Errorf("cause(%v) = %q; want %q", err, got, want)
		}
	}
}

func TestText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		r := against(t, t.Context(), Options{Rate: 10, Requests: 10}, func(*http.Request) (string, int, time.Duration, error) {
			if n++; n == 4 {
				return "v2", 500, 2 * time.Millisecond, nil
			}
			return "v1", 200, time.Millisecond, nil
		})
		var b strings.Builder
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		want := `10 requests in 0.9 s (11.1/s), 1 failed, 0 dropped
v1                 9  90.0 %  200=9              p50 1.0  p90 1.0  p99 1.0  max 1.0 ms
v2                 1  10.0 %  500=1              p50 2.0  p90 2.0  p99 2.0  max 2.0 ms
first failed after 0.300 s (v2: 500), last after 0.300 s (v2: 500)
`
		if b.String() != want {
			t.Errorf("text:\n%swant:\n%s", b.String(), want)
		}
	})
}
