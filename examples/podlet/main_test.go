package main

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

type ended struct {
	code int
	err  error
	at   time.Duration
}

// await runs awaitEnd and gives its result once it is there.
func await(s *service, signals chan os.Signal) <-chan ended {
	out := make(chan ended, 1)
	begin := time.Now()
	go func() {
		code, err := s.awaitEnd(signals, nil)
		out <- ended{code, err, time.Since(begin)}
	}()
	return out
}

func TestServesWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, map[string]string{"VERSION": "v1", "DRAIN": "2s"})
		signals := make(chan os.Signal, 2)
		end := await(s, signals)
		if w := call(s.handler(), "GET", "/readyz", ""); w.Code != 200 {
			t.Fatalf("before the signal: /readyz = %d; want 200", w.Code)
		}
		signals <- syscall.SIGTERM
		synctest.Wait()
		if w := call(s.handler(), "GET", "/readyz", ""); w.Code != 503 {
			t.Errorf("while draining: /readyz = %d; want 503 at once", w.Code)
		}
		w := call(s.handler(), "GET", "/", "")
		if w.Code != 200 || w.Header().Get("Connection") != "close" {
			t.Errorf("while draining: GET / = %d, Connection %q; want 200, close", w.Code, w.Header().Get("Connection"))
		}
		if e := <-end; e.code != 0 || e.err != nil || e.at != 2*time.Second {
			t.Errorf("ended with %d, %v after %v; want 0 after 2s", e.code, e.err, e.at)
		}
	})
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, map[string]string{"DRAIN": "1h"})
		signals := make(chan os.Signal, 2)
		end := await(s, signals)
		signals <- syscall.SIGTERM
		time.Sleep(time.Second)
		signals <- syscall.SIGTERM
		if e := <-end; e.code != 1 || e.at != time.Second {
			t.Errorf("ended with %d after %v; want 1 after 1s", e.code, e.at)
		}
	})
}

func TestStartFaults(t *testing.T) {
	if code, err := start(t, map[string]string{"FAULT": "crashonstart"}).run(nil); code != 1 || err == nil {
		t.Errorf("crashonstart: run() = %d, %v; want 1 and why", code, err)
	}
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if !waitFor(5*time.Second, nil) || time.Since(begin) != 5*time.Second {
			t.Errorf("slowstart-5s waited %v", time.Since(begin))
		}
	})
}

func TestRunServesThenEnds(t *testing.T) {
	s := start(t, map[string]string{"VERSION": "v1", "LISTEN": "127.0.0.1:0", "DRAIN": "0s"})
	lines, w := io.Pipe()
	s.out = w
	signals, end := make(chan os.Signal, 2), make(chan ended, 1)
	go func() {
		code, err := s.run(signals)
		end <- ended{code: code, err: err}
	}()
	out := bufio.NewScanner(lines)
	out.Scan()
	addr, ok := strings.CutPrefix(out.Text(), "podlet v1 web listening on ")
	if !ok {
		t.Fatalf("first line = %q; want the address it listens on", out.Text())
	}
	go io.Copy(io.Discard, lines) //nolint:errcheck // the rest of the lines is not looked at
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	signals <- syscall.SIGTERM
	if e := <-end; e.code != 0 || e.err != nil || resp.Header.Get("X-Version") != "v1" {
		t.Errorf("run() = %d, %v, answered by %q; want 0 after v1 answered", e.code, e.err, resp.Header.Get("X-Version"))
	}
	if _, err := http.Get("http://" + addr + "/"); err == nil {
		t.Error("it still serves after its end")
	}
}

func TestAddressThatIsNotOursIsAnError(t *testing.T) {
	s := start(t, map[string]string{"LISTEN": "192.0.2.1:80"}) // TEST-NET-1: never an address of this machine
	if code, err := s.run(nil); code != 1 || err == nil || !strings.Contains(err.Error(), "192.0.2.1:80") {
		t.Errorf("run() = %d, %v; want 1 and the address", code, err)
	}
}

func TestEchoAnswersPing(t *testing.T) {
	failed := make(chan error, 1)
	ln, stop, err := serveEcho("127.0.0.1:0", failed)
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.String()
	if err := ping(addr); err != nil {
		t.Errorf("ping(echo): %v", err)
	}
	s := start(t, map[string]string{"ROLE": "appserver", "DB_ADDR": addr})
	if w := call(s.handler(), "GET", "/api/ihop", ""); w.Code != http.StatusOK {
		t.Errorf("GET /api/ihop with its database up = %d; want 200", w.Code)
	}
	stop()
	if w := call(s.handler(), "GET", "/api/ihop", ""); w.Code != http.StatusInternalServerError {
		t.Errorf("GET /api/ihop with its database down = %d; want 500", w.Code)
	}
}
