package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/engine"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/local"
	"github.com/stepcanary/stepcanary/internal/memory/world"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/task"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Result is what one run came to.
type Result struct {
	// Broken are the promises that broke, each in a sentence.
	Broken []string
	// Ops are the points that the run came through, Place how many of each there were.
	Ops   []string
	Place Place
	// Path is the states that were entered, of all executions.
	Path string
	// Marks are the situations that were reached.
	Marks map[string]bool
	// Cut tells that the run was ended in a state from which another had gone on well.
	Cut bool

	boundaries []boundary
	// struck is where the last fault struck: the place before it.
	struck Place
	hit    int // how many faults struck
}

// A run is one scenario with its faults. Virtual time lets one goroutine work at a time, so the
// fields need no lock; what hands the work on is the clock's.
type run struct {
	scenario Scenario
	points   map[int][]Kind
	tasks    map[int][]Kind // by invocation
	commits  map[int][]Kind
	faults   int
	known    func(stamp) bool // whether a run may end in this state; nil for never

	clock    *clock.Virtual
	web      *web
	stage    *enginetest.Stage
	world    *world.World
	meter    *meter.Meter
	machine  string
	disk     *disk
	session  *session
	engine   *local.Engine
	birth    int // how many engines there were
	dead     int // functions of engines up to this one have died with it
	current  *function
	underWay []*function

	counting bool
	place    Place
	ops      []string
	result   Result
	arns     []string
	late     []func()
	later    []plan
	hooks    map[string]string
	broken   map[string]bool
	marks    map[string]bool
	ready    map[string]bool
	noPods   map[string]bool // versions whose pods were taken away
	could    []string        // versions with a ready pod when somebody set about a removal
	edited   map[string]bool // versions that a person gave the route to
	lateOps  map[string]bool // the calls that were stuck
	mute     time.Time       // since when the metrics source says nothing; zero while it speaks
	since    time.Time       // when the last weight was seen in force
	gap      time.Time       // when the route was deleted
	lost     string          // who lost the lock to nobody
	orphaned bool            // the rule on ended executions is told nothing
	hindered bool            // something struck that may stand against a person's word
	cut      bool
	wayBack  error // of the last run of Rollback
	untold   int   // how often the rule's function failed
	redriven time.Time
	tokens   int

	version, worldAt int // counts what may have changed the world
	worldIs          stamp
	split            []string
	buffer           []byte
}

// lateWrite is the mark of a call that was stuck.
const lateWrite = "a write came half an hour late"

// Run runs a scenario with faults and checks it.
func Run(s Scenario, faults []Fault) Result { return runUntil(s, faults, nil) }

// runUntil is Run that ends, once all faults have struck, in a state that is known.
func runUntil(s Scenario, faults []Fault, known func(stamp) bool) Result {
	r := newRun(s, faults)
	r.known = known
	r.build()
	defer func() { _ = r.engine.Close() }()
	r.begin(searched, s.fields())
	r.rest()
	late := r.late
	r.late = nil
	for _, again := range late {
		r.clock.Go(again)
		r.rest()
	}
	r.counting, r.current = false, nil
	r.result.Ops, r.result.Place, r.result.Marks, r.result.Cut = r.ops, r.place, r.marks, r.cut
	if !r.cut {
		r.checkEnd()
		r.recover()
		r.result.Path = r.path()
	}
	r.result.Broken = keys(r.broken)
	return r.result
}

func newRun(s Scenario, faults []Fault) *run {
	r := &run{
		scenario: s, points: map[int][]Kind{}, tasks: map[int][]Kind{}, commits: map[int][]Kind{}, faults: len(faults),
		clock: clock.NewVirtual(start), broken: map[string]bool{}, marks: map[string]bool{},
		ready: map[string]bool{}, noPods: map[string]bool{}, edited: map[string]bool{}, lateOps: map[string]bool{}, hooks: map[string]string{}, worldAt: -1,
	}
	r.web = newWeb(r)
	for _, f := range faults {
		at := r.points
		switch {
		case slices.Contains(invokeKinds, f.Kind):
			at = r.tasks
		case slices.Contains(commitKinds, f.Kind):
			at = r.commits
		}
		at[f.At] = append(at[f.At], f.Kind)
	}
	return r
}

