package safety

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// The invariants. I1: the shares on the route add up to 100. I2: nobody is sent to a version that
// was never ready. I3: a bad canary is never promoted. I4: at the end all users are on one
// version. I5: that version is ready, if any is. I6: the lock is free, or its holder
// says why not. I7: the record tells the truth. I8: what is not ours is untouched. I9: stable
// is there while it serves. I10: nothing of a loser is left. I11: the next rollout comes through.
// I12: everything comes to its end. I13: no gate is passed that has not said yes, unless by a person
// who may. I14: a weight counts only when it was served (promise 4). I15: no step is left, and nothing is promoted,
// while the metrics source has said nothing since the step began (promise 2). I16: an abort that was heard has all
// users off the canary within five seconds, and what the router takes. I17: an execution ends within its plan's
// longest time, twenty minutes for the way back, and what its faults add. I18: a promotion does not remove the only
// version that has a ready pod.
//
// What stands against one of them, and how far: a version that a person pointed the route at may be gone, not ready, or
// not the recorded one (I2, I5, I7, I9), that version alone. A call that was stuck leaves what that call writes: objects
// for workload.Apply (I5, I10), the lock for record.Write (I6). A stable version that lost its pods may be left behind
// for people to look at, and a bad canary, or one that a gate refused, may have its users (I3, I10, I13); left behind
// may be one that all users had left for good when the Lease was lost (I10). A Lease that was deleted after the end says
// nothing (I7). Where an operator was called because users stay on the canary, I4, I6 and I7 hold, and a stable version
// that came back later changes nothing (I5); where the way back gave up, users may be split, and the lock is held then.
// The same where an execution was stopped and nobody was told, until the next rollout goes back for it; where its lock
// was lost besides, that one may be refused, and so may the one after a first deployment that lost its lock. An
// execution that was stopped, and lost its lock to nobody, may leave its version behind (I10), and a first deployment
// unrecorded (I7). I16 is not asked where another fault struck than a person's word, a silent source or a gate.
const (
	sum       = "I1 the shares on the route are %v"
	unready   = "I2 %s got %d %% and was never ready"
	badWon    = "I3 a bad canary was promoted"
	split     = "I4 at the end users are split %v"
	dead      = "I5 at the end users are on %s, which has no ready pod, and %s has"
	locked    = "I6 at the end %s holds the lock, and no execution needs an operator"
	loose     = "I6 an operator was called, users are split %v, and nobody holds the lock"
	untrue    = "I7 the record says that %s is stable, and users are on %v"
	touched   = "I8 somebody else's route is %v"
	gone      = "I9 %s serves %d %% and is gone"
	left      = "I10 at the end there is %s besides %s"
	notAgain  = "I11 the next rollout ended %s: %s"
	unresting = "I12 an execution still runs"
	shut      = "I13 at %d %% the rollout is past gate %q, which is not open"
	unserved  = "I14 %s counts at %d %% from %s on, and the route never served that then"
	unproven  = "I15 the rollout went on (%s) from step %d, and the metrics source was silent since before it"
	unheeded  = "I16 an abort was heard %v ago, and users are split %v"
	endless   = "I17 an execution took %v, and %v is its longest"
	bereft    = "I18 %s was removed, and no other version has a ready pod"
)

func (r *run) breaks(format string, args ...any) {
	r.broken[fmt.Sprintf(format, args...)] = true
}

// names are those of all versions that a run may have.
var names = func() (out []string) {
	for i := 1; i <= versions; i++ {
		out = append(out, version(i))
	}
	return out
}()

// checkCall holds after every call that took effect.
func (r *run) checkCall() {
	now := r.clock.Now()
	served := r.world.Router.Served(route, now)
	// A first deployment that goes back leaves a route to nothing, as there was before it.
	nothing := r.scenario.First && r.world.Records.Peek(service).Stable.Name == ""
	r.lookWhoIsReady()
	total := rollout.Weight(0)
	for name, w := range served {
		total += w
		_, exists := r.world.Cluster.Status(service.Namespace, name, now)
		if w > 0 && !exists && !r.edited[name] && !nothing {
			r.breaks(gone, name, w)
		}
		if w > 0 && !r.ready[name] && !r.edited[name] {
			r.breaks(unready, name, w)
		}
	}
	if len(served) > 0 && total != 100 {
		r.breaks(sum, served)
	}
	r.checkGates(served)
	r.note(served)
}

// canServe are the versions that have a ready pod now.
func (r *run) canServe() (out []string) {
	for _, name := range names {
		if st, _ := r.world.Cluster.Status(service.Namespace, name, r.clock.Now()); st.Ready > 0 {
			out = append(out, name)
		}
	}
	return out
}

// checkRemoval holds a promotion that has removed something to what is left. What dies in that very call is nobody's to know.
func (r *run) checkRemoval() {
	rec := r.world.Records.Peek(service)
	_, exists := r.world.Cluster.Status(service.Namespace, rec.Stable.Name, r.clock.Now())
	if rec.Phase == record.Promoted && !exists && slices.Equal(r.could, []string{rec.Stable.Name}) {
		r.breaks(bereft, rec.Stable.Name)
	}
}

