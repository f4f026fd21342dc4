package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

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

// measure reads the intervals that have closed since the last look.
func (w *watcher) measure(ctx context.Context) error {
	now := w.Clock.Now()
	if now.Before(w.readAt) {
		return nil
	}
	defer func() { w.readAt = w.Clock.Now().Add(w.untilNext(w.Clock.Now())) }()
	if w.meter == nil {
		return nil
	}
	window, _, ok := w.window(now)
	if !ok {
		return nil
	}
	intervals, err := w.read(ctx, window)
	if errors.Is(err, fault.Invalid) {
		return fmt.Errorf("measure %s: %w", w.ro.Canary.Name, err)
	}
	if err != nil {
		w.unheard(Plain(err.Error()))
		return nil
	}
	w.judge(intervals)
	w.tellVerdict()
	return nil
}

// judge takes the intervals into the evidence.
func (w *watcher) judge(intervals []analysis.Interval) {
	w.out.Trouble = ""
	w.out.State, w.out.Judgement = w.ro.Policy.Look(w.out.State, intervals)
	w.out.Intervals = append(w.out.Intervals, intervals...)
}

// unheard makes the look inconclusive: a source's trouble is not the canary's.
func (w *watcher) unheard(trouble string) {
	w.out.Trouble = trouble
	w.out.Judgement.Verdict = analysis.Inconclusive
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
	window, next, ok := w.meter.Pace().Window(w.since(), now, w.every(), mostIntervals)
	window.Bounds = w.bounds()
	return window, next, ok
}

// since is where the time not yet judged begins.
func (w *watcher) since() time.Time {
	since := w.shift.Since
	if w.out.State.Until.After(since) {
		since = w.out.State.Until
	}
	return since
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
