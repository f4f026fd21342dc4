package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// settleFor is how long the way back waits for its weight to come into force
// before it tries again.
const settleFor = time.Minute

// defaultDrain is used where nothing but the record is left of a rollout.
const defaultDrain = 10 * time.Second

// lastOf is the sequence number of an end: after it nothing of the same rollout may
// write. That of an end on the canary is one above the way back's, which must not undo it.
func lastOf(rec record.Record) int64 {
	if rec.Phase == record.Promoted || rec.Phase == record.Staying {
		return rollout.Last + 1
	}
	return rollout.Last
}

// Rollback brings users to one ready version, from wherever a rollout is. It is a Task of the
// state machine, the target of the rule on executions that end without it, and the
// recovery that a later rollout runs for a dead owner.
type Rollback struct {
	Open       Opener
	Executions Executions
	Clock      clock.Clock
	Hooks      HookOpener
}

// Run is the Task.
func (s Rollback) Run(ctx context.Context, ev Event) (End, error) {
	ro, access, rec, err := s.find(ctx, ev)
	if kind := fault.Of(err); err != nil && ev.State == Refused && (kind == fault.Invalid || kind == fault.Refused) {
		return s.unchanged(ev), nil // what Prepare was refused for, and no next try finds otherwise
	}
	if err != nil {
		return End{}, err
	}
	if rec.Holder != ev.Execution {
		if rec.Last.Execution == ev.Execution {
			return End{Outcome: rec.Last.Outcome, Reason: rec.Last.Reason, At: rec.Last.At, Known: true}, nil
		}
		var mine bool
		if rec, mine, err = s.regain(ctx, access, ev, ro, rec); err != nil {
			return End{}, err
		}
		if !mine {
			return s.unchanged(ev), nil
		}
	}
	end, err := s.settleWithin(ctx, access, ro.Service, rec, cause(ev.Document), time.Duration(ro.Drain))
	if err == nil {
		tellEnd(ctx, s.Hooks, s.Clock, ro, ev.Document.Watch, rec, end)
	} else if f := ev.Document.Error; f != nil && f.Error == needsOperator {
		s.giveUp(ctx, access, ro, rec, Words(f.Cause))
	}
	return end, err
}

// find opens the rollout's cluster, and reads the service's record.
func (s Rollback) find(ctx context.Context, ev Event) (ro Rollout, access Access, rec record.Record, err error) {
	if ro, err = s.whose(ctx, ev); err != nil {
		return ro, access, rec, err
	}
	if access, err = s.Open(ctx, ro.Cluster); err != nil {
		return ro, access, rec, unbegun(ev, fmt.Errorf("open cluster %q: %w", ro.Cluster, err))
	}
	if rec, err = access.Records.Read(ctx, ro.Service); err != nil {
		return ro, access, rec, unbegun(ev, fmt.Errorf("read record of %s: %w", ro.Service.Name, err))
	}
	return ro, access, rec, nil
}

// unchanged is the end of a rollout that has nothing to go back from. That it was refused Prepare has said.
func (s Rollback) unchanged(ev Event) End {
	end := End{Outcome: OutcomeRolledBack, Reason: "nothing was changed: " + cause(ev.Document), At: s.Clock.Now()}
	if ev.State == Refused {
		end.Outcome, end.Known = OutcomeRefused, true
	}
	return end
}

// unbegun says of a cluster that cannot be read that this rollout moved nobody in it: it came here
// from Prepare. Only the lock may have been taken, which nobody can tell now.
func unbegun(ev Event, err error) error {
	if ev.State != "Rollback" || ev.Document.Rollout != nil {
		return err
	}
	return fmt.Errorf("no version was deployed and no traffic was shifted; whether the lock was taken cannot be told: %w", err)
}

// giveUp tells that a person has to look: the state machine has given up, and so has this attempt
// of the rule. The record keeps that it was told, where it can be written; the lock stays.
func (s Rollback) giveUp(ctx context.Context, access Access, ro Rollout, rec record.Record, reason string) {
	end := End{Outcome: OutcomeNeedsOperator, Reason: reason, At: s.Clock.Now().UTC().Truncate(time.Microsecond)}
	if now, err := access.Records.Read(ctx, ro.Service); err == nil {
		if now.Last.Execution == rec.Holder || now.Holder != rec.Holder {
			return
		}
		now.Last = record.End{Execution: rec.Holder, Outcome: end.Outcome, Reason: end.Reason, At: end.At}
		_, _ = access.Records.Write(ctx, ro.Service, now)
	}
	tellEnd(ctx, s.Hooks, s.Clock, ro, nil, rec, end)
}

// needsOperator is the error of an execution that ended in NeedsOperator.
const needsOperator = "Canary." + OutcomeNeedsOperator

