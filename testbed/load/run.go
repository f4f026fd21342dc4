package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Run sends the load and gives what came back. It ends when the count or the
// time of the options is over or ctx is done; the last of these is no error, so
// that a caller may load a service for as long as something else takes. Requests
// under way then get their answer, or their timeout.
func Run(ctx context.Context, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, fmt.Errorf("load: %w", err)
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: o.Timeout, Control: loopbackOnly}).DialContext,
		MaxIdleConnsPerHost: o.InFlight,
		DisableKeepAlives:   o.Fresh,
		DisableCompression:  true,
	}
	defer transport.CloseIdleConnections()
	return newRun(o, transport).run(ctx)
}

// loopbackOnly is the last check before a connection is made.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !a.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", a.Addr())
	}
	return nil
}

// A run is one run under way.
type run struct {
	Options
	clients []*http.Client // one a session
	start   time.Time
	tally   *tally
	slots   chan struct{} // one token for each request in flight
	wg      sync.WaitGroup
}

func newRun(o Options, transport http.RoundTripper) *run {
	r := &run{Options: o, slots: make(chan struct{}, o.InFlight)}
	for range max(1, o.Sessions) {
		c := &http.Client{Transport: transport, Timeout: o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		if o.Sessions > 0 {
			c.Jar, _ = cookiejar.New(nil) // its error is always nil
		}
		r.clients = append(r.clients, c)
	}
	return r
}

func (r *run) run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	r.start = time.Now()
	r.tally = newTally(r.start, r.Bucket, r.Observe)
	for i := range r.Requests {
		due := r.due(i)
		if due.Sub(r.start) >= r.Duration || !sleep(ctx, time.Until(due)) {
			break
		}
		if !r.takeSlot(ctx) {
			if r.Rate > 0 {
				r.tally.drop(due)
				continue
			}
			break
		}
		if r.Rate == 0 {
			due = time.Now()
		}
		r.wg.Go(func() {
			defer func() { <-r.slots }()
			r.tally.add(r.send(i, due))
		})
	}
	r.wg.Wait()
	return r.tally.result(time.Since(r.start)), nil
}

// due is when request i is to be sent.
func (r *run) due(i int) time.Time {
	if r.Rate == 0 {
		return r.start
	}
	return r.start.Add(time.Duration(float64(i) / r.Rate * float64(time.Second)))
}

// takeSlot waits for a place in flight only where no rate is to be kept.
func (r *run) takeSlot(ctx context.Context) bool {
	if r.Rate > 0 {
		select {
		case r.slots <- struct{}{}:
			return true
		default:
			return false
		}
	}
	select {
	case r.slots <- struct{}{}:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// sleep reports whether d passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send makes request i. It takes no context: a request that was sent is
// waited for, or its user's answer would be lost from the result.
func (r *run) send(i int, due time.Time) Answer {
	t := r.Targets[i%len(r.Targets)]
	a := Answer{At: due.Sub(r.start), Host: t.Host}
	req, err := http.NewRequest(t.Method, t.URL, nil)
	if err != nil { // cannot be: check made the same request
		a.Err, a.Took = err, time.Since(due)
		return a
	}
	for k, v := range t.Header {
		req.Header[k] = v
	}
	if a.Host == "" {
		a.Host = req.Host
	}
	req.Host = a.Host
	resp, err := r.clients[i%len(r.clients)].Do(req)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		a.Status, a.Version = resp.StatusCode, resp.Header.Get("X-Version")
	}
	a.Err, a.Took = err, time.Since(due)
	return a
}
