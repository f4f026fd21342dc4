// Package enginetest is a simulated service with the engine on top: the shipped state
// machine and the shipped steps over the drivers in memory, in virtual time. It serves
// tests of what stands above the engine: the story, the report, the command.
package enginetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Start is when every scene begins.
var Start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// Service is the one that a scene has, Route its route.
var (
	Service = workload.Service{Namespace: "shop", Name: "checkout"}
	Route   = traffic.Target{Namespace: "shop", Route: "checkout"}
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

// Input is the scene's deploy.json, steps of 25 % a minute, with the fields that a
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

// A Scene is a simulated world with the engine on top. Its metrics come every five
// seconds, two seconds late.
type Scene struct {
	Clock  *clock.Virtual
	World  *world.World
	Meter  *meter.Meter
	Engine *local.Engine
	// URL is that of its Step Functions API, on loopback.
	URL    string
	client *sfn.Client
	number int
}

// New gives a scene without any version.
func New(t testing.TB) *Scene {
	t.Helper()
	s := &Scene{Clock: clock.NewVirtual(Start)}
	s.World = world.New(s.Clock)
	s.Meter = meter.New(s.Clock, meter.Options{Pace: metric.Pace{Every: 5 * time.Second, Lag: 2 * time.Second}})
	s.World.Core.After(s.split)
	access := step.Access{
		Cluster: s.World.Cluster, Records: s.World.Records,
		Router: func(string) (traffic.Router, error) { return s.World.Router, nil },
	}
	e, err := engine.Local(local.Options{Clock: s.Clock}, engine.Ports{
		Open:  func(context.Context, string) (step.Access, error) { return access, nil },
		Meter: func(context.Context, json.RawMessage) (metric.Meter, error) { return s.Meter, nil },
		Clock: s.Clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(local.API(e))
	t.Cleanup(func() {
		server.Close()
		_ = e.Close()
	})
	s.Engine, s.URL = e, server.URL
	s.client = sfn.New(sfn.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	return s
}

// split tells the meter how the users' requests are split after every write.
func (s *Scene) split(op string) error {
	if strings.HasPrefix(op, "traffic.S") || op == "workload.Apply" {
		s.Meter.Shift(Route.Namespace, Route.Route, s.World.Router.Served(Route, s.Clock.Now()))
	}
	return nil
}

// Users lets that many requests a second meet these shares of errors, by version.
func (s *Scene) Users(rps float64, rates map[string]float64) {
	s.Meter.Play(Service.Namespace, Service.Name, meter.Steady(rps, rates))
}

// Begin starts a rollout.
func (s *Scene) Begin(t testing.TB, extra Fields) (execution string) {
	t.Helper()
	s.number++
	arn, _, err := s.Engine.Start(local.StartInput{
		MachineARN: s.Engine.Machines()[0].ARN, Name: fmt.Sprintf("%s-r%d", Service.Name, s.number), Input: Input(extra),
	})
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// Run starts a rollout and waits for its end.
func (s *Scene) Run(t testing.TB, extra Fields) (execution string) {
	t.Helper()
	arn := s.Begin(t, extra)
	if err := s.Engine.Wait(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
	return arn
}

// First deploys version 1, so that a test begins with a service that runs.
func (s *Scene) First(t testing.TB) {
	t.Helper()
	s.Users(100, map[string]float64{"checkout-1": 0})
	arn := s.Run(t, Fields{"container_image": "podlet:1"})
	if d, err := s.Engine.Describe(arn); err != nil || d.Status != "SUCCEEDED" {
		t.Fatalf("first deployment: %+v, %v", d, err)
	}
}

// Token is the key of the task that the execution waits for now; empty where there is none.
func (s *Scene) Token(execution string) string {
	events, err := s.Engine.History(execution, 0, 25000, true, true)
	if err != nil {
		return ""
	}
	for _, e := range events {
		if e.Type == "TaskScheduled" {
			var p struct{ Payload struct{ Token string } }
			_ = json.Unmarshal([]byte(e.Details.Parameters), &p)
			return p.Payload.Token
		}
	}
	return ""
}

// History is the whole history of an execution, as the API gives it.
func (s *Scene) History(t testing.TB, execution string) []types.HistoryEvent {
	t.Helper()
	var events []types.HistoryEvent
	pages := sfn.NewGetExecutionHistoryPaginator(s.client, &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(execution)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, page.Events...)
	}
	return events
}
