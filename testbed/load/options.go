// Package load sends HTTP requests at a fixed rate and says what users would
// have seen: answers by version and status, latencies, and when requests failed.
//
// The rate is open-loop: a request is sent when its time has come, whether or
// not earlier ones were answered, and its latency counts from that time. So a
// service that stalls is seen as slow, and not as a service with fewer users.
//
// It is a tool for the test bed: every target must be a loopback address,
// count, time, rate and requests in flight are bounded, and redirects and
// proxies are not followed.
package load

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Hard limits of one run.
const (
	MaxRequests = 1_000_000
	MaxDuration = time.Hour
	MaxRate     = 20_000 // requests/s
	MaxInFlight = 2_048
	MaxSessions = 10_000
)

// A Target is one address that users call. Targets take turns.
type Target struct {
	URL    string      // http://127.0.0.1:8000/path; the host is a loopback address or localhost
	Host   string      // Host header; empty: the URL's host
	Method string      // empty: GET
	Header http.Header // sent with each request, cookies included
}

// Options say what to send. Targets and one of Requests and Duration are
// needed, the rest has defaults.
type Options struct {
	Targets  []Target
	Rate     float64       // requests/s over all targets; 0: each of InFlight workers sends as fast as it is answered
	Requests int           // ends the run after so many; 0: Duration ends it, or MaxRequests
	Duration time.Duration // ends the run after this time; 0: Requests end it
	InFlight int           // most requests under way; one more that is due is not sent and counts as Dropped. Default 256, or 8 when Rate is 0
	Timeout  time.Duration // of one request, default 5 s
	Bucket   time.Duration // width of Result.Series, default 1 s, at least 10 ms
	Sessions int           // simulated users in turn, each with its own cookie jar; 0: answers' cookies are ignored
	Fresh    bool          // a new connection for each request
	Observe  func(Answer)  // called for each answer as it comes, one at a time; must be quick
}

// withDefaults completes and checks the options.
func (o Options) withDefaults() (Options, error) {
	if o.Requests == 0 && o.Duration == 0 {
		return o, errors.New("requests and duration: found neither, expected one of them")
	}
	if due := o.Rate * o.Duration.Seconds(); o.Requests == 0 && due > MaxRequests {
		return o, fmt.Errorf("rate and duration: found %.0f requests, expected %d at most", due, MaxRequests)
	}
	set(&o.Requests, MaxRequests)
	set(&o.Duration, MaxDuration)
	set(&o.Timeout, 5*time.Second)
	set(&o.Bucket, time.Second)
	set(&o.InFlight, map[bool]int{true: 256, false: 8}[o.Rate > 0])
	for _, l := range []struct {
		name     string
		ok       bool
		found    any
		expected string
	}{
		{"rate", o.Rate >= 0 && o.Rate <= MaxRate, o.Rate, fmt.Sprintf("0 to %d requests/s", MaxRate)},
		{"requests", o.Requests > 0 && o.Requests <= MaxRequests, o.Requests, fmt.Sprintf("1 to %d", MaxRequests)},
		{"duration", o.Duration > 0 && o.Duration <= MaxDuration, o.Duration, fmt.Sprintf("up to %v", MaxDuration)},
		{"in flight", o.InFlight > 0 && o.InFlight <= MaxInFlight, o.InFlight, fmt.Sprintf("1 to %d", MaxInFlight)},
		{"timeout", o.Timeout > 0 && o.Timeout <= time.Minute, o.Timeout, "up to 1m"},
		{"bucket", o.Bucket >= 10*time.Millisecond, o.Bucket, "10ms or more"},
		{"sessions", o.Sessions >= 0 && o.Sessions <= MaxSessions, o.Sessions, fmt.Sprintf("0 to %d", MaxSessions)},
		{"targets", len(o.Targets) > 0, len(o.Targets), "1 or more"},
	} {
		if !l.ok {
			return o, fmt.Errorf("%s: found %v, expected %s", l.name, l.found, l.expected)
		}
	}
	for i, t := range o.Targets {
		if err := t.check(); err != nil {
			return o, fmt.Errorf("target %d: %w", i+1, err)
		}
	}
	return o, nil
}

// set gives *v its default.
func set[T int | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}

// check refuses a target beyond loopback. The dialler checks again, because a
// name may resolve to anything.
func (t Target) check() error {
	u, err := url.Parse(t.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("found %q, expected http://HOST:PORT/PATH", t.URL)
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("host %q: expected a loopback address", u.Hostname())
	}
	_, err = http.NewRequest(t.Method, t.URL, nil)
	return err
}
