package step

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// tellFor is how long a step waits, when its work is done, for messages that are under way.
const tellFor = 3 * time.Second

// A messenger tells receivers what happens, in order, beside the work. It is best effort: a
// rollout neither fails nor waits for one, beyond tellFor.
type messenger struct {
	clock     clock.Clock
	client    *hook.Client
	receivers []hook.Receiver
	execution string
	ctx       context.Context
	stop      context.CancelFunc

	mu     sync.Mutex
	queues [][]hook.Message // one for each receiver
	atWork []bool           // somebody empties the queue
	left   int              // messages not told yet
	idle   func()           // called when none is left
}

// newMessenger opens the rollout's receivers. The caller closes it.
func newMessenger(ctx context.Context, open HookOpener, c clock.Clock, ro Rollout) *messenger {
	m := &messenger{clock: c, receivers: ro.Receivers, execution: ro.Execution, idle: func() {}}
	m.ctx, m.stop = context.WithCancel(ctx)
	if len(m.receivers) > 0 {
		var err error
		if m.client, err = open.client(); err != nil {
			m.trouble(err)
			m.receivers = nil
		}
	}
	m.queues, m.atWork = make([][]hook.Message, len(m.receivers)), make([]bool, len(m.receivers))
	return m
}

// tell sends a message to all who want it. It does not wait.
func (m *messenger) tell(msg hook.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range m.receivers {
		if !r.Wants(msg.On) {
			continue
		}
		m.queues[i] = append(m.queues[i], msg)
		m.left++
		if !m.atWork[i] {
			m.atWork[i] = true
			begin(m.clock, func() { m.empty(i) })
		}
	}
}

// news tells a message if it is news, and gives what was told then.
func (m *messenger) news(told hook.Told, msg hook.Message) hook.Told {
	if len(m.receivers) == 0 {
		return told
	}
	next, due := told.Due(msg)
	if due {
		m.tell(msg)
	}
	return next
}

// empty tells the i-th receiver all that waits for it.
func (m *messenger) empty(i int) {
	for {
		m.mu.Lock()
		if len(m.queues[i]) == 0 {
			m.atWork[i] = false
			m.mu.Unlock()
			return
		}
		msg := m.queues[i][0]
		m.queues[i] = m.queues[i][1:]
		m.mu.Unlock()
		if err := m.client.Notify(m.ctx, m.receivers[i], msg); err != nil {
			m.trouble(err)
		}
		m.mu.Lock()
		if m.left--; m.left == 0 {
			m.idle()
		}
		m.mu.Unlock()
	}
}

// trouble goes to the log: nobody else may be troubled by it. Errors of package hook hold no secret.
func (m *messenger) trouble(err error) {
	slog.WarnContext(m.ctx, "message not sent", "execution", m.execution, "error", err.Error())
}

// Close waits up to d for messages that are under way, and gives up the rest.
func (m *messenger) Close(d time.Duration) {
	defer m.stop()
	done, finish := clock.WithCancel(m.ctx)
	defer finish()
	m.mu.Lock()
	if m.left == 0 {
		m.mu.Unlock()
		return
	}
	m.idle = finish
	m.mu.Unlock()
	_ = m.clock.Sleep(done, d)
}

// message is one about the rollout.
func (r Rollout) message(on hook.Occasion) hook.Message {
	return hook.Message{
		On: on, Cluster: r.Cluster, Namespace: r.Service.Namespace, Name: r.Service.Name,
		Canary: r.Canary.Name, Stable: r.Stable.Name, Image: r.Canary.Image, Execution: r.Execution,
	}
}

func (w *watcher) message(on hook.Occasion) hook.Message {
	m := w.ro.message(on)
	m.Weight = int(w.shift.Weight)
	return m
}

// tellStep tells the step's weight, once.
func (w *watcher) tellStep() {
	m := w.message(hook.OnStep)
	m.Reason, m.At = w.shift.Reason, w.shift.Since
	w.out.Told = w.messages.news(w.out.Told, m)
}

// tellVerdict tells a verdict that changed. A bad one is told when users are safe, with the end.
func (w *watcher) tellVerdict() {
	j := w.out.Judgement
	if j.Verdict == analysis.Unhealthy {
		return
	}
	m := w.message(hook.OnVerdict)
	m.Verdict, m.Reason, m.At = j.Verdict.String(), w.why(j), w.out.State.Until
	w.out.Told = w.messages.news(w.out.Told, m)
}

// tellHold tells that a person is waited for, once for each wait.
func (w *watcher) tellHold(out Watch) hook.Told {
	m := w.message(hook.OnHold)
	m.Reason, m.At = out.Reason, out.At
	if out.Action == rollout.Wait {
		m.Needs = string(out.Needs)
	}
	if out.Needs == rollout.NeedResume {
		m.At = out.Paused
	}
	return w.messages.news(out.Told, m)
}

// tellStart tells that a rollout has begun: only the run of Prepare that took the lock does.
func (s Prepare) tellStart(ctx context.Context, ro Rollout, rec record.Record) {
	m := newMessenger(ctx, s.Hooks, s.Clock, ro)
	defer m.Close(tellFor)
	start := ro.message(hook.OnStart)
	start.Reason, start.At = fmt.Sprintf("%s is coming; %s serves", ro.Canary.Name, serves(ro)), rec.Acquired
	m.tell(start)
}

// tellEnd tells how a rollout ended, with the bad verdict that led there. Only the run that wrote the
// end into the record calls it.
func tellEnd(ctx context.Context, open HookOpener, c clock.Clock, ro Rollout, w *Watch, rec record.Record, end End) {
	if len(ro.Receivers) == 0 {
		return
	}
	ro.Canary, ro.Stable = rec.Canary, rec.Stable
	m := newMessenger(ctx, open, c, ro)
	defer m.Close(tellFor)
	told := hook.Told{}
	if w != nil {
		told = w.Told
		if w.Judgement.Verdict == analysis.Unhealthy {
			bad := ro.message(hook.OnVerdict)
			bad.Weight, bad.Verdict, bad.Reason, bad.At = told.Weight, w.Judgement.Verdict.String(), w.Reason, w.At
			told = m.news(told, bad)
		}
	}
	last := ro.message(hook.OnEnd)
	last.End, last.Reason, last.At = end.Outcome, end.Reason, end.At
	if w != nil {
		last.Verdict = w.Judgement.Verdict.String()
	}
	switch end.Outcome {
	case OutcomePromoted:
		last.Weight = 100
	case OutcomeNeedsOperator:
		last.Weight = told.Weight // as far as it is known
	}
	m.news(told, last)
}
