package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// A service is one running podlet.
type service struct {
	config
	faults   *injector
	metrics  *metrics
	votes    *votes
	disabled atomic.Bool // readiness switched off by /readyz/disable
	draining atomic.Bool
	exit     func(code int) // ends the process; a test's stands in for it
	out      io.Writer      // says in lines when it listens and drains
}

func newService(c config, exit func(int)) *service {
	return &service{config: c, faults: newInjector(c.fault), metrics: newMetrics(c.version), votes: newVotes(), exit: exit, out: os.Stdout}
}

// handler serves users' requests and the probes, and /admin where it has no
// listener of its own.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	s.addProbes(mux)
	if s.adminListen == "" {
		s.addAdmin(mux)
	}
	users := http.NewServeMux()
	s.addRole(users)
	mux.Handle("/", s.suffer(users))
	return mux
}

// adminHandler serves the separate admin listener.
func (s *service) adminHandler() http.Handler {
	mux := http.NewServeMux()
	s.addProbes(mux)
	s.addAdmin(mux)
	return mux
}

func (s *service) addProbes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, !s.faults.get().NotLive, "live")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, !s.faults.get().NotReady && !s.disabled.Load() && !s.draining.Load(), "ready")
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", s.version)
		writeJSON(w, map[string]string{"version": s.version, "role": s.role.name, "hostname": s.hostname})
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		s.metrics.write(w)
	})
}

// addAdmin adds the run-time control of faults.
func (s *service) addAdmin(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/fault", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.faults.get()) })
	mux.HandleFunc("DELETE /admin/fault", func(w http.ResponseWriter, _ *http.Request) {
		s.faults.set(fault{})
		writeJSON(w, s.faults.get())
	})
	mux.HandleFunc("POST /admin/fault", func(w http.ResponseWriter, r *http.Request) {
		var f fault
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10))
		d.DisallowUnknownFields()
		err := d.Decode(&f)
		if err == nil {
			err = errors.Join(f.check(), f.suits(s.role))
		}
		if err != nil {
			http.Error(w, "fault: "+err.Error(), http.StatusBadRequest)
			return
		}
		s.faults.set(f)
		writeJSON(w, f)
	})
}

// suffer lets the fault in force befall a request, and counts the outcome.
func (s *service) suffer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		b := s.faults.next()
		if b.crash {
			s.exit(1)
			return
		}
		w.Header().Set("X-Version", s.version)
		if s.draining.Load() {
			w.Header().Set("Connection", "close") // tells a gateway to let go of this connection by itself
		}
		if !pause(r, b.delay) {
			return
		}
		sw := &statusWriter{ResponseWriter: w, code: http.StatusOK}
		if b.code != 0 {
			http.Error(sw, fmt.Sprintf("%s: injected %d", s.version, b.code), b.code)
		} else {
			next.ServeHTTP(sw, r)
		}
		s.metrics.observe(sw.code, time.Since(start))
	})
}

// pause waits for d and reports whether the client is still there.
func pause(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

// A statusWriter remembers the status for the metrics.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap gives http.ResponseController the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func answer(w http.ResponseWriter, ok bool, what string) {
	if !ok {
		http.Error(w, "not "+what, http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, what)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client has gone, and there is nobody to tell
}
