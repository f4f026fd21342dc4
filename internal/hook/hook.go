// Package hook talks to what a team runs beside a rollout: gates, which a
// rollout asks before it goes on, and notifications, which tell people what
// happened.
//
// A gate is asked by a POST of JSON and answers in the words of Amazon ECS'
// lifecycle hooks: SUCCEEDED, FAILED, or IN_PROGRESS with the seconds after
// which to ask again. Anything else is no answer, and no answer opens no gate.
//
// Where a request may go is the engine's to say (see package egress): https
// only, no credential addresses, no redirect to another host. Every request can
// be signed, see [Sign]. What comes back is read to 64 KiB.
//
// Reference: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-lifecycle-hooks.html.
package hook

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

// Options of a client.
type Options struct {
	// Egress is what the engine allows beyond public addresses. Loopback also allows
	// http, to this machine only.
	Egress egress.Policy
	Clock  clock.Clock
	// Transport replaces the one of Egress, in tests.
	Transport http.RoundTripper
}

// A Client sends requests to gates and to receivers of notifications.
type Client struct {
	options Options
	http    *http.Client
}

// New is a client with these options.
func New(o Options) *Client {
	if o.Transport == nil {
		o.Transport = o.Egress.Transport()
	}
	return &Client{options: o, http: &http.Client{Transport: o.Transport, CheckRedirect: sameHost}}
}

// sameHost follows a redirect that keeps method, body and host.
func sameHost(next *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host:
		return fmt.Errorf("%w: it redirects to another host", fault.Invalid)
	case next.Method != first.Method:
		return fmt.Errorf("%w: it redirects by a status that drops the request; 307 or 308 is expected", fault.Invalid)
	case len(via) > 3:
		return fmt.Errorf("%w: it redirects more than 3 times", fault.Invalid)
	}
	return nil
}

// An Endpoint is where requests go, and how.
type Endpoint struct {
	// Name is a person's name for it, and the only thing that errors say of it beside
	// its host: the rest of a URL may be a secret.
	Name string `json:"name"`
	// URL is given as it stands, or URLFrom by a reference, where it is a secret.
	URL     string     `json:"url,omitempty"`
	URLFrom secret.Ref `json:"url_from,omitempty"`
	// Secret is the key by which requests are signed; unsigned if empty.
	Secret secret.Ref `json:"secret,omitempty"`
	// Timeout in seconds of one try, 10 if zero, 60 at most.
	Timeout float64 `json:"timeout,omitempty"`
	// Retries after a failed try, 2 if nil, 10 at most.
	Retries *int `json:"retries,omitempty"`
}

const (
	standardTimeout = 10 * time.Second
	longestTimeout  = time.Minute
	standardRetries = 2
	mostRetries     = 10
)

func (e Endpoint) timeout() time.Duration {
	if e.Timeout <= 0 {
		return standardTimeout
	}
	return min(time.Duration(e.Timeout*float64(time.Second)), longestTimeout)
}

func (e Endpoint) retries() int {
	if e.Retries == nil {
		return standardRetries
	}
	return min(max(*e.Retries, 0), mostRetries)
}

// Check finds what is wrong with an endpoint before a rollout starts, without
// looking up a secret or a name. Errors are of kind fault.Invalid.
func (c *Client) Check(e Endpoint) error {
	err := c.check(e)
	if err != nil {
		return fmt.Errorf("hook %q: %w", e.Name, err)
	}
	return nil
}

func (c *Client) check(e Endpoint) error {
	switch {
	case e.Name == "":
		return fmt.Errorf("name: %w: one is expected", fault.Invalid)
	case (e.URL == "") == (e.URLFrom == ""):
		return fmt.Errorf("url: %w: one of url and url_from is expected", fault.Invalid)
	case e.Timeout < 0 || e.Timeout > longestTimeout.Seconds():
		return fmt.Errorf("timeout %v: %w: at most %v is expected", e.Timeout, fault.Invalid, longestTimeout)
	case e.Retries != nil && (*e.Retries < 0 || *e.Retries > mostRetries):
		return fmt.Errorf("retries %d: %w: 0 to %d are expected", *e.Retries, fault.Invalid, mostRetries)
	}
	for field, ref := range map[string]secret.Ref{"url_from": e.URLFrom, "secret": e.Secret} {
		if ref != "" {
			if err := ref.Check(); err != nil {
				return fmt.Errorf("%s: %w", field, err)
			}
		}
	}
	if e.URL == "" {
		return nil
	}
	_, err := c.parse(e.URL)
	return err
}

// parse reads a URL that requests may go to. Its text is in no error.
func (c *Client) parse(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("url: %w: one such as https://gate.example/path is expected", fault.Invalid)
	}
	if u.User != nil {
		return nil, fmt.Errorf("url: %w: it holds credentials; a secret to sign with is expected", fault.Invalid)
	}
	if u.Scheme == "http" && !(c.options.Egress.Loopback && loopback(u.Hostname())) {
		if loopback(u.Hostname()) {
			return nil, fmt.Errorf(`url: %w: https is expected; http to this machine needs {"allow_loopback": true} in the engine's hooks ('stepcanary serve --hooks')`, fault.Invalid)
		}
		return nil, fmt.Errorf("url: %w: https is expected", fault.Invalid)
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		if err := c.options.Egress.Check(a); err != nil {
			return nil, fmt.Errorf("url: %w", err)
		}
	}
	if port := u.Port(); port != "" {
		if _, err := net.LookupPort("tcp", port); err != nil {
			return nil, fmt.Errorf("url: %w: port %q", fault.Invalid, port)
		}
	}
	return u, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
