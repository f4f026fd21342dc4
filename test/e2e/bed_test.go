// Package e2e_test runs whole rollouts on the bed: the shipped state machine and steps, a real API
// server, a real gateway, real metrics, and users. Run it with: bin/testbed run --mesh -- scripts/e2e
package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/platform"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// A bed is the test bed with an engine on it.
type bed struct {
	*testing.T
	engine  *local.Engine
	machine string
	gateway string
	file    spec.File
}

// newBed connects to the bed that runs around the test.
func newBed(t *testing.T) *bed {
	t.Helper()
	kubeconfig, gateway, prometheus := os.Getenv("STEPCANARY_TEST_KUBECONFIG"), os.Getenv("STEPCANARY_TEST_GATEWAY"), os.Getenv("STEPCANARY_TEST_PROMETHEUS_URL")
	if kubeconfig == "" || gateway == "" || prometheus == "" {
		t.Skip("no bed: run bin/testbed run --mesh -- scripts/e2e")
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	settings := platform.Settings{
		Kubeconfig: kubeconfig, Context: "testbed",
		Metrics: json.RawMessage(fmt.Sprintf(`{"provider":"prometheus","address":%q,"scrape_interval":"1s","allow_loopback":true}`, prometheus)),
	}
	e, err := engine.Local(local.Options{}, engine.Ports{
		Open: settings.Opener(), Meter: settings.MeterOpener(), Clock: clock.Real{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	file, err := spec.Load("../../specfiles/podlet")
	if err != nil {
		t.Fatal(err)
	}
	return &bed{T: t, engine: e, machine: e.Machines()[0].ARN, gateway: gateway, file: file}
}

// input is the deploy.json of the sample service with another name, image and fields.
func (b *bed) input(service, image string, fields map[string]any) string {
	b.Helper()
	var doc map[string]any
	if err := json.Unmarshal(b.file.Raw, &doc); err != nil {
		b.Fatal(err)
	}
	doc["microservice_name"], doc["container_image"] = service, image
	delete(doc, "$schema")
	for k, v := range fields {
		doc[k] = v
	}
	input, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	return string(input)
}

// begin starts a rollout of it.
func (b *bed) begin(service, image string, fields map[string]any) string {
	b.Helper()
	arn, _, err := b.engine.Start(local.StartInput{MachineARN: b.machine, Input: b.input(service, image, fields)})
	if err != nil {
		b.Fatal(err)
	}
	return arn
}

// end waits for an execution, for two minutes at most.
func (b *bed) end(arn string) local.Description {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	if err := b.engine.Wait(ctx, arn); err != nil {
		b.Fatalf("wait for %s: %v", arn, err)
	}
	d, err := b.engine.Describe(arn)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func cause(d local.Description) string {
	if d.Cause == nil {
		return ""
	}
	return *d.Cause
}

// Users send requests until they are stopped.
type users struct {
	mu       sync.Mutex
	count    map[string]int // "version status"
	firstBad time.Time
	lastBad  time.Time
	lastOf   map[string]time.Time
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// visit sends 100 requests a second to a host for at most two minutes.
func (b *bed) visit(host string) *users {
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	u := &users{count: map[string]int{}, lastOf: map[string]time.Time{}, stop: cancel}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	u.done.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				u.done.Go(func() { u.request(client, b.gateway, host) })
			}
		}
	})
	b.Cleanup(func() { cancel(); u.done.Wait() })
	return u
}

func (u *users) request(client *http.Client, url, host string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return
	}
	r.Host = host
	status, version := "none", ""
	resp, err := client.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close()
		status, version = resp.Status[:3], resp.Header.Get("X-Version")
	}
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count[version+" "+status]++
	u.lastOf[version] = now
	if status != "200" {
		if u.firstBad.IsZero() {
			u.firstBad = now
		}
		u.lastBad = now
	}
}

// leave ends the visits and gives the failed requests, all requests, and how long failures lasted.
func (u *users) leave() (failed, all int, lasted time.Duration) {
	u.stop()
	u.done.Wait()
	for what, n := range u.count {
		all += n
		if !strings.HasSuffix(what, " 200") {
			failed += n
		}
	}
	return failed, all, u.lastBad.Sub(u.firstBad)
}

// serve brings up version 1 of a service under a host of its own.
func (b *bed) serve(service string) (host string, fields map[string]any) {
	b.Helper()
	host = service + ".example"
	template := strings.ReplaceAll(string(b.template()), "  rules:", "  hostnames: ["+host+"]\n  rules:")
	fields = map[string]any{
		"config_file": encode(template), "wait_time": "5s", "drain": "3s", "steps": []any{10, 30, 50, 100},
		// Latency is left out: on a loaded machine it is the machine's, not the version's.
		"analysis": map[string]any{"min_requests": 20, "limits": []any{map[string]any{"metric": "error-rate", "max": "2%"}}},
	}
	if d := b.end(b.begin(service, "podlet:v1", fields)); d.Status != asl.Succeeded {
		b.Fatalf("first deployment: %s, %s", d.Status, cause(d))
	}
	return host, fields
}
