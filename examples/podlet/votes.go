package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// votes is Yelb's data, kept in the process.
type votes struct {
	mu    sync.Mutex
	count map[string]int
	views int
}

var restaurants = []string{"outback", "bucadibeppo", "ihop", "chipotle"}

func newVotes() *votes { return &votes{count: map[string]int{}} }

// addVotes adds the API of Yelb's application server. As in Yelb a vote is a
// GET, and /api/hostname answers even when database and cache are down.
func (s *service) addVotes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/hostname", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]string{"hostname": s.hostname, "version": s.version})
	})
	mux.HandleFunc("GET /api/getstats", func(w http.ResponseWriter, _ *http.Request) {
		if err := ping(s.cacheAddr); err != nil {
			http.Error(w, fmt.Sprintf("cache: %v", err), http.StatusInternalServerError)
			return
		}
		s.votes.mu.Lock()
		s.votes.views++
		n := s.votes.views
		s.votes.mu.Unlock()
		writeJSON(w, map[string]any{"hostname": s.hostname, "pageviews": n})
	})
	mux.HandleFunc("GET /api/getvotes", func(w http.ResponseWriter, _ *http.Request) {
		if err := ping(s.dbAddr); err != nil {
			http.Error(w, fmt.Sprintf("database: %v", err), http.StatusInternalServerError)
			return
		}
		writeJSON(w, s.votes.list())
	})
	for _, name := range restaurants {
		mux.HandleFunc("GET /api/"+name, func(w http.ResponseWriter, _ *http.Request) {
			if err := ping(s.dbAddr); err != nil {
				http.Error(w, fmt.Sprintf("database: %v", err), http.StatusInternalServerError)
				return
			}
			fmt.Fprintln(w, s.votes.add(name))
		})
	}
}

func (v *votes) add(name string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count[name]++
	return v.count[name]
}

type vote struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

func (v *votes) list() []vote {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]vote, 0, len(restaurants))
	for _, name := range restaurants {
		out = append(out, vote{name, v.count[name]})
	}
	return out
}

const pingTimeout = 2 * time.Second

// ping sends a line to a TCP role and wants it echoed. An empty address is a
// sample without that back end, and fine.
func ping(addr string) error {
	if addr == "" {
		return nil
	}
	conn, err := net.DialTimeout("tcp", addr, pingTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(pingTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, "PING"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != "PING" {
		return fmt.Errorf("%s answered %q, expected %q", addr, line, "PING")
	}
	return nil
}
