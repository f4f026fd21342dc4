package safety

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
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
	foreign = traffic.Target{Namespace: "shop", Route: "basket"}
)

// A Scenario is what a rollout meets without any fault.
type Scenario struct {
	Name string
	// Rates are the versions' shares of errors.
	Rates map[string]float64
	// Canary scripts the pods of checkout-2.
	Canary cluster.Script
	// First is a first deployment: nothing serves before.
	First bool
	// Bad tells that the canary must never be promoted.
	Bad bool
	// Fields are added to deploy.json.
	Fields map[string]any
}

// Scenarios are the ones that are searched.
var Scenarios = []Scenario{
	{Name: "good", Rates: map[string]float64{"checkout-1": 0, "checkout-2": 0}},
	{Name: "bad", Rates: map[string]float64{"checkout-1": 0, "checkout-2": 0.5}, Bad: true},
	{Name: "crash", Rates: map[string]float64{"checkout-1": 0, "checkout-2": 0}, Canary: cluster.Script{CrashAtWeight: 50}, Bad: true},
	{Name: "first", Rates: map[string]float64{"checkout-1": 0}, First: true},
}

// A Result is what one run came to.
type Result struct {
	// Broken are the promises that broke, each in a sentence.
	Broken []string
	// Calls and Invocations count what could have been disturbed.
	Calls, Invocations int
	// Path is the states that were entered, of all executions.
	Path string
	// Marks are the situations that were reached.
	Marks map[string]bool
}

// killed is the panic that ends a function where it stands.
type killed struct{}

// A run is one scenario with its faults.
type run struct {
	scenario Scenario
	faults   map[int][]Kind // by call
	tasks    map[int][]Kind // by invocation

	clock   *clock.Virtual
	world   *world.World
	meter   *meter.Meter
	store   *local.Memory
	access  step.Access
	machine string

	mu       sync.Mutex
	engine   *local.Engine
	calls    int
	invokes  int
	counting bool
	arns     []string
	late     []func()
	broken   map[string]bool
	marks    map[string]bool
	ready    map[string]bool
	noPods   map[string]bool // versions whose pods were taken away
	edited   bool
	wayBack  error // of the last run of Rollback
}

// Run runs a scenario with faults and checks it.
func Run(s Scenario, faults []Fault) Result {
	r := &run{
		scenario: s, faults: map[int][]Kind{}, tasks: map[int][]Kind{}, clock: clock.NewVirtual(start),
		store: local.NewMemory(), broken: map[string]bool{}, marks: map[string]bool{},
		ready: map[string]bool{}, noPods: map[string]bool{},
	}
	for _, f := range faults {
		if among(f.Kind, invokeKinds) {
			r.tasks[f.At] = append(r.tasks[f.At], f.Kind)
		} else {
			r.faults[f.At] = append(r.faults[f.At], f.Kind)
		}
	}
	r.build()
	defer r.close()
	r.begin("checkout-x", s.Fields)
	r.rest()
	r.mu.Lock()
	late := r.late
	r.late = nil
	r.mu.Unlock()
	for _, again := range late {
		r.clock.Go(again)
		r.rest()
	}
	r.mu.Lock()
	r.counting = false
	calls, invokes := r.calls, r.invokes
	r.mu.Unlock()
	r.checkEnd()
	r.recover()
	return Result{Broken: keys(r.broken), Calls: calls, Invocations: invokes, Path: r.path(), Marks: r.marks}
}

// build makes the world: version 1 serves, a service of somebody else's stands beside it.
func (r *run) build() {
	r.world = world.New(r.clock)
	w := r.world
	r.meter = meter.New(r.clock, meter.Options{
		Pace:   metric.Pace{Every: 5 * time.Second, Lag: 2 * time.Second},
		Before: func(context.Context, meter.Call) error { return r.before("metric.Intervals") },
		After:  func(context.Context, meter.Call) error { return r.after("metric.Intervals") },
	})
	r.access = step.Access{
		Cluster: w.Cluster, Records: w.Records,
		Router: func(string) (traffic.Router, error) { return w.Router, nil },
	}
	r.start()
	r.meter.Play(service.Namespace, service.Name, meter.Steady(100, r.rates()))
	w.Router.Define(foreign, map[string]rollout.Weight{"basket": 70, "basket-next": 30})
	w.Cluster.Place(foreign.Namespace, workload.Version{Name: "basket", Deployment: "basket", Replicas: 1})
	if !r.scenario.First {
		r.begin("checkout-w", nil)
		r.rest()
	}
	w.Cluster.Behave(service.Namespace, "checkout-2", r.scenario.Canary)
	w.Core.Before(r.before)
	w.Core.After(r.after)
	r.counting = true
	r.arns = nil
}

