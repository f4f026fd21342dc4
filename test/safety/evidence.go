package safety

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/step"
	"github.com/stepcanary/stepcanary/statemachine"
)

// The functions whose word is checked.
var (
	shifting = statemachine.Function("ShiftWeight")
	checking = statemachine.Function("HealthCheck")
)

// abortWithin is how soon users are off the canary after an abort was heard.
const abortWithin = 5 * time.Second

// checkShift holds a function that has seen its weight in force to what the data plane did at that moment.
func (r *run) checkShift(input, out json.RawMessage) {
	var ev step.Event
	var sh step.Shift
	if json.Unmarshal(input, &ev) != nil || json.Unmarshal(out, &sh) != nil || ev.Document.Rollout == nil || !sh.Observed {
		return // nonsense that a fault made
	}
	r.since = sh.Since
	if !r.gap.Before(sh.Since) {
		return // what a route did that is deleted since nobody knows
	}
	canary, served, last := ev.Document.Rollout.Canary.Name, false, false
	r.world.Router.Splits(route, func(from time.Time, weights map[string]rollout.Weight) {
		if last && !from.Before(sh.Since) {
			served = true // it was so until now
		}
		last = !from.After(sh.Since.Add(time.Millisecond)) && weights[canary] == sh.Weight // Since is cut to the millisecond
	})
	if !served && !last {
		r.breaks(unserved, canary, sh.Weight, sh.Since.Format(time.TimeOnly))
	}
}

// checkEvidence holds a function that ends a step to what the metrics source can have told it.
func (r *run) checkEvidence(out json.RawMessage) {
	var w step.Watch
	if json.Unmarshal(out, &w) != nil || w.Action != rollout.Advance && w.Action != rollout.Promote || r.scenario.First {
		return
	}
	asked := w.Action == rollout.Advance && w.Promote || w.Action == rollout.Promote && r.web.decided[w.Of]
	if asked && w.Action == rollout.Promote {
		r.mark("a person decided what nothing told of")
	}
	if !asked && !r.mute.IsZero() && r.mute.Before(r.since) {
		r.breaks(unproven, w.Action, w.Of)
	}
}

// checkAbort holds an abort to its word.
func (r *run) checkAbort() {
	served := r.world.Router.Served(route, r.clock.Now())
	if r.cut || r.hindered || r.scenario.First || served["checkout-1"] == 100 {
		return
	}
	r.breaks(unheeded, abortWithin+r.scenario.Router.Delay, served)
}

// longests are the plans' longest times, by scenario.
var longests sync.Map

// longest is how long an execution of this run may take.
func (r *run) longest() time.Duration {
	const wayBack = 20 * time.Minute
	plan, ok := longests.Load(r.scenario.Name)
	if !ok {
		doc, err := spec.Parse("deploy.json", []byte(input(r.scenario.fields())))
		if err != nil {
			panic(err) // a defect of the search itself
		}
		plan = doc.Budget().Longest
		longests.Store(r.scenario.Name, plan)
	}
	d := plan.(time.Duration) + wayBack
	for _, kinds := range r.points {
		for _, k := range kinds {
			d += delays[k]
		}
	}
	if !r.redriven.IsZero() {
		d += r.redriven.Sub(start)
	}
	return d
}

// silence has the metrics source say nothing of use from now on, speak ends that.
func (r *run) silence(script meter.Script) {
	if r.mute.IsZero() {
		r.mute = r.clock.Now()
	}
	r.meter.Play(service.Namespace, service.Name, script)
}

func (r *run) speak() {
	r.mute = time.Time{}
	r.meter.Play(service.Namespace, service.Name, meter.Steady(100, r.rates()))
	r.version++
}

// edit has a person give all of the route to the stable version.
func (r *run) edit() {
	stable := r.world.Records.Peek(service).Stable.Name
	if stable == "" {
		stable = "checkout-1"
	}
	r.edited[stable] = true
	r.world.Router.Define(route, map[string]rollout.Weight{stable: 100})
	r.shifted()
	r.version++
}

// loseRoute deletes the route, if there is one, until it is put back.
func (r *run) loseRoute() {
	if len(r.world.Router.Served(route, r.clock.Now())) == 0 {
		return
	}
	r.gap = r.clock.Now()
	r.world.Router.Drop(route)
	r.shifted()
	r.afterwards(putBackAfter, "put back", r.edit)
}

// rewrite is what a person does to the Lease.
func (r *run) rewrite(edit func(*record.Record)) {
	before, after := r.before, r.after
	r.world.Core.Before(nil)
	r.world.Core.After(nil)
	defer func() {
		r.world.Core.Before(before)
		r.world.Core.After(after)
	}()
	rec := r.world.Records.Peek(service)
	if rec.Holder != "" {
		r.lost = rec.Holder
	}
	edit(&rec)
	if _, err := r.world.Records.Write(context.Background(), service, rec); err != nil {
		panic(err) // it was read just now
	}
}

// note marks what the world says of how it came about.
func (r *run) note(served map[string]rollout.Weight) {
	rec := r.world.Records.Peek(service)
	if strings.Contains(rec.Last.Reason, "its owner ended without giving the lock back") {
		r.mark("a lock was taken over from a dead owner")
	}
	if r.lost != "" && rec.Holder == r.lost {
		r.mark("a lost lock was taken back")
	}
	if r.scenario.First && served["checkout-1"] > 0 {
		r.mark("users were entered into a first deployment")
	}
}