// whose finds the rollout: in the document, or, where the execution died before it had one, as
// much of it as its input says.
func (s Rollback) whose(ctx context.Context, ev Event) (Rollout, error) {
	if ro := ev.Document.Rollout; ro != nil {
		return *ro, nil
	}
	doc, err := s.document(ctx, ev)
	if err != nil {
		return Rollout{}, err
	}
	return Rollout{
		Execution: ev.Execution, Cluster: doc.Cluster, Service: workload.Service{Namespace: doc.Namespace, Name: doc.Service},
		Drain: rollout.Duration(defaultDrain), Receivers: receiversOf(doc),
	}, nil
}

// document is the execution's deploy.json.
func (s Rollback) document(ctx context.Context, ev Event) (spec.Spec, error) {
	input := ev.Input
	if len(input) == 0 {
		var err error
		if input, err = s.Executions.Input(ctx, ev.Execution); err != nil {
			return spec.Spec{}, fmt.Errorf("read input of %s: %w", ev.Execution, err)
		}
	}
	doc, err := spec.Reread("deploy.json", input)
	if err != nil {
		return spec.Spec{}, fmt.Errorf("read deploy.json again: %w: %w", fault.Invalid, err)
	}
	return doc, nil
}

// cause is why the rollout goes back, in one sentence.
func cause(doc Document) string {
	switch {
	case doc.Error != nil && doc.Error.Error == string(fault.Aborted):
		if doc.Error.Cause == "" {
			return "aborted"
		}
		return "aborted: " + doc.Error.Cause
	case doc.Error != nil:
		return doc.Error.Error + ": " + Words(doc.Error.Cause)
	case doc.Watch != nil && doc.Watch.Action == rollout.RollBack:
		return doc.Watch.Reason
	case doc.Ready != nil && doc.Ready.Action == "fail":
		return doc.Ready.Reason
	}
	return "the execution ended before its end"
}

// Words takes the sentence out of a function's error, which arrives as JSON: by itself, or behind
// its name, as the end of a failed way back has it. The name says the kind, so the sentence does not.
func Words(cause string) string {
	name, report := "", cause
	if i := strings.Index(cause, ": {"); i >= 0 && !strings.HasPrefix(cause, "{") {
		name, report = cause[:i+2], cause[i+2:]
	}
	var e struct {
		Message string `json:"errorMessage"`
	}
	if json.Unmarshal([]byte(report), &e) == nil && e.Message != "" {
		return name + Plain(e.Message)
	}
	return cause
}

// Plain is an error's text without the names of the kinds in it, which are the state machine's to
// read. A kind that is all that is said of a cause stays.
func Plain(text string) string { return kindName.ReplaceAllString(text, "") }

var kindName = regexp.MustCompile(`\bCanary\.[A-Z][A-Za-z]*: `)

// settle ends the rollout that the record speaks of.
func (s Rollback) settle(ctx context.Context, access Access, svc workload.Service, rec record.Record, reason string) (End, error) {
	return s.settleWithin(ctx, access, svc, rec, reason, defaultDrain)
}

func (s Rollback) settleWithin(ctx context.Context, access Access, svc workload.Service, rec record.Record, reason string, drain time.Duration) (End, error) {
	f := finish{Clock: s.Clock, access: access, service: svc, drain: drain}
	var inForce time.Time
	var away bool
	if rec.Phase == record.Promoted {
		if err := f.spare(ctx, rec.Stable, rec.Canary); err != nil { // a person may have given users to the old one meanwhile
			return End{}, err
		}
		return f.promote(ctx, rec, rec.Canary.Name+" is the stable version; finished by the way back: "+reason)
	}
	if rec.Phase == record.Staying {
		return f.stay(ctx, rec, "all requests were given to "+rec.Canary.Name+" before, and "+rec.Stable.Name+" was left in place; the rollout went back because: "+reason)
	}
	if rec.Phase != record.RolledBack {
		fit, why, err := f.fit(ctx, rec)
		if err != nil {
			return End{}, err
		}
		if !fit {
			// Written first, so that a twin of this run that finds stable alive again is too late, and undoes nothing.
			if rec, err = f.write(ctx, rec, func(r *record.Record) { r.Phase = record.Staying }); err != nil {
				return End{}, fmt.Errorf("record that %s stays: %w", rec.Canary.Name, err)
			}
			return f.stay(ctx, rec, why+"; the rollout went back because: "+reason)
		}
		if why != "" {
			reason += "; " + why
		}
		if rec, away, err = f.retreat(ctx, rec); err != nil {
			return End{}, err
		}
		if rec.Stable.Name != "" && !away {
			inForce = s.Clock.Now().UTC().Truncate(time.Microsecond)
		}
	} else {
		away = f.away(ctx, rec)
	}
	if away {
		reason += "; route " + rec.Route + " gives nothing to " + rec.Stable.Name + ", as it was found: all users are where its other back ends lead"
	}
	end, err := f.discard(ctx, rec, reason)
	end.Back, end.Away = inForce, away
	return end, err
}

// retreat gives everything to stable and waits until that is in force. Away tells that there was nothing to
// give: somebody has sent all users elsewhere.
func (f finish) retreat(ctx context.Context, rec record.Record) (now record.Record, away bool, err error) {
	if rec.Stable.Name != "" {
		if away, err = f.toStable(ctx, rec); err != nil {
			return rec, false, err
		}
	}
	if rec, err = f.write(ctx, rec, func(r *record.Record) { r.Phase = record.RolledBack }); err != nil {
		return rec, away, fmt.Errorf("record the way back of %s: %w", f.service.Name, err)
	}
	return rec, away, nil
}

