package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httputil"
	"strconv"
	"time"
)

// addRole adds the endpoints that users of the role see.
func (s *service) addRole(mux *http.ServeMux) {
	mux.HandleFunc("/", s.front)
	switch s.role.name {
	case "appserver":
		s.addVotes(mux)
	case "podinfo":
		s.addPodinfo(mux)
	case "http-echo":
		mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { answer(w, true, "live") })
	}
	if s.backend != nil {
		mux.Handle("/api/", s.callBackend())
	}
}

// front answers with the version and the role, or with the text asked for.
func (s *service) front(w http.ResponseWriter, r *http.Request) {
	if s.role.name == "podinfo" {
		writeStatusJSON(w, s.status, map[string]string{"hostname": s.hostname, "version": s.version,
			"message": cmp.Or(s.text, "greetings from podinfo v"+s.version)})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(s.status)
	if s.text != "" {
		fmt.Fprintln(w, s.text)
		return
	}
	fmt.Fprintf(w, "podlet %s %s\n", s.version, s.role.name)
}

// callBackend passes /api/ on to the back end, and its status back. The back
// end's version moves to X-Backend-Version.
func (s *service) callBackend() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(s.backend)
			p.Out.Host = cmp.Or(s.backendHost, s.backend.Host)
		},
		ModifyResponse: func(r *http.Response) error {
			if v := r.Header.Get("X-Version"); v != "" {
				r.Header.Set("X-Backend-Version", v)
				r.Header.Del("X-Version")
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, fmt.Sprintf("call back end: %v", err), http.StatusBadGateway)
		},
	}
}

// addPodinfo adds what the users of podinfo's samples call.
func (s *service) addPodinfo(mux *http.ServeMux) {
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("code"))
		if err != nil || code < 200 || code > 599 {
			http.Error(w, "status: expected 200 to 599", http.StatusBadRequest)
			return
		}
		writeStatusJSON(w, code, map[string]int{"status": code})
	})
	mux.HandleFunc("/delay/{seconds}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseUint(r.PathValue("seconds"), 10, 16)
		if err != nil || n > 60 {
			http.Error(w, "delay: expected 0 to 60 seconds", http.StatusBadRequest)
			return
		}
		if pause(r, time.Duration(n)*time.Second) {
			writeJSON(w, map[string]uint64{"delay": n})
		}
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"token": "sample"}) })
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { s.exit(255) })
	mux.HandleFunc("POST /readyz/{switch}", func(w http.ResponseWriter, r *http.Request) {
		s.disabled.Store(r.PathValue("switch") == "disable")
		w.WriteHeader(http.StatusAccepted)
	})
}

func writeStatusJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	writeJSON(w, v)
}
