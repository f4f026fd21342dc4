// Package enginetest is a simulated service with the engine on top: the shipped state
// machine and the shipped steps over the drivers in memory, in virtual time. It serves the
// paths of states, the search for broken promises, and the tests of what stands above the
// engine: the story, the report, the command.
package enginetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Start is when every scene begins.
var Start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// Service is the one that a stage has, Route its route.
var (
	Service = workload.Service{Namespace: "shop", Name: "checkout"}
	Route   = traffic.Target{Namespace: "shop", Route: "checkout", Service: "checkout"}
)

// Template is the service's template: two pods behind a Service a version, and a route.
const Template = `apiVersion: v1
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

// Fields are parts of a deploy.json.
type Fields map[string]any

// Input is the service's deploy.json, steps of 25 % a minute, with the fields that a
// test gives in place of its own. A nil field is left out.
func Input(extra Fields) string {
	doc := Fields{
		"cluster_name": "bed", "kubernetes_namespace": Service.Namespace, "microservice_name": Service.Name,
		"container_image": "podlet:2", "config_file": base64.StdEncoding.EncodeToString([]byte(Template)),
		"percentage_step": 25, "wait_time": 60, "metrics": Fields{"provider": "prometheus", "queries": "traefik"},
	}
	maps.Copy(doc, extra)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	b, _ := json.Marshal(doc) // of strings and numbers
	return string(b)
}

// Pace is that of the stage's metrics: every five seconds, two seconds late.
var Pace = metric.Pace{Every: 5 * time.Second, Lag: 2 * time.Second}

// A Stage is the simulated service without an engine: what the steps of a rollout reach.
type Stage struct {
	World *world.World
	Meter *meter.Meter
	// Router is the one that the steps get; the world's unless a test puts another there.
	Router traffic.Router
	// Source is the meter that the steps get; Meter unless a test puts another there.
	Source metric.Meter
	// Web answers requests to gates and receivers. Without it nobody is asked or told.
	Web   http.RoundTripper
	clock clock.Clock
}

// NewStage gives a stage without any version.
func NewStage(c clock.Clock, o meter.Options) *Stage {
	s := &Stage{World: world.New(c), Meter: meter.New(c, o), clock: c}
	s.Router, s.Source = s.World.Router, s.Meter
	s.Meter.Follow(s.splits)
	return s
}

// Ports are the stage, as an engine reaches it.
func (s *Stage) Ports() engine.Ports {
	return engine.Ports{
		Open:  s.Open,
		Meter: func(context.Context, json.RawMessage) (metric.Meter, error) { return s.Source, nil },
		Clock: s.clock,
		Hooks: s.hooks,
	}
}

// An Answer is a web in which every request gets this body.
type Answer string

// RoundTrip gives it.
func (a Answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}

func (s *Stage) hooks() (*hook.Client, error) {
	if s.Web == nil {
		return nil, fmt.Errorf("%w: this stage has no web", fault.Invalid)
	}
	return hook.New(hook.Options{Clock: s.clock, Transport: s.Web}), nil
}

// Open opens the stage's cluster, whatever its name.
func (s *Stage) Open(context.Context, string) (step.Access, error) {
	return step.Access{
		Cluster: s.World.Cluster, Records: s.World.Records,
		Router: func(string) (traffic.Router, error) { return s.Router, nil },
	}, nil
}

// splits tells the meter what users got: what was in force and not what was written, which a route
// may be slow to take up.
func (s *Stage) splits(namespace, route string) (out []meter.Share) {
	s.World.Router.Splits(traffic.Target{Namespace: namespace, Route: route}, func(from time.Time, weights map[string]rollout.Weight) {
		out = append(out, meter.Share{From: from, Weights: weights})
	})
	return out
}

// Users lets that many requests a second meet these shares of errors, by version.
func (s *Stage) Users(rps float64, rates map[string]float64) {
	s.Meter.Play(Service.Namespace, Service.Name, meter.Steady(rps, rates))
}
