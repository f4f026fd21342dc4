// Package flow_test runs the shipped state machine with the shipped steps over the drivers
// in memory, in virtual time, and compares the path of states.
package flow_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	records "github.com/stepcanary/stepcanary/internal/record/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

var (
	start   = enginetest.Start
	service = enginetest.Service
	route   = enginetest.Route
)

// A scene is a simulated world with the engine on top, and the test that it is for.
type scene struct {
	testing.TB
	*enginetest.Scene
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
	return sceneAt(t, enginetest.Pace)
}

// sceneAt is a scene with a metrics source of that pace.
func sceneAt(t testing.TB, pace metric.Pace) *scene {
	t.Helper()
	e := enginetest.NewAt(t, pace)
	return &scene{
		TB: t, Scene: e, clock: e.Clock, core: e.World.Core, cluster: e.World.Cluster, records: e.World.Records,
		router: e.World.Router, meter: e.Meter, engine: e.Engine, machine: e.Engine.Machines()[0].ARN,
	}
}

// deployed is a scene in which version 1 serves, and whose users meet these error rates from then on.
func deployed(t testing.TB, rates map[string]float64) *scene {
	t.Helper()
	s := newScene(t)
	s.first()
	s.play(rates)
	return s
}

// fields are what a test says beyond the usual deploy.json.
type fields = enginetest.Fields

// weights are the shares on a route.
type weights = map[string]rollout.Weight

// input is a deploy.json: steps of 25 % a minute, unless said otherwise.
func input(extra fields) string { return enginetest.Input(extra) }

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
func (s *scene) play(rates map[string]float64) { s.Users(100, rates) }

// healthyUpTo are error rates of none for that many versions.
func healthyUpTo(n int) map[string]float64 {
	rates := map[string]float64{}
	for i := range n {
		rates[fmt.Sprintf("checkout-%d", i+1)] = 0
	}
	return rates
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

// TestMain keeps the steps' log out of a passing test's output, and fails where a goroutine is left.
func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}
