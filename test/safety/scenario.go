package safety

import (
	"encoding/base64"
	"fmt"
	"maps"
	"time"

	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/traffic"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

var (
	start   = enginetest.Start
	service = enginetest.Service
	route   = enginetest.Route
	foreign = traffic.Target{Namespace: "shop", Route: "basket"}
)

// A Scenario is what a rollout meets without any fault.
type Scenario struct {
	Name string
	// Rates are the versions' shares of errors.
	Rates map[string]float64
	// Canary scripts the pods of the version that is rolled out.
	Canary cluster.Script
	// Router scripts the controller of the route.
	Router router.Script
	// First is a first deployment: nothing serves before.
	First bool
	// Inherits has a rollout before this one that died, and that nobody went back for: its version 2 has half of the users,
	// and the lock is its own.
	Inherits bool
	// Bad tells that the canary must never be promoted.
	Bad bool
	// Fields are added to deploy.json.
	Fields map[string]any
	// Approves has a person say go on, 20 s after each Hold began.
	Approves bool
	// Gates are asked. Thinks tells that each answers a question when it is asked again.
	Gates  []Gate
	Thinks bool
	// Team is told what happens; nobody is where it is empty.
	Team Team
	// Pace is how often the metrics source has numbers; 5 s where it is zero.
	Pace time.Duration
}

// Scenarios are searched for single faults, and for combinations drawn at random.
var Scenarios = []Scenario{
	{Name: "good"},
	{Name: "bad", Rates: map[string]float64{"checkout-2": 0.5}, Bad: true},
	{Name: "crash", Canary: cluster.Script{CrashAtWeight: 50}, Bad: true},
	{Name: "first", First: true},
	{Name: "slow-first", First: true, Canary: cluster.Script{ReadyAfter: 30 * time.Second}},
	{Name: "inherits", Inherits: true},
	{Name: "slow-ready", Canary: cluster.Script{ReadyAfter: 30 * time.Second}},
	// Longer than one invocation of ShiftWeight waits, shorter than its deadline.
	{Name: "slow-router", Router: router.Script{Delay: 25 * time.Second}},
	{Name: "approved", Approves: true, Fields: map[string]any{"percentage_step": nil, "pause_limit": "3m", "steps": []any{
		map[string]any{"weight": 50, "approve": true}, map[string]any{"weight": 100},
	}}},
	{
		Name: "gated", Gates: append(gates, Gate{"load", hook.PreStep}), Thinks: true, Team: TeamFails,
		Fields: map[string]any{"wait_time": 20, "pause_limit": "3m"}, Pace: 10 * time.Second,
	},
}

// gates are one for each moment.
var gates = []Gate{{"smoke", hook.PreRollout}, {"audit", hook.PreStep}, {"board", hook.PrePromotion}}

// short is the least that still comes through every state but Hold: one look at each of two weights.
var short = map[string]any{"wait_time": 8, "bake": 8, "pause_limit": "90s", "patience": "1m"}

// Small are searched for all pairs of faults.
var Small = []Scenario{
	{Name: "small-good", Fields: short, Pace: 10 * time.Second},
	{Name: "small-bad", Rates: map[string]float64{"checkout-2": 0.5}, Bad: true, Fields: short, Pace: 10 * time.Second},
	{Name: "small-first", First: true, Fields: short, Pace: 10 * time.Second},
	{Name: "small-inherits", Inherits: true, Fields: with(short, "percentage_step", 100), Pace: 10 * time.Second},
	{Name: "small-gated", Gates: gates, Fields: with(short, "on_undecided", "ask"), Pace: 10 * time.Second},
}

func with(fields map[string]any, name string, value any) map[string]any {
	out := maps.Clone(fields)
	out[name] = value
	return out
}

// template is short, since it is read in each of some hundred thousand runs.
const template = `
{apiVersion: v1, kind: Service, metadata: {name: "${MICROSERVICE_NAME}-${CANARY_VERSION}", namespace: "${KUBERNETES_NAMESPACE}"}, spec: {selector: {version: "${CANARY_VERSION}"}, ports: [{port: 80}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: "${MICROSERVICE_NAME}-${CANARY_VERSION}", namespace: "${KUBERNETES_NAMESPACE}"}, spec: {replicas: 2, selector: {matchLabels: {version: "${CANARY_VERSION}"}}, template: {metadata: {labels: {version: "${CANARY_VERSION}"}}, spec: {containers: [{name: app, image: "${CONTAINER_IMAGE}"}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: "${MICROSERVICE_NAME}", namespace: "${KUBERNETES_NAMESPACE}"}
spec:
  parentRefs: [{name: gateway}]
  rules:
  - backendRefs: [${CANARY_ROUTES}]
`

// input is a deploy.json of two steps and a bake of half a minute each, unless said otherwise.
func input(extra map[string]any) string {
	doc := enginetest.Fields{
		"config_file":     base64.StdEncoding.EncodeToString([]byte(template)),
		"percentage_step": 50, "wait_time": 30, "pause_limit": "1h", "drain": "5s",
	}
	maps.Copy(doc, extra)
	return enginetest.Input(doc)
}

// searchedVersion is the one that the rollout brings.
func searchedVersion(s Scenario) string {
	switch {
	case s.First:
		return version(1)
	case s.Inherits:
		return version(3)
	}
	return version(2)
}

func version(i int) string { return fmt.Sprintf("checkout-%d", i) }
