package memory

import (
	"fmt"
	"time"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Script says how a version's pods behave. Times count from the moment the
// version was applied. The zero Script is ready at once and for ever.
type Script struct {
	// ReadyAfter is when all pods are ready and behind the Service.
	ReadyAfter time.Duration
	// NeverReady keeps the pods running and un-ready.
	NeverReady bool
	// PullFails lets the image not be found.
	PullFails bool
	// CrashAfter, where above zero, is when the pods begin to crash-loop.
	CrashAfter time.Duration
	// CrashAtWeight, where above zero, lets the pods crash-loop from the first moment at
	// which so much traffic reaches them.
	CrashAtWeight rollout.Weight
	// Outages are the times at which no pod is ready, with nothing to say why.
	Outages []Outage
	// Scales are an autoscaler's changes of the number of replicas, by rising time.
	Scales []Scale
}

// An Outage lasts from After until After+For; for ever where For is zero.
type Outage struct{ After, For time.Duration }

// A Scale sets the number of replicas. New pods are ready after the script's
// ReadyAfter.
type Scale struct {
	After    time.Duration
	Replicas int
}

// A deployment is one version's workload in the simulation.
type deployment struct {
	version workload.Version
	applied time.Time
	script  Script
	// crashFrom is when the pods begin to crash because of traffic.
	crashFrom func() (time.Time, bool)
	// scaled is the replicas a person asked for; below zero where none did.
	scaled int
}

// replicas gives how many are wanted and how many of them have had the time to
// become ready.
func (d *deployment) replicas(now time.Time) (want, ready int) {
	want = d.version.Replicas
	grown := d.applied.Add(d.script.ReadyAfter)
	if !now.Before(grown) {
		ready = want
	}
	for _, s := range d.script.Scales {
		at := d.applied.Add(s.After)
		if now.Before(at) {
			break
		}
		want = s.Replicas
		if ready > want || !now.Before(at.Add(d.script.ReadyAfter)) {
			ready = want
		}
	}
	if d.scaled >= 0 {
		want, ready = d.scaled, d.scaled
	}
	return want, ready
}

func (d *deployment) crashing(now time.Time) bool {
	if d.script.CrashAfter > 0 && !now.Before(d.applied.Add(d.script.CrashAfter)) {
		return true
	}
	from, ok := d.crashFrom()
	return ok && !now.Before(from)
}

func (d *deployment) out(now time.Time) bool {
	for _, o := range d.script.Outages {
		from := d.applied.Add(o.After)
		if !now.Before(from) && (o.For == 0 || now.Before(from.Add(o.For))) {
			return true
		}
	}
	return false
}

// status is what Kubernetes says of the version at the moment.
func (d *deployment) status(now time.Time) workload.Status {
	want, ready := d.replicas(now)
	s := workload.Status{Desired: want, Ready: ready, Endpoints: ready}
	problem := func(fatal bool, format string, args ...any) workload.Status {
		return workload.Status{Desired: want, Problem: fmt.Sprintf(format, args...), Fatal: fatal}
	}
	switch {
	case d.script.PullFails:
		return problem(true, "ImagePullBackOff: container app: image %q cannot be pulled", d.version.Image)
	case d.crashing(now):
		return problem(true, "CrashLoopBackOff: container app: exit code 1, restarted 2 times")
	case d.script.NeverReady:
		return workload.Status{Desired: want}
	case d.out(now) && want > 0:
		return problem(false, "no pod is ready, after %d were", ready)
	}
	return s
}

// nextChange is the first moment after now at which the status may differ.
func (d *deployment) nextChange(now time.Time) (next time.Time, ok bool) {
	see := func(t time.Time) {
		if t.After(now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	after := func(t time.Duration) { see(d.applied.Add(t)) }
	after(d.script.ReadyAfter)
	after(d.script.CrashAfter)
	for _, o := range d.script.Outages {
		after(o.After)
		after(o.After + o.For)
	}
	for _, s := range d.script.Scales {
		after(s.After)
		after(s.After + d.script.ReadyAfter)
	}
	if from, crashes := d.crashFrom(); crashes {
		see(from)
	}
	return next, ok
}