// fit tells whether stable can take the traffic: going back to a version without a ready pod would
// help nobody while the canary has some. Where neither has, stable is where people look.
func (f finish) fit(ctx context.Context, rec record.Record) (fit bool, why string, err error) {
	if rec.Stable.Name == "" {
		return true, "", nil
	}
	stable, err := f.status(ctx, rec.Stable, standFor)
	if errors.Is(err, fault.Invalid) { // no right to see pods, say: it served when the rollout began
		return true, fmt.Sprintf("whether %s has ready pods could not be seen: %v", rec.Stable.Name, err), nil
	}
	if err != nil || stable.Ready > 0 {
		return true, "", err
	}
	canary, err := f.status(ctx, rec.Canary, 0)
	if err != nil || canary.Ready == 0 {
		return true, "", err
	}
	return false, fmt.Sprintf("%s has no ready pod (%s), so all requests were given to %s, which has %d",
		rec.Stable.Name, stable.Problem, rec.Canary.Name, canary.Ready), nil
}

// standFor is how long stable may be without a ready pod before it counts as dead.
const standFor = 20 * time.Second

// status is what Kubernetes says of a version, at the latest after d: at once when it has a
// ready pod.
func (f finish) status(ctx context.Context, v workload.Version, d time.Duration) (workload.Status, error) {
	follower, err := f.access.Cluster.Follow(ctx, f.service, v)
	if errors.Is(err, fault.NotFound) {
		return workload.Status{}, nil
	}
	if err != nil {
		return workload.Status{}, fmt.Errorf("follow %s: %w", v.Name, err)
	}
	defer follower.Close()
	for end, left := f.Now().Add(d), time.Duration(0); ; left = end.Sub(f.Now()) {
		st, err := follower.Next(ctx, max(0, left))
		if err != nil && !errors.Is(err, fault.NotFound) {
			return st, fmt.Errorf("follow %s: %w", v.Name, err)
		}
		if st.Ready > 0 || !f.Now().Before(end) {
			return st, nil
		}
	}
}

// stay ends the rollout on the canary, because stable is dead. It is not a promotion: a person has
// to look, and the old version's objects are left for that.
func (f finish) stay(ctx context.Context, rec record.Record, reason string) (End, error) {
	router, err := f.access.Router(rec.Router)
	if err != nil {
		return End{}, err
	}
	if err := f.settleOn(ctx, router, rec); err != nil {
		return End{}, err
	}
	return f.release(ctx, rec, rec.Canary, OutcomeNeedsOperator, reason)
}

// toStable leaves the canary with nobody. Away tells that stable has nobody either.
func (f finish) toStable(ctx context.Context, rec record.Record) (away bool, err error) {
	router, err := f.access.Router(rec.Router)
	if err != nil {
		return false, err
	}
	split := traffic.Split{Stable: rec.Stable.Name, Canary: rec.Canary.Name, Weight: 0}
	// Weights and match rules go in one write.
	if err := router.Settle(ctx, f.route(rec), rec.Stable.Name, rec.Canary.Name, rec.Fence(rollout.Last)); err != nil {
		return false, fmt.Errorf("shift %s back to %s: %w", rec.Route, rec.Stable.Name, err)
	}
	state, err := router.Await(ctx, f.route(rec), split, settleFor)
	if err != nil {
		return false, fmt.Errorf("await the way back on %s: %w", rec.Route, err)
	}
	if !state.InForce {
		return false, fmt.Errorf("await the way back on %s: %w: %s", rec.Route, fault.NotObserved, state.Why)
	}
	return state.Weights[rec.Stable.Name] == 0, nil
}

// away tells, for a repeated run, whether users were left where somebody had sent them. It is for people's eyes, so a
// route that cannot be read stands in no way.
func (f finish) away(ctx context.Context, rec record.Record) bool {
	router, err := f.access.Router(rec.Router)
	if err != nil || rec.Stable.Name == "" {
		return false
	}
	state, err := router.Read(ctx, f.route(rec))
	return err == nil && state.Weights[rec.Stable.Name] == 0
}

// discard lets the canary answer its last requests, removes it and gives the lock back.
func (f finish) discard(ctx context.Context, rec record.Record, reason string) (End, error) {
	if rec.Stable.Name != "" {
		if err := f.Sleep(ctx, f.drain); err != nil {
			return End{}, fmt.Errorf("drain %s: %w: %w", rec.Canary.Name, fault.Transient, err)
		}
	}
	if rec.Canary.Name != "" {
		if err := f.access.Cluster.Remove(ctx, f.service, rec.Canary); err != nil {
			return End{}, fmt.Errorf("remove %s: %w", rec.Canary.Name, err)
		}
	}
	return f.release(ctx, rec, rec.Stable, OutcomeRolledBack, reason)
}
