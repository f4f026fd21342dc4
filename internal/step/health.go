package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/workload"
)

const (
	// watchFor is the longest remaining time that is watched from beginning to end; what is
	// longer waits on the token and is looked at now and then. See docs/adr.
	watchFor = 30 * time.Minute
	// looks is into how many parts such a long time is cut: it bounds the history.
	looks = 400
	// shortestWait between two looks of a long time.
	shortestWait = time.Minute
	// mostIntervals of one answer, so that it stays far below the state machine's 256 KiB.
	mostIntervals = 600
)

// HealthCheck watches one step until there is something to decide.
type HealthCheck struct {
	Open  Opener
	Meter MeterOpener
	Clock clock.Clock
}

// Run watches for at most one slice. It writes nothing: a second watcher does no harm.
func (s HealthCheck) Run(ctx context.Context, ev Event) (Watch, error) {
	access, err := reach(ctx, s.Open, ev.Document.Rollout)
	if err != nil {
		return Watch{}, err
	}
	if ev.Document.Shift == nil {
		return Watch{}, fmt.Errorf("read document: %w: shift is missing", fault.Invalid)
	}
	w := watcher{HealthCheck: s, ro: *ev.Document.Rollout, shift: *ev.Document.Shift, access: access}
	w.out = resume(w.ro, w.shift, ev.Document.Watch)
	if err := w.hear(ev.Document.Asked); err != nil {
		return Watch{}, err
	}
	if w.meter, err = s.meter(ctx, w.ro); err != nil {
		return Watch{}, err
	}
	return w.watch(ctx)
}

// meter opens the metrics source; none where Kubernetes alone judges.
func (s HealthCheck) meter(ctx context.Context, ro Rollout) (metric.Meter, error) {
	if ro.KubernetesOnly {
		return nil, nil
	}
	m, err := s.Meter(ctx, ro.Metrics)
	if err != nil {
		return nil, fmt.Errorf("open metrics source: %w", err)
	}
	return m, nil
}

// resume is the state of the last look, or that of a step that was just begun.
func resume(ro Rollout, shift Shift, last *Watch) Watch {
	if last == nil {
		out := Watch{Of: shift.Step}
		if shift.Weight == 100 {
			out.State = out.State.Bake()
		}
		return out
	}
	out := Watch{Of: shift.Step, State: last.State, Promote: last.Promote, Heard: last.Heard}
	switch {
	case last.Of == shift.Step:
		out.Paused, out.Approved, out.Looks = last.Paused, last.Approved, last.Looks
		out.Judgement, out.Status = last.Judgement, last.Status
	case shift.Weight == 100:
		out.State = out.State.Bake()
	default:
		out.State = out.State.NextStep()
	}
	return out
}

// A watcher is one run of HealthCheck.
type watcher struct {
	HealthCheck
	ro       Rollout
	shift    Shift
	access   Access
	meter    metric.Meter
	follower workload.Follower
	out      Watch
	served   bool // the canary had a ready pod at this weight
}

// hear takes up a person's request, once.
func (w *watcher) hear(asked *Asked) error {
	if asked == nil {
		return nil
	}
	var r Request
	if err := json.Unmarshal([]byte(asked.Cause), &r); err != nil {
		return nil // not a request of ours: there is nothing to obey
	}
	id := r.ID + asked.ID
	if id == w.out.Heard {
		return nil
	}
	w.out.Heard = id
	now := w.Clock.Now()
	switch r.Wish {
	case rollout.WishPause:
		w.out.Paused, w.out.Looks = now, 0
	case rollout.WishResume:
		w.out.Paused, w.out.Approved = time.Time{}, true
	case rollout.WishPromote:
		w.out.Paused, w.out.Approved, w.out.Promote = time.Time{}, true, true
	}
	return nil
}

