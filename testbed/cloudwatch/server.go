package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// Options of a Server. The zero value behaves like the real service, but shows
// data at once.
type Options struct {
	// Resolution is what the time of a standard metric is cut to; default a
	// minute, as in CloudWatch. A shorter one makes tests quicker; readers must
	// then ask for as short a period.
	Resolution time.Duration
	// Delay is the time from a datum's publication to the first answer that has
	// it. In CloudWatch it is up to two minutes.
	Delay time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// A Server is the stand-in. It is an http.Handler.
type Server struct {
	// URL is where Start listens, the value for AWS_ENDPOINT_URL_CLOUDWATCH.
	URL string

	now        func() time.Time
	resolution time.Duration
	delayed    atomic.Int64 // a time.Duration
	store      store
	faults     faults
	mux        *http.ServeMux
}

// New makes a stand-in that does not listen yet.
func New(o Options) *Server {
	s := &Server{now: o.Now, resolution: o.Resolution}
	if s.now == nil {
		s.now = time.Now
	}
	if s.resolution == 0 {
		s.resolution = time.Minute
	}
	s.SetDelay(o.Delay)
	s.mux = s.routes()
	return s
}

// SetDelay changes Options.Delay from now on, for data published earlier too.
func (s *Server) SetDelay(d time.Duration) { s.delayed.Store(int64(d)) }

func (s *Server) delay() time.Duration { return time.Duration(s.delayed.Load()) }

// Start listens on a loopback address until ctx is done, and serves.
func Start(ctx context.Context, listen string, o Options) (*Server, error) {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !addr.Addr().IsLoopback() {
		return nil, fmt.Errorf("listen: found %s, expected a loopback address", addr)
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	s := New(o)
	s.URL = "http://" + ln.Addr().String()
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("cloudwatch stand-in: serve: %v", err)) // the listener broke under us: nothing to go on with
		}
	}()
	return s, nil
}

// ServeHTTP answers AWS clients, and /testbed/fault for those who inject faults.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }
