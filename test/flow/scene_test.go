// Package flow_test runs the shipped state machine with the shipped steps over the drivers
// in memory, in virtual time, and compares the path of states.
package flow_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	records "github.com/stepcanary/stepcanary/internal/record/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

var (
	start   = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	service = workload.Service{Namespace: "shop", Name: "checkout"}
	route   = traffic.Target{Namespace: "shop", Route: "checkout"}
)

const template = `
apiVersion: v1
kind: Service
metadata:
  name: ${MICROSERVICE_NAME}-${CANARY_VERSION}
  namespace: ${KUBERNETES_NAMESPACE}
spec:
  selector: {app: "${MICROSERVICE_NAME}", version: "${CANARY_VERSION}"}
  ports: [{port: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${MICROSERVICE_NAME}-${CANARY_VERSION}
  namespace: ${KUBERNETES_NAMESPACE}
spec:
  replicas: 2
  selector: {matchLabels: {app: "${MICROSERVICE_NAME}", version: "${CANARY_VERSION}"}}
  template:
    metadata: {labels: {app: "${MICROSERVICE_NAME}", version: "${CANARY_VERSION}"}}
    spec:
      containers:
      - name: app
        image: ${CONTAINER_IMAGE}
        ports: [{containerPort: 8080}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: ${MICROSERVICE_NAME}
  namespace: ${KUBERNETES_NAMESPACE}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - backendRefs: [${CANARY_ROUTES}]
`

// A scene is a simulated world with the engine on top.
type scene struct {
	testing.TB
	clock   *clock.Virtual
	core    *memory.Core
	cluster *cluster.Cluster
	records *records.Records
	router  *router.Router
	meter   *meter.Meter
	engine  *local.Engine
	machine string
	number  int
	held    bool
}

// hold keeps time still, so that a test can say what happens when before anything does.
func (s *scene) hold() {
	if !s.held {
		s.clock.Begin()
		s.held = true
	}
}

// release lets time go on.
func (s *scene) release() {
	if s.held {
		s.held = false
		s.clock.End()
	}
}

func newScene(t testing.TB) *scene {
	t.Helper()
	s := &scene{TB: t, clock: clock.NewVirtual(start)}
	s.core = memory.New(s.clock)
	s.cluster, s.records, s.router = cluster.New(s.core), records.New(s.core), router.New(s.core)
	s.meter = meter.New(s.clock, meter.Options{Pace: metric.Pace{Every: 5 * time.Second, Lag: 2 * time.Second}})
	s.cluster.Reached = s.router.Reached
	s.cluster.Create = func(o workload.Object) {
		if o.Kind() == "HTTPRoute" {
			s.router.Create(traffic.Target{Namespace: o.Namespace(), Route: o.Name()}, backends(o))
		}
	}
	s.core.After(s.split)
	access := step.Access{
		Cluster: s.cluster, Records: s.records,
		Router: func(string) (traffic.Router, error) { return s.router, nil },
	}
	e, err := engine.Local(local.Options{Clock: s.clock}, engine.Ports{
		Open:  func(context.Context, string) (step.Access, error) { return access, nil },
		Meter: func(context.Context, json.RawMessage) (metric.Meter, error) { return s.meter, nil },
		Clock: s.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	s.engine, s.machine = e, e.Machines()[0].ARN
	return s
}

// split tells the meter how the users' requests are split after every write.
func (s *scene) split(op string) error {
	if strings.HasPrefix(op, "traffic.S") || op == "workload.Apply" {
		s.meter.Shift(route.Namespace, route.Route, s.router.Served(route, s.clock.Now()))
	}
	return nil
}

func backends(o workload.Object) map[string]rollout.Weight {
	weights := map[string]rollout.Weight{}
	rules, _ := o.Field("spec", "rules").([]any)
	for _, r := range rules {
		refs, _ := r.(map[string]any)["backendRefs"].([]any)
		for _, b := range refs {
			ref := b.(map[string]any)
			switch w := ref["weight"].(type) {
			case int:
				weights[ref["name"].(string)] = rollout.Weight(w)
			case int64:
				weights[ref["name"].(string)] = rollout.Weight(w)
			}
		}
	}
	return weights
}

// fields are what a test says beyond the usual deploy.json.
type fields map[string]any

// weights are the shares on a route.
type weights = map[string]rollout.Weight

// input is a deploy.json: steps of 25 % a minute, unless said otherwise.
func input(extra fields) string {
	doc := fields{
		"cluster_name": "bed", "kubernetes_namespace": service.Namespace, "microservice_name": service.Name,
		"container_image": "podlet:2", "config_file": base64.StdEncoding.EncodeToString([]byte(template)),
		"percentage_step": 25, "wait_time": 60, "metrics": fields{"provider": "prometheus", "queries": "traefik"},
	}
	maps.Copy(doc, extra)
	for k, v := range doc {
		if v == nil {
			delete(doc, k)
		}
	}
	b, _ := json.Marshal(doc)
	return string(b)
}

// begin starts a rollout; time stands still until the test waits for something.
func (s *scene) begin(extra fields) string {
	s.Helper()
	s.hold()
	s.number++
	arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: "checkout-" + string(rune('a'-1+s.number)), Input: input(extra)})
	if err != nil {
		s.Fatal(err)
	}
	return arn
}

