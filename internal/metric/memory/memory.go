// Package memory is a meter without a source: it counts what a script says that
// users did and met. It serves the tests of the flow, the search for bad states
// and the simulation of a plan. Nothing opens it by name, because numbers that
// were made up must never promote a version that people use.
package memory

import (
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A Call is what a hook is told: the method and its arguments.
type Call struct {
	Method  string
	Subject metric.Subject
	Query   string
	Window  metric.Window
}

// A Hook stands before or after a call. An error of its is the call's error.
type Hook func(context.Context, Call) error

// Options of a meter. The zero value reads every second, with no lag.
type Options struct {
	Pace metric.Pace
	// Before runs before a call has read anything, After when it has read
	// everything: a failure there is an answer that got lost.
	Before, After Hook
}

// A Meter counts by scripts. It is safe for use by several goroutines.
type Meter struct {
	clock   clock.Clock
	start   time.Time
	options Options

	mu      sync.Mutex
	scripts map[name]Script
	shares  map[name][]share
	follow  func(namespace, route string) []Share
}

// A Share is how the requests of a route are split from a moment on. The weights are what
// [traffic.State] says of a route; they need not add up to 100.
type Share struct {
	From    time.Time
	Weights map[string]rollout.Weight
}

// A name is that of a service, or of a route, in its namespace.
type name struct{ namespace, name string }

// A share is how the requests of a route were split from a moment on.
type share struct {
	from    time.Duration
	weights map[string]rollout.Weight
}

func (s share) at() time.Duration { return s.from }

var _ metric.Valuer = (*Meter)(nil)
var _ metric.Meter = (*Meter)(nil)

// New is a meter by this clock, on which time zero of every script is now.
func New(c clock.Clock, o Options) *Meter {
	if o.Pace.Every <= 0 {
		o.Pace.Every = time.Second
	}
	return &Meter{
		clock: c, start: c.Now(), options: o,
		scripts: map[name]Script{}, shares: map[name][]share{},
	}
}

// Play sets the script of a service, for all of time. A service without one is
// without data.
func (m *Meter) Play(namespace, service string, s Script) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scripts[name{namespace, service}] = s.sorted()
}

// Follow has the meter ask how the requests of a route were split, by rising time, whenever it
// counts, instead of being told by Shift.
func (m *Meter) Follow(split func(namespace, route string) []Share) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.follow = split
}

// split is what is known of a route's requests.
func (m *Meter) split(namespace, route string) []share {
	if m.follow == nil {
		return m.shares[name{namespace, route}]
	}
	var out []share
	for _, s := range m.follow(namespace, route) {
		out = append(out, share{s.From.Sub(m.start), s.Weights})
	}
	return out
}

// Shift says that from now on the requests of a route are split like this, as in a Share.
func (m *Meter) Shift(namespace, route string, weights map[string]rollout.Weight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := name{namespace, route}
	m.shares[key] = append(m.shares[key], share{from: m.clock.Now().Sub(m.start), weights: maps.Clone(weights)})
}

// Pace is the one of the options.
func (m *Meter) Pace() metric.Pace { return m.options.Pace }

// Intervals counts what the script says. Intervals that are not closed by now,
// less the lag, are not known.
func (m *Meter) Intervals(ctx context.Context, s metric.Subject, w metric.Window) ([]analysis.Interval, error) {
	var out []analysis.Interval
	err := m.call(ctx, Call{Method: "Intervals", Subject: s, Window: w}, func(script Script, now time.Duration) error {
		spans, err := w.Spans()
		if err != nil {
			return fmt.Errorf("read %s: %w", s.Service, err)
		}
		tape := tape{script: script, shares: m.split(s.Namespace, s.Route), bounds: w.Bounds}
		for _, span := range spans {
			iv := analysis.Interval{From: span.From, To: span.To}
			from, to := span.From.Sub(m.start), span.To.Sub(m.start)
			if to <= now-m.options.Pace.Lag {
				iv.Canary = tape.counts(s.Canary, from, to)
				iv.Stable = tape.counts(s.Stable, from, to)
			}
			out = append(out, iv)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Value gives the script's answer to the query at the window's end.
func (m *Meter) Value(ctx context.Context, s metric.Subject, query string, w metric.Window) (float64, bool, error) {
	value, known := 0.0, false
	err := m.call(ctx, Call{Method: "Value", Subject: s, Query: query, Window: w}, func(script Script, _ time.Duration) error {
		v, ok := at(script.Values[query], w.To.Sub(m.start), Value.from)
		if ok && !math.IsNaN(v.Value) && !math.IsInf(v.Value, 0) {
			value, known = v.Value, true
		}
		return nil
	})
	if err != nil {
		return 0, false, err
	}
	return value, known, nil
}

func (m *Meter) call(ctx context.Context, c Call, read func(s Script, now time.Duration) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.options.Before != nil {
		if err := m.options.Before(ctx, c); err != nil {
			return err
		}
	}
	if err := m.locked(c, read); err != nil {
		return err
	}
	if m.options.After != nil {
		return m.options.After(ctx, c)
	}
	return nil
}

func (m *Meter) locked(c Call, read func(s Script, now time.Duration) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	script := m.scripts[name{c.Subject.Namespace, c.Subject.Service}]
	now := m.clock.Now().Sub(m.start)
	for _, span := range script.Down {
		if span.holds(now) {
			return fmt.Errorf("read %s: %w: the source does not answer", c.Subject.Service, fault.Transient)
		}
	}
	return read(script, now)
}
