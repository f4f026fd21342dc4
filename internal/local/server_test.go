package local_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepcanary/stepcanary/internal/local"
)

// one is a listener for one connection, which is in memory and so in virtual time.
type one struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l one) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l one) Close() error { close(l.done); return nil }

func (one) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// A request that broke off half-way held its connection for as long as the server ran.
func TestNoConnectionIsHeldWithoutEnd(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: AWSStepFunctions.ListStateMachines\r\nContent-Length: 2\r\n"
	for name, tt := range map[string]struct {
		sent string
		deaf bool // the client does not read the answer
		want time.Duration
	}{
		"a client that says nothing":      {"", false, 10 * time.Second},
		"half a header":                   {"POST / HTTP/1.1\r\nHost: ", false, 10 * time.Second},
		"half a body":                     {head + "\r\n{", false, 30 * time.Second},
		"a body that the header promised": {head + "\r\n", false, 30 * time.Second},
		"nothing after an answer":         {head + "\r\n{}", false, 2 * time.Minute},
		"an answer that nobody reads":     {head + "\r\n{}", true, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, err := local.New(local.Options{})
				if err != nil {
					t.Fatal(err)
				}
				l := one{make(chan net.Conn, 1), make(chan struct{})}
				client, server := net.Pipe()
				l.conns <- server
				s := local.Server(e)
				go func() { _ = s.Serve(l) }()
				began := time.Now()
				_ = client.SetDeadline(began.Add(time.Hour))
				if _, err := io.WriteString(client, tt.sent); err != nil {
					t.Fatal(err)
				}
				if tt.deaf {
					time.Sleep(tt.want + time.Second)
				}
				answer, err := io.ReadAll(client)
				took := time.Since(began)
				if tt.deaf { // the second that it slept on
					took -= time.Second
				}
				if err != nil || took != tt.want {
					t.Errorf("the connection ended after %v, %v; want %v", took, err, tt.want)
				}
				if answered := strings.HasPrefix(string(answer), "HTTP/1.1 200 "); answered != (tt.want == 2*time.Minute && !tt.deaf) {
					t.Errorf("the answer is %q", answer)
				}
				_, _ = client.Close(), s.Close()
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
