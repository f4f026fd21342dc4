package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"
)

// A proxy stands for all the Envoys of the mesh.
type proxy struct {
	table     atomic.Pointer[table]
	stats     *stats
	transport http.RoundTripper
	reverse   httputil.ReverseProxy
}

// connectTimeout is Envoy's for a cluster of App Mesh.
const connectTimeout = time.Second

func newProxy(s *stats) *proxy {
	p := &proxy{stats: s, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}}
	p.reverse = httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host // the attempt puts the endpoint here
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:     roundTripper(p.send),
		FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
			}
		},
	}
	p.table.Store(&table{})
	return p
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type routeKey struct{}

// ServeHTTP serves the listener that goes by the Host header.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.serve(w, r, p.table.Load().find(r.Host), 0)
}

// at serves the listener at a virtual service's own address.
func (p *proxy) at(k key, port int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.serve(w, r, p.table.Load().byKey[k], port)
	})
}

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, v *virtual, port int) {
	if v == nil {
		http.Error(w, fmt.Sprintf("no virtual service for host %q", r.Host), http.StatusNotFound)
		return
	}
	route := v.http(r, port)
	if route == nil {
		http.Error(w, "no route of virtual service "+v.key.String()+" matches", http.StatusNotFound)
		return
	}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, route)))
}

// send tries a request at the endpoints of one virtual node, as often as the
// route's retry policy allows.
func (p *proxy) send(r *http.Request) (*http.Response, error) {
	route := r.Context().Value(routeKey{}).(*route)
	t := route.balance.next()
	if t == nil {
		return said(r, http.StatusServiceUnavailable, "no healthy upstream"), nil
	}
	body, err := replayable(r, route.retry.times)
	if err != nil {
		return nil, err
	}
	var end time.Time
	if route.timeout > 0 {
		end = time.Now().Add(route.timeout)
	}
	for left := route.retry.times; ; left-- {
		resp, err := p.attempt(r, t.node, limit(route.retry.timeout, end))
		if body == nil || left == 0 || r.Context().Err() != nil || !route.retry.wants(resp, err) || (!end.IsZero() && time.Now().After(end)) {
			return answerTo(r, resp, err)
		}
		if resp != nil {
			resp.Body.Close()
		}
		r.Body = body()
	}
}

// answerTo says to the caller what Envoy would say for an attempt that failed.
func answerTo(r *http.Request, resp *http.Response, err error) (*http.Response, error) {
	switch {
	case err == nil:
		return resp, nil
	case r.Context().Err() != nil:
		return nil, err
	case errors.Is(err, errTimeout):
		return said(r, http.StatusGatewayTimeout, "upstream request timeout"), nil
	case errors.Is(err, errNoEndpoint):
		return said(r, http.StatusServiceUnavailable, "no healthy upstream"), nil
	}
	return said(r, http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before headers: "+err.Error()), nil
}

var (
	errTimeout    = errors.New("timeout")
	errNoEndpoint = errors.New("no ready endpoint")
)

// limit is the shorter of the attempt's timeout and what is left of the request's; 0: none.
func limit(attempt time.Duration, end time.Time) time.Duration {
	if end.IsZero() {
		return attempt
	}
	left := max(time.Until(end), time.Nanosecond)
	if attempt == 0 {
		return left
	}
	return min(attempt, left)
}

// attempt sends the request to the next endpoint and counts it there. The time
// limit is for the head of the answer.
func (p *proxy) attempt(r *http.Request, c *cluster, limit time.Duration) (*http.Response, error) {
	start := time.Now()
	e, ok := c.next()
	if !ok {
		p.stats.count(c, "", http.StatusServiceUnavailable, 0)
		return nil, errNoEndpoint
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	if limit > 0 {
		timer := time.AfterFunc(limit, func() { cancel(errTimeout) })
		defer timer.Stop()
	}
	out := r.WithContext(ctx)
	u := *r.URL
	u.Host = e.address
	out.URL = &u
	resp, err := p.transport.RoundTrip(out)
	if err != nil {
		code := http.StatusServiceUnavailable
		if errors.Is(context.Cause(ctx), errTimeout) {
			err, code = errTimeout, http.StatusGatewayTimeout
		}
		cancel(nil)
		if r.Context().Err() == nil {
			p.stats.count(c, e.pod, code, time.Since(start))
		}
		return nil, err
	}
	p.stats.count(c, e.pod, resp.StatusCode, time.Since(start))
	closer := &canceller{resp.Body, cancel}
	if conn, ok := resp.Body.(io.ReadWriter); ok { // the protocol was switched, and the body is the connection
		resp.Body = struct {
			io.ReadWriter
			io.Closer
		}{conn, closer}
	} else {
		resp.Body = closer
	}
	return resp, nil
}

// A canceller frees an attempt's context when its answer has been read.
type canceller struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

func (c *canceller) Close() error {
	defer c.cancel(nil)
	return c.ReadCloser.Close()
}