// lookWhoIsReady notes the versions that have a ready pod by now.
func (r *run) lookWhoIsReady() {
	for _, name := range names {
		if r.ready[name] {
			continue
		}
		if status, _ := r.world.Cluster.Status(service.Namespace, name, r.clock.Now()); status.Ready > 0 {
			r.ready[name] = true
		}
	}
}

// checkEnd holds when everything has come to rest.
func (r *run) checkEnd() {
	stuck := r.outcomes()
	served := r.world.Router.Served(route, r.clock.Now())
	rec := r.record()
	if f := r.world.Router.Served(foreign, r.clock.Now()); f["basket"] != 70 || f["basket-next"] != 30 {
		r.breaks(touched, f)
	}
	on, ok := only(served)
	if stuck {
		r.mark("an operator was called")
		if !stays(rec) { // the promise is then that nobody else rolls out over it, and that recovery works
			if !ok && len(served) > 0 && rec.Holder == "" {
				r.breaks(loose, served)
			}
			return
		}
	}
	if r.orphaned && (rec.Holder != "" || r.lost != "") {
		return // the next rollout goes back first, as the recovery shows, or finds nothing that says so
	}
	if rec.Holder == forgotten || r.lost == forgotten {
		r.mark("a dead owner was left to the next rollout")
		return
	}
	if rec.Holder != "" && !r.tookTooLate(rec) {
		r.breaks(locked, rec.Holder)
	}
	if !ok {
		if !r.scenario.First || len(served) > 1 {
			r.breaks(split, served)
		}
		return
	}
	r.checkVersion(on, rec)
}

// stays tells whether the rollout ended with users on the canary because stable was dead.
func stays(rec record.Record) bool {
	return rec.Last.Outcome == step.OutcomeNeedsOperator && strings.Contains(rec.Last.Reason, "all requests were given to")
}

// tookTooLate tells whether the lock was taken by a write that was stuck until its execution had
// ended. Nobody is left to give it back, and nothing else was done: the next rollout takes it
// over, as the recovery shows.
func (r *run) tookTooLate(rec record.Record) bool {
	d, err := r.engine.Describe(rec.Holder)
	_, exists := r.world.Cluster.Status(service.Namespace, rec.Canary.Name, r.clock.Now())
	late := r.lateOps["record.Write"] && err == nil && d.Status != asl.Running && rec.Phase == record.Rolling && !exists
	if late {
		r.mark("an ended execution took the lock by a write that came late")
	}
	return late
}

// checkVersion holds for the one version that all users are on.
func (r *run) checkVersion(on string, rec record.Record) {
	now := r.clock.Now()
	status, exists := r.world.Cluster.Status(service.Namespace, on, now)
	versions, _ := r.world.Cluster.Versions(context.Background(), service)
	for _, v := range versions {
		other, _ := r.world.Cluster.Status(service.Namespace, v.Name, now)
		// Nobody is given to a version that a late write has brought back when all was over.
		if (!exists || status.Ready == 0) && !stays(rec) && v.Name != on && other.Ready > 0 && !r.edited[on] && !r.lateOps["workload.Apply"] {
			r.breaks(dead, on, v.Name)
		}
		// What a request on its way leaves behind when everybody has gone, the next rollout removes.
		// Nor is a dead stable version removed, or one that users left while the Lease was lost: a person has to look at it.
		looked := r.noPods["checkout-1"] || v.Name == "checkout-1" && r.lost != "" && stays(rec)
		if v.Name != on && exists && !r.lateOps["workload.Apply"] && !looked && !r.unrecorded(v) {
			r.breaks(left, v.Name, on)
		}
	}
	// The same, where there was nothing before: the next rollout takes what it finds for stable.
	revived := r.scenario.First && rec.Stable.Name == "" && r.lateOps["workload.Apply"]
	deleted := rec.Epoch == 0 || rec.Stable.Name == "" && r.lost != ""
	if rec.Stable.Name != on && exists && !r.edited[on] && !revived && !deleted {
		r.breaks(untrue, rec.Stable.Name, on)
	}
	if on == searchedVersion(r.scenario) && r.scenario.Bad && !r.noPods["checkout-1"] {
		r.breaks(badWon)
	}
}

// uncaught tells whether an execution failed past every Catch.
func uncaught(d local.Description) bool {
	return d.Status == asl.Failed && strings.HasPrefix(text(d.Error), "States.")
}

// unrecorded tells whether a version is of an execution that did not end by itself and lost its lock to nobody.
// Where its users are back and the record is gone, nothing says that its version was to go.
func (r *run) unrecorded(v workload.Version) bool {
	d, err := r.engine.Describe(v.Rollout)
	return v.Rollout == r.lost && err == nil && (d.Status != asl.Failed || uncaught(d))
}