// ticking is the clock of all that functions do: it knows who goes on after a wait.
type ticking struct {
	*clock.Virtual
	r *run
}

func (t ticking) Sleep(ctx context.Context, d time.Duration) error {
	f, _ := ctx.Value(functionKey{}).(*function)
	t.r.waits(f)
	err := t.Virtual.Sleep(ctx, d)
	if ctx.Err() != nil {
		t.turn()
	}
	if f != nil && f.killed {
		panic(killed{})
	}
	t.r.current = f
	t.r.know(f, "woke")
	return err
}

// turn waits until nobody else is at work: who ends a wait goes on first.
func (t ticking) turn() {
	mine := make(chan struct{})
	t.AfterFunc(0, func() {
		t.Begin()
		close(mine)
	})
	t.End()
	<-mine
}

// Go runs f beside the function that asks for it, when that one waits. They die together.
func (t ticking) Go(f func()) {
	of := t.r.current
	t.AfterFunc(0, func() {
		defer func() {
			if x := recover(); x != nil {
				t.r.recovered(of, x)
			}
		}()
		t.r.current = of
		f()
	})
}

// build makes the world: version 1 serves, a service of somebody else's stands beside it.
func (r *run) build() {
	pace := enginetest.Pace
	pace.Every = max(r.scenario.Pace, pace.Every)
	r.stage = enginetest.NewStage(ticking{r.clock, r}, meter.Options{
		Pace:   pace,
		Before: func(context.Context, meter.Call) error { return r.before("metric.Intervals") },
		After:  func(context.Context, meter.Call) error { return r.after("metric.Intervals") },
	})
	r.world, r.meter, r.stage.Web = r.stage.World, r.stage.Meter, r.web
	w := r.world
	r.meter.Follow(nil) // shifted tells it, and keeps what it told
	r.disk = newDisk(len(r.commits) > 0)
	r.start()
	r.stage.Users(100, r.rates())
	w.Router.Define(foreign, map[string]rollout.Weight{"basket": 70, "basket-next": 30})
	w.Cluster.Place(foreign.Namespace, workload.Version{Name: "basket", Deployment: "basket", Replicas: 1})
	if !r.scenario.First {
		r.seed()
		if r.scenario.Inherits {
			r.inherit()
		}
		r.shifted()
		r.ready["checkout-1"] = true
	}
	w.Cluster.Behave(service.Namespace, searchedVersion(r.scenario), r.scenario.Canary)
	w.Router.Script(r.scenario.Router)
	w.Core.Before(r.before)
	w.Core.After(r.after)
	r.counting = true
}

// rates are the scenario's, and good ones for every other version.
func (r *run) rates() map[string]float64 {
	rates := map[string]float64{}
	for i := 1; i <= versions; i++ {
		rates[version(i)] = 0
	}
	maps.Copy(rates, r.scenario.Rates)
	return rates
}

// searched is the name of the execution that meets the faults.
const searched = "checkout-x"

// versions is more than a run ever has.
const versions = 14

// shifted tells the meter how the users' requests are split now.
func (r *run) shifted() {
	served := r.world.Router.Served(route, r.clock.Now())
	r.meter.Shift(route.Namespace, route.Route, served)
	r.split = append(r.split, r.clock.Now().Format("15:04:05.999999999 ")+weightsText(served))
}

// moved tells the meter of a write: now, and when the router has taken it up.
func (r *run) moved() {
	r.version++
	r.shifted()
	if d := r.scenario.Router.Delay; d > 0 {
		r.afterwards(d, "take up", func() {
			r.version++
			r.shifted()
			r.checkCall()
		})
	}
}

// definitions are read once for all runs.
var definitions sync.Map