// rates are the scenario's, and good ones for every version of a recovery.
func (r *run) rates() map[string]float64 {
	rates := map[string]float64{}
	for i := 1; i < 9; i++ {
		rates[fmt.Sprintf("checkout-%d", i)] = 0
	}
	maps.Copy(rates, r.scenario.Rates)
	return rates
}

// start starts an engine on the store.
func (r *run) start() {
	ports := engine.Ports{
		Open:  func(context.Context, string) (step.Access, error) { return r.access, nil },
		Meter: func(context.Context, json.RawMessage) (metric.Meter, error) { return r.meter, nil },
		Clock: r.clock,
	}
	e, err := engine.LocalWith(local.Options{Clock: r.clock, Store: r.store}, ports, r.disturb)
	if err != nil {
		panic(err) // a defect of the search itself
	}
	r.mu.Lock()
	r.engine, r.machine = e, e.Machines()[0].ARN
	r.mu.Unlock()
}

func (r *run) close() { _ = r.now().Close() }

func (r *run) now() *local.Engine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.engine
}

// rest lets everything come to its end.
func (r *run) rest() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if r.clock.Wait(ctx) != nil {
		r.breaks(unresting)
	}
}

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

// begin starts a rollout in two steps and a bake of half a minute each.
func (r *run) begin(name string, extra map[string]any) {
	doc := map[string]any{
		"cluster_name": "c", "kubernetes_namespace": service.Namespace, "microservice_name": service.Name,
		"container_image": "podlet:2", "config_file": base64.StdEncoding.EncodeToString([]byte(template)),
		"percentage_step": 50, "wait_time": 30, "pause_limit": "1h", "drain": "5s",
		"metrics": map[string]any{"provider": "prometheus", "queries": "traefik"},
	}
	maps.Copy(doc, extra)
	input, _ := json.Marshal(doc)
	arn, _, err := r.now().Start(local.StartInput{MachineARN: r.machine, Name: name, Input: string(input)})
	if err == nil {
		r.mu.Lock()
		r.arns = append(r.arns, arn)
		r.mu.Unlock()
	}
}

// before is the moment before a call of a driver.
func (r *run) before(op string) error {
	r.mu.Lock()
	if !r.counting {
		r.mu.Unlock()
		return nil
	}
	r.calls++
	kinds := r.faults[r.calls]
	r.mu.Unlock()
	for _, k := range kinds {
		switch k {
		case Throttled:
			return fmt.Errorf("injected: %w", fault.Transient)
		case Conflicted:
			return fmt.Errorf("injected: %w", fault.Conflict)
		case Refused:
			return fmt.Errorf("injected: %w", fault.Invalid)
		case KillBefore:
			panic(killed{})
		case Stuck:
			r.mark("a write came half an hour late")
			_ = r.clock.Sleep(context.Background(), 30*time.Minute)
		case Lost, KillAfter:
			r.markNext(op, k)
		default:
			r.act(k)
		}
	}
	return nil
}

// markNext lets after know that this very call is to be disturbed: calls do not overlap, because
// virtual time runs one function at a time.
func (r *run) markNext(op string, k Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks["next "+op+" "+string(k)] = true
}

func (r *run) taken(op string, k Kind) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := "next " + op + " " + string(k)
	was := r.marks[key]
	delete(r.marks, key)
	return was
}

// after is the moment after a call that took effect.
func (r *run) after(op string) error {
	if strings.HasPrefix(op, "traffic.S") || op == "workload.Apply" {
		r.meter.Shift(route.Namespace, route.Route, r.world.Router.Served(route, r.clock.Now()))
	}
	r.checkCall()
	if r.taken(op, KillAfter) {
		panic(killed{})
	}
	if r.taken(op, Lost) {
		return fmt.Errorf("injected: %w: the answer was lost", fault.Transient)
	}
	return nil
}

// disturb stands around a function, as AWS does.
func (r *run) disturb(name string, f local.Handler) local.Handler {
	call := func(ctx context.Context, input json.RawMessage) (out json.RawMessage, err error) {
		defer func() {
			if x := recover(); x != nil {
				if _, ok := x.(killed); !ok {
					panic(x)
				}
				out, err = nil, messages.InvokeResponse_Error{Type: "Lambda.Unknown", Message: "the function was killed"}
			}
		}()
		return f(ctx, input)
	}
	return func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		r.mu.Lock()
		var kinds []Kind
		if r.counting {
			r.invokes++
			kinds = r.tasks[r.invokes]
		}
		r.mu.Unlock()
		for _, k := range kinds {
			switch k {
			case Garbage:
				if _, err := call(ctx, input); err != nil {
					return nil, err
				}
				return json.RawMessage(`[]`), nil
			case Twice:
				_, _ = call(ctx, input)
			case Late:
				r.clock.AfterFunc(10*time.Minute, func() { r.zombie(call, input) })
			case VeryLate:
				r.mu.Lock()
				r.late = append(r.late, func() { r.zombie(call, input) })
				r.mu.Unlock()
			}
		}
		out, err := call(ctx, input)
		if name == "rollback" {
			r.mu.Lock()
			r.wayBack = err
			r.mu.Unlock()
		}
		return out, err
	}
}

// zombie runs a function that nobody waits for any more.
func (r *run) zombie(call local.Handler, input json.RawMessage) {
	if _, err := call(context.Background(), input); err != nil && strings.Contains(err.Error(), string(fault.Fenced)) {
		r.mark("a late duplicate was fenced off")
	}
}

func (r *run) mark(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marks[what] = true
}

// act lets the world do something right before a call.
func (r *run) act(k Kind) {
	switch k {
	case Stop:
		r.clock.Go(func() { _, _ = r.now().Stop(r.main(), asl.Failure{}) })
	case Expire:
		r.clock.Go(func() { _, _ = r.now().Stop(r.main(), asl.Failure{Error: ptr("States.Timeout")}) })
	case Abort:
		r.clock.Go(func() { r.ask("Canary.Aborted", "a person said so") })
	case Pause:
		r.clock.Go(func() { r.ask("Canary.Asked", `{"id":"p","request":"pause"}`) })
	case PauseResume:
		r.clock.Go(func() { r.ask("Canary.Asked", `{"id":"p","request":"pause"}`) })
		r.clock.AfterFunc(10*time.Minute, func() { r.ask("Canary.Asked", `{"id":"r","request":"resume"}`) })
	case PromoteNow:
		r.clock.Go(func() { r.ask("Canary.Asked", `{"id":"n","request":"promote"}`) })
	case Second:
		r.clock.Go(func() { r.begin("checkout-y", nil) })
	case Redrive:
		r.clock.AfterFunc(time.Hour, func() { _, _ = r.now().Redrive(r.main(), "") })
	case Edit:
		r.edited = true
		r.world.Router.Define(route, map[string]rollout.Weight{"checkout-1": 100})
	case CanaryDies:
		r.die("checkout-2")
	case StableDies:
		r.die("checkout-1")
	case Silence:
		r.meter.Play(service.Namespace, service.Name, meter.Script{})
	case Deaf:
		r.world.Router.Script(router.Script{Never: true})
		r.clock.AfterFunc(10*time.Minute, func() { r.world.Router.Script(router.Script{}) })
	}
}

// die takes all pods of a version away.
func (r *run) die(name string) {
	r.noPods[name] = true
	r.world.Cluster.Behave(service.Namespace, name, cluster.Script{Outages: []cluster.Outage{{}}})
}

func (r *run) main() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arns) == 0 {
		return ""
	}
	return r.arns[0]
}

// ask answers the token of the state that waits, if one does.
func (r *run) ask(name, cause string) {
	events, err := r.now().History(r.main(), 0, 25000, true, true)
	if err != nil {
		return
	}
	for _, e := range events {
		if e.Type != "TaskScheduled" {
			continue
		}
		var p struct{ Payload struct{ Token string } }
		_ = json.Unmarshal([]byte(e.Details.Parameters), &p)
		if p.Payload.Token != "" && r.now().SendTaskFailure(p.Payload.Token, asl.Failure{Error: &name, Cause: &cause}) == nil {
			r.mark("a person was heard: " + name)
		}
		return
	}
}

func ptr[T any](v T) *T { return &v }

// path is the states that were entered.
func (r *run) path() string {
	var b strings.Builder
	for _, arn := range r.arns {
		events, err := r.now().History(arn, 0, 25000, false, false)
		if err != nil && !errors.Is(err, context.Canceled) {
			continue
		}
		for _, e := range events {
			if strings.HasSuffix(e.Type, "StateEntered") {
				b.WriteString(e.Details.Name + " ")
			}
			if e.Type == "TaskTimedOut" {
				r.mark("a task timed out")
			}
		}
		b.WriteString("| ")
	}
	return b.String()
}