// only gives the one version that all users are on.
func only(served map[string]rollout.Weight) (string, bool) {
	for name, w := range served {
		if w == 100 {
			return name, true
		}
	}
	return "", false
}

// outcomes marks how the executions ended, and tells whether one needs an operator.
func (r *run) outcomes() (stuck bool) {
	for _, arn := range r.arns {
		d, err := r.engine.Describe(arn)
		if err != nil {
			continue
		}
		switch {
		case d.Status == asl.Running:
			r.breaks(unresting)
			continue
		case d.Error != nil && *d.Error == "Canary."+step.OutcomeNeedsOperator:
			stuck = true
		case d.Error != nil:
			r.mark("an execution ended " + *d.Error)
		}
		if took, longest := d.Stopped.Sub(d.Started), r.longest(); took > longest {
			r.breaks(endless, took, longest)
		}
		if d.Status != asl.Failed {
			r.mark("an execution ended " + string(d.Status))
		}
		if uncaught(d) {
			r.mark("an execution ended without a Catch")
		}
	}
	// The rule on ended executions has no state to end in: its function's errors call a person.
	if r.wayBack != nil {
		r.mark("the way back of an ended execution gave up")
	}
	return stuck || r.wayBack != nil
}

func (r *run) record() record.Record {
	rec, err := r.world.Records.Read(context.Background(), service)
	if err != nil {
		r.breaks("the record cannot be read: %v", err)
	}
	if strings.Contains(rec.Last.Reason, "all requests were given to") {
		r.mark("stable was dead, and users were given to the canary")
	}
	if strings.Contains(rec.Last.Reason, "finished by the way back") {
		r.mark("the way back finished a promotion")
	}
	if rec.Last.Outcome == step.OutcomeRolledBack {
		for said, what := range map[string]string{" says no": "a gate said no", "inconclusive: gate": "a gate was silent"} {
			if strings.Contains(rec.Last.Reason, said) {
				r.mark(what + ", and the rollout went back")
			}
		}
	}
	if rec.Last.Outcome != "" {
		r.mark("the record says " + rec.Last.Outcome)
	}
	return rec
}

// recover ends all faults and rolls a good version out: it has to come through, whatever was
// left behind.
func (r *run) recover() {
	r.world.Core.Before(nil)
	r.world.Core.After(func(op string) error {
		if strings.HasPrefix(op, "traffic.S") || op == "workload.Apply" {
			r.shifted()
		}
		r.note(r.world.Router.Served(route, r.clock.Now()))
		return nil
	})
	rates := r.rates()
	for name := range rates {
		r.noPods[name], rates[name] = false, 0
		r.world.Cluster.Behave(service.Namespace, name, cluster.Script{})
	}
	r.world.Router.Script(router.Script{})
	r.mute = time.Time{}
	r.meter.Play(service.Namespace, service.Name, meter.Steady(100, rates))
	r.correct()
	before := len(r.arns)
	r.begin("checkout-z", map[string]any{"percentage_step": 100, "wait_time": 5})
	r.rest()
	if len(r.arns) == before {
		r.breaks(notAgain, "at once", "it did not start")
		return
	}
	d, err := r.engine.Describe(r.arns[before])
	if err != nil {
		r.breaks(notAgain, "unknown", err.Error())
		return
	}
	if d.Status != asl.Succeeded && (r.orphaned || r.scenario.First || r.lost == forgotten) && r.lost != "" && text(d.Error) == "Canary."+string(step.OutcomeRefused) {
		r.mark("what nothing speaks of was left to a person")
		return
	}
	if d.Status != asl.Succeeded {
		r.breaks(notAgain, string(d.Status), text(d.Error)+" "+text(d.Cause))
		return
	}
	served := r.world.Router.Served(route, r.clock.Now())
	rec := r.record()
	if versions, _ := r.world.Cluster.Versions(context.Background(), service); len(versions) != 1 {
		r.breaks(left, fmt.Sprint(versions), rec.Stable.Name)
	}
	if on, ok := only(served); !ok || rec.Holder != "" || rec.Stable.Name != on {
		r.breaks(notAgain, "well", fmt.Sprintf("and left %v, holder %q, stable %q", served, rec.Holder, rec.Stable.Name))
	}
}

// correct is what a person does who pointed the route at a version that was gone by then: nothing is rolled out over that.
func (r *run) correct() {
	on, ok := only(r.world.Router.Served(route, r.clock.Now()))
	_, exists := r.world.Cluster.Status(service.Namespace, on, r.clock.Now())
	stable := r.world.Records.Peek(service).Stable.Name
	if _, there := r.world.Cluster.Status(service.Namespace, stable, r.clock.Now()); !ok || exists || !r.edited[on] || !there {
		return
	}
	r.mark("a person pointed the route at a version that was gone")
	r.world.Router.Define(route, map[string]rollout.Weight{stable: 100})
	r.shifted()
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