// run starts a rollout and waits for its end.
func (s *scene) run(extra fields) ended {
	s.Helper()
	return s.end(s.begin(extra))
}

// An ended is a rollout that is over.
type ended struct {
	local.Description
	path  string
	cause string
}

func (s *scene) end(arn string) ended {
	s.Helper()
	s.release()
	if err := s.engine.Wait(s.Context(), arn); err != nil {
		s.Fatal(err)
	}
	d, err := s.engine.Describe(arn)
	if err != nil {
		s.Fatal(err)
	}
	out := ended{Description: d, path: s.path(arn)}
	if d.Cause != nil {
		out.cause = *d.Cause
	}
	return out
}

// path is the states that were entered; repeated looks at the same weight count once.
func (s *scene) path(arn string) string {
	s.Helper()
	events, err := s.engine.History(arn, 0, 25000, false, true)
	if err != nil {
		s.Fatal(err)
	}
	var names []string
	for _, e := range events {
		if strings.HasSuffix(e.Type, "StateEntered") {
			names = append(names, e.Details.Name)
		}
	}
	return short(names)
}

// short drops choices, and folds what repeats.
func short(names []string) string {
	var out []string
	for _, n := range names {
		switch n {
		case "IsItReady", "IsItInForce", "WhatNext", "HowItEnded":
			continue
		}
		if len(out) == 0 || out[len(out)-1] != n {
			out = append(out, n)
		}
	}
	return strings.Join(out, " ")
}

// first deploys version 1, so that a test begins with a service that runs.
func (s *scene) first() {
	s.Helper()
	s.play(map[string]float64{"checkout-1": 0})
	if e := s.run(fields{"container_image": "podlet:1"}); e.Status != asl.Succeeded {
		s.Fatalf("first deployment: %s, %s, %s", e.Status, e.path, e.cause)
	}
}

// play lets 100 requests a second meet these error rates.
func (s *scene) play(rates map[string]float64) {
	s.meter.Play(service.Namespace, service.Name, meter.Steady(100, rates))
}

// settled checks what every end has to leave behind: all traffic on one version that exists,
// and the lock free.
func (s *scene) settled(want string) {
	s.Helper()
	st, err := s.router.Read(s.Context(), route)
	if err != nil {
		s.Fatal(err)
	}
	if len(st.Weights) != 1 || st.Weights[want] != 100 || !st.InForce {
		s.Errorf("route = %+v; want all on %s, in force", st, want)
	}
	rec := s.record()
	if rec.Holder != "" || rec.Stable.Name != want {
		s.Errorf("record: holder %q, stable %q; want no holder and %s", rec.Holder, rec.Stable.Name, want)
	}
	versions, err := s.cluster.Versions(s.Context(), service)
	if err != nil {
		s.Fatal(err)
	}
	if len(versions) != 1 || versions[0].Name != want {
		s.Errorf("versions = %+v; want %s alone", versions, want)
	}
}

func (s *scene) record() record.Record {
	s.Helper()
	rec, err := s.records.Read(s.Context(), service)
	if err != nil {
		s.Fatal(err)
	}
	return rec
}

// TestMain keeps the steps' log out of a passing test's output.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}