// watch looks until there is something to decide, or the slice is over.
func (w *watcher) watch(ctx context.Context) (Watch, error) {
	f, err := w.access.Cluster.Follow(ctx, w.ro.Service, w.ro.Canary)
	if err != nil {
		return Watch{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
	}
	defer f.Close()
	w.follower = f
	w.served = w.shift.Weight > 0
	end := w.Clock.Now().Add(slice)
	pause := time.Duration(0)
	for {
		if w.out.Status, err = f.Next(ctx, pause); err != nil {
			return Watch{}, fmt.Errorf("follow %s: %w", w.ro.Canary.Name, err)
		}
		if err := w.measure(ctx); err != nil {
			return Watch{}, err
		}
		d := w.decide()
		now := w.Clock.Now()
		if d.Action != rollout.Watch || !now.Before(end) || len(w.out.Intervals) >= mostIntervals {
			return w.answer(d), nil
		}
		pause = max(time.Millisecond, min(d.After, end.Sub(now), w.untilNext(now)))
	}
}

// answer is the decision with all that led to it.
func (w *watcher) answer(d rollout.Decision) Watch {
	out := w.out
	out.Action, out.Step, out.Reason, out.At = d.Action, d.Step, d.Reason, w.Clock.Now()
	if d.Action == rollout.Watch && d.After > watchFor {
		out.Action = rollout.Wait
	}
	if out.Action == rollout.Wait {
		out.Looks++
		out.WaitSeconds = int(min(d.After, max(shortestWait, w.stretch(d)/looks)).Seconds()) + 1
	}
	return out
}

// stretch is the whole of the time that d.After is the rest of: a pause, the hold, the
// patience, or the wait for a person. A part of the whole, and not of the rest, is
// what keeps the number of looks at most looks. spec.Budget counts on it.
func (w *watcher) stretch(d rollout.Decision) time.Duration {
	plan := w.ro.Plan
	hold := time.Duration(plan.Steps[w.shift.Step].Hold)
	switch {
	case !w.out.Paused.IsZero():
		return time.Duration(plan.PauseLimit)
	case w.Clock.Now().Sub(w.shift.Since) < hold:
		return hold
	case d.Action == rollout.Wait:
		return time.Duration(plan.PauseLimit)
	case plan.Evidence:
		return time.Duration(plan.Patience) + max(0, time.Duration(plan.Cap)-hold)
	}
	return time.Duration(plan.Patience)
}

// decide asks the rules.
func (w *watcher) decide() rollout.Decision {
	now := w.Clock.Now()
	j := w.out.Judgement
	l := rollout.Look{
		Verdict: j.Verdict, Hold: j.Hold, Enough: j.Enough, Exhausted: j.Exhausted, Reason: w.why(j),
		Broken: w.broken(), Elapsed: now.Sub(w.shift.Since), Approved: w.out.Approved,
		Promote: w.out.Promote, First: w.ro.First(),
	}
	if w.ro.KubernetesOnly {
		l.Verdict, l.Enough = analysis.Healthy, true
	}
	if !w.out.Paused.IsZero() {
		l.Paused = max(1, now.Sub(w.out.Paused))
	}
	if whole := time.Duration(w.ro.Deadlines.Whole); whole > 0 && now.Sub(w.ro.Started) > whole {
		return rollout.Decision{Action: rollout.RollBack, Step: w.shift.Step,
			Reason: fmt.Sprintf("the rollout is older than its deadline of %v", whole)}
	}
	return w.ro.Plan.Next(w.shift.Step, l)
}

// why is the judge's sentence, or what kept it from judging.
func (w *watcher) why(j analysis.Judgement) string {
	switch {
	case w.ro.KubernetesOnly:
		return fmt.Sprintf("%d of %d pods ready; nothing else can judge this service", w.out.Status.Ready, w.out.Status.Desired)
	case w.ro.First() && j.Verdict != analysis.Unhealthy && (j.Verdict == analysis.Inconclusive || j.Reason == ""):
		text := fmt.Sprintf("first deployment: %d of %d pods ready; %d requests were seen", w.out.Status.Ready, w.out.Status.Desired, j.Canary.Requests)
		if w.out.Trouble != "" {
			text += "; the metrics source does not answer: " + w.out.Trouble
		}
		return text
	case w.out.Trouble != "" && j.Verdict == analysis.Inconclusive:
		return "the metrics source does not answer: " + w.out.Trouble
	case j.Reason == "":
		return "nothing measured yet"
	}
	return j.Reason
}

// broken tells why the canary cannot serve the requests that it gets.
func (w *watcher) broken() string {
	st := w.out.Status
	switch {
	case st.Fatal:
		return w.ro.Canary.Name + ": " + st.Problem
	case w.served && st.Desired > 0 && st.Ready == 0:
		text := fmt.Sprintf("%s has no ready pod at %d %%", w.ro.Canary.Name, w.shift.Weight)
		if st.Problem != "" {
			text += ": " + st.Problem
		}
		return text
	}
	return ""
}

// measure reads the intervals that have closed since the last look.
func (w *watcher) measure(ctx context.Context) error {
	if w.meter == nil {
		return nil
	}
	window, _, ok := w.window(w.Clock.Now())
	if !ok {
		return nil
	}
	intervals, err := w.read(ctx, window)
	if errors.Is(err, fault.Invalid) {
		return fmt.Errorf("measure %s: %w", w.ro.Canary.Name, err)
	}
	if err != nil { // a source's trouble is not the canary's: it makes the look inconclusive
		w.out.Trouble = err.Error()
		w.out.Judgement.Verdict = analysis.Inconclusive
		return nil
	}
	w.out.Trouble = ""
	w.out.State, w.out.Judgement = w.ro.Policy.Look(w.out.State, intervals)
	w.out.Intervals = append(w.out.Intervals, intervals...)
	return nil
}

// read asks the source for the window's counts, and for the user's own numbers at its end.
func (w *watcher) read(ctx context.Context, window metric.Window) ([]analysis.Interval, error) {
	intervals, err := w.meter.Intervals(ctx, w.subject(), window)
	if err != nil {
		return nil, err
	}
	settled := w.shift.Since.Add(w.meter.Pace().Settle)
	for i := range intervals {
		if !intervals[i].From.Before(settled) { // before, requests may still have gone the old way
			intervals[i].Weight = int(w.shift.Weight)
		}
	}
	queries, err := w.queries()
	if err != nil {
		return nil, err
	}
	for _, l := range w.ro.Policy.Limits {
		if l.Kind != analysis.Value || len(intervals) == 0 {
			continue
		}
		if w.ro.First() && strings.Contains(queries[l.Source], "${STABLE}") {
			continue // there is no stable to ask about: nothing is known, which harms nobody yet
		}
		valuer, ok := w.meter.(metric.Valuer)
		if !ok {
			return nil, fmt.Errorf("limit %q: %w: this metrics source answers no queries", l.Name, fault.Invalid)
		}
		value, known, err := valuer.Value(ctx, w.subject(), queries[l.Source], window)
		if err != nil {
			return nil, fmt.Errorf("limit %q: %w", l.Name, err)
		}
		if last := &intervals[len(intervals)-1]; known {
			if last.Values == nil {
				last.Values = map[string]float64{}
			}
			last.Values[l.Name] = value
		}
	}
	return intervals, nil
}

// queries are the user's own, by name; deploy.json was checked to have each that a limit names.
func (w *watcher) queries() (map[string]string, error) {
	var m struct {
		Query map[string]string `json:"query"`
	}
	if len(w.ro.Metrics) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(w.ro.Metrics, &m); err != nil {
		return nil, fmt.Errorf("read metrics settings: %w: %w", fault.Invalid, err)
	}
	return m.Query, nil
}

// every is the length of an interval: the source's own pace, or what deploy.json
// asks for, and longer in a long step, so that an answer stays small.
func (w *watcher) every() time.Duration {
	every := max(w.meter.Pace().Every, time.Duration(w.ro.Interval))
	for time.Duration(w.ro.Plan.Steps[w.shift.Step].Hold) > 4*mostIntervals*every {
		every *= 2
	}
	return every
}

// window is the closed time not yet judged, from the observed shift to now minus the source's
// lag, and when the next interval of it can be read.
func (w *watcher) window(now time.Time) (metric.Window, time.Time, bool) {
	since := w.shift.Since
	if w.out.State.Until.After(since) {
		since = w.out.State.Until
	}
	window, next, ok := w.meter.Pace().Window(since, now, w.every(), mostIntervals)
	window.Bounds = w.bounds()
	return window, next, ok
}

// untilNext is the time until another interval is closed and readable.
func (w *watcher) untilNext(now time.Time) time.Duration {
	if w.meter == nil {
		return slice
	}
	_, next, ok := w.window(now)
	if ok || w.out.Trouble != "" { // what could be read was not: not at once again
		return w.every()
	}
	return max(next.Sub(now), 10*time.Millisecond)
}

func (w *watcher) bounds() []float64 {
	var out []float64
	for _, b := range w.ro.Policy.Comparison.LatencyBounds {
		out = append(out, b.Seconds())
	}
	return out
}

func (w *watcher) subject() metric.Subject {
	return metric.Subject{
		Cluster: w.ro.Cluster, Namespace: w.ro.Service.Namespace, Service: w.ro.Service.Name,
		Route: w.ro.Route.Route, Canary: w.ro.Canary.Name, Stable: w.ro.Stable.Name,
	}
}
