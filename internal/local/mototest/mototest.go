// Package mototest starts moto, an independent interpreter of the Amazon States Language, for
// tests that compare the engine with it. moto speaks the same API, so the same client drives both.
package mototest

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/witness"
)

// Start starts moto_server on a port of its own, with Lambda at this URL, and gives its URL. It
// is a witness: where there is no moto_server, the test is skipped or fails.
func Start(t *testing.T, lambda string) string {
	t.Helper()
	path := witness.Program(t, "moto_server")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(cmd.Environ(), "MOTO_PORT="+lambda[strings.LastIndex(lambda, ":")+1:], "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it says that it was killed
	})
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
			return url
		}
		if time.Now().After(deadline) {
			t.Fatalf("moto_server does not answer: %v", err)
		}
	}
}

// Reset empties moto and lets it run state machines. A second execution in one life of moto
// fails, so it is called before each.
func Reset(t *testing.T, url string) {
	t.Helper()
	post(t, url+"/moto-api/reset", "")
	post(t, url+"/moto-api/config", `{"stepfunctions":{"execute_state_machine":true},"lambda":{"use_docker":false}}`)
}

// post speaks to moto's own API.
func post(t *testing.T, url, body string) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("POST %s: %s", url, resp.Status)
	}
}