func parse(text string) (*asl.Definition, error) {
	if d, ok := definitions.Load(text); ok {
		return d.(*asl.Definition), nil
	}
	d, err := asl.Parse([]byte(text), asl.Options{})
	if err == nil {
		definitions.Store(text, d)
	}
	return d, err
}

// start starts an engine on the disk.
func (r *run) start() {
	r.birth++
	s := &session{disk: r.disk, committing: r.committing, die: func() { r.crash(true) }}
	r.session = s
	o := local.Options{
		Clock: r.clock, Store: s, Parse: parse,
		// Of the time between tries, always the same part: a run follows from its faults.
		Random:   func() float64 { return 0.618 },
		NewUUID:  func() string { return "00000000-0000-4000-8000-000000000000" },
		NewToken: r.token,
	}
	e, err := engine.LocalWith(o, r.ports(), r.disturb(r.birth))
	if err != nil {
		panic(err) // a defect of the search itself
	}
	r.engine, r.machine = e, e.Machines()[0].ARN
}

// ports are what functions reach the run's world through.
func (r *run) ports() engine.Ports {
	ports := r.stage.Ports()
	ports.Executions, ports.Answerer = (*stepFunctions)(r), (*stepFunctions)(r)
	return ports
}

// crash ends the engine, and starts another on what is stored. Where the old one is in the middle
// of a step, that is once the step is over, which nothing of is stored any more.
func (r *run) crash(inStep bool) {
	r.session.dead = true
	r.disk = r.disk.crashed()
	r.hooks = map[string]string{}
	old := r.engine
	next := func() {
		old.Abandon()
		r.start()
	}
	if inStep {
		r.dead = r.birth
		r.clock.AfterFunc(0, next)
		return
	}
	next()
}

// stepFunctions is the Step Functions API as functions reach it: that of the engine that is there now.
type stepFunctions run

func (s *stepFunctions) Answer(_ context.Context, token string, output json.RawMessage) error {
	who := s.current
	if err := (*run)(s).before("sfn.Answer"); err != nil {
		return err
	}
	err := s.engine.SendTaskSuccess(token, string(output))
	if err == nil && who != nil {
		who.answered = true
		if who.name == checking {
			(*run)(s).checkEvidence(output)
		}
	}
	var f *local.Fault
	if lost := (*run)(s).after("sfn.Answer"); lost != nil {
		return lost
	}
	if errors.As(err, &f) && f.Kind == local.TaskTimedOut {
		return task.ErrAnswered
	}
	return err
}

func (s *stepFunctions) Ended(_ context.Context, arn string) (bool, error) {
	if err := (*run)(s).before("sfn.Ended"); err != nil {
		return false, err
	}
	d, err := s.engine.Describe(arn)
	if lost := (*run)(s).after("sfn.Ended"); lost != nil {
		return false, lost
	}
	var f *local.Fault
	if errors.As(err, &f) {
		return true, nil
	}
	s.knows(fmt.Sprintf("%s is %s", arn, d.Status))
	return err == nil && d.Status != asl.Running, err
}

func (s *stepFunctions) knows(what string) { (*run)(s).know(s.current, what) }

func (s *stepFunctions) Input(_ context.Context, arn string) (json.RawMessage, error) {
	d, err := s.engine.Describe(arn)
	return json.RawMessage(d.Input), err
}

// rest lets everything come to its end.
func (r *run) rest() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r.clock.Wait(ctx) != nil {
		r.breaks(unresting)
	}
}

// begin starts a rollout.
func (r *run) begin(name string, extra map[string]any) {
	r.clock.Begin() // nothing is called before the execution is noted here
	defer r.clock.End()
	arn, _, err := r.engine.Start(local.StartInput{MachineARN: r.machine, Name: name, Input: input(extra)})
	if err == nil {
		r.arns = append(r.arns, arn)
	}
}

// path is the states that were entered.
func (r *run) path() string {
	var b strings.Builder
	for _, arn := range r.arns {
		for _, e := range r.disk.kept[arn].history {
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
