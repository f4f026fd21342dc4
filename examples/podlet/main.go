package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	c, err := parseConfig(os.Args, os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "podlet:", err)
		os.Exit(2)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	code, err := newService(c, os.Exit).run(signals)
	if err != nil {
		fmt.Fprintln(os.Stderr, "podlet:", err)
	}
	os.Exit(code)
}

// run serves until a signal has come and the drain is over, and gives the exit code.
func (s *service) run(signals <-chan os.Signal) (int, error) {
	if s.start.CrashOnStart {
		return 1, errors.New("crash on start, as the fault asks")
	}
	if !waitFor(s.start.SlowStart, signals) {
		return 0, nil
	}
	failed := make(chan error, 2)
	addr, stopUsers, err := s.serveUsers(failed)
	if err != nil {
		return 1, err
	}
	defer stopUsers()
	if s.adminListen != "" {
		_, stop, err := serveHTTP(s.adminListen, s.adminHandler(), failed)
		if err != nil {
			return 1, err
		}
		defer stop()
	}
	fmt.Fprintf(s.out, "podlet %s %s listening on %s\n", s.version, s.role.name, addr)
	return s.awaitEnd(signals, failed)
}

// awaitEnd blocks until the first signal, then drains: readiness says no at
// once, requests are still answered. A second signal ends the drain.
func (s *service) awaitEnd(signals <-chan os.Signal, failed <-chan error) (int, error) {
	select {
	case err := <-failed:
		return 1, err
	case <-signals:
	}
	s.draining.Store(true)
	fmt.Fprintf(s.out, "podlet %s draining for %v\n", s.version, s.drain)
	if !waitFor(s.drain, signals) {
		return 1, errors.New("second signal: drain cut short")
	}
	return 0, nil
}

// waitFor reports whether d passed without a signal.
func waitFor(d time.Duration, signals <-chan os.Signal) bool {
	if d == 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-signals:
		return false
	}
}

func (s *service) serveUsers(failed chan<- error) (addr net.Addr, stop func(), err error) {
	if s.role.tcp {
		return serveEcho(s.listen, failed)
	}
	return serveHTTP(s.listen, s.handler(), failed)
}

// shutdownTimeout bounds the wait for requests still running after the drain.
const shutdownTimeout = time.Second

func serveHTTP(listen string, h http.Handler, failed chan<- error) (addr net.Addr, stop func(), err error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, nil, err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return ln.Addr(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}, nil
}

// serveEcho sends every connection's bytes back: enough of a database for a
// TCP route, a TCP probe and a ping.
func serveEcho(listen string, failed chan<- error) (addr net.Addr, stop func(), err error) {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				failed <- err
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn) //nolint:errcheck // a client that goes away ends its own echo
			}()
		}
	}()
	return ln.Addr(), func() { ln.Close() }, nil
}
