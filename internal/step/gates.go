package step

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

const (
	// askFor is the longest that one question takes, with its retries. A slice and this
	// together stay below the time-out of the states that ask.
	askFor = 40 * time.Second
	// whileAsking is the pause between two looks at the canary while a question is open.
	whileAsking = 100 * time.Millisecond
)

// A Gate is one that deploy.json names, with how long the rollout waits for its word.
type Gate struct {
	hook.Gate
	Limit rollout.Duration `json:"limit"`
}

// A Said is the last word of one gate at one place of a rollout.
type Said struct {
	Gate string       `json:"gate"`
	Word rollout.Word `json:"word,omitempty"`
	// Reason is the gate's own, or without a word what kept it from answering.
	Reason string `json:"reason,omitempty"`
	// First is when it was asked first at this place, Next when it may be asked again.
	First time.Time `json:"first,omitzero"`
	Next  time.Time `json:"next,omitzero"`
}

// An asking asks the gates of one place beside the watching: no gate, however slow, keeps the
// watcher from seeing the canary fail.
type asking struct {
	clock    clock.Clock
	client   *hook.Client
	gates    []Gate
	question hook.Question
	ctx      context.Context
	stop     context.CancelFunc

	mu   sync.Mutex
	said []Said // one for each gate
	open []bool // the gate's question is under way
}

// newAsking opens the gates of a phase, with what they said before. The caller closes it.
func newAsking(ctx context.Context, open HookOpener, c clock.Clock, ro Rollout, phase hook.Phase, weight rollout.Weight, before []Said) (*asking, error) {
	a := &asking{clock: c, question: hook.Question{
		Namespace: ro.Service.Namespace, Name: ro.Service.Name, Weight: int(weight), Execution: ro.Execution,
		Canary: ro.Canary.Name, Stable: ro.Stable.Name,
	}}
	a.ctx, a.stop = context.WithCancel(ctx)
	for _, g := range ro.Gates {
		if g.Phase != phase {
			continue
		}
		said := Said{Gate: g.Name}
		for _, s := range before {
			if s.Gate == g.Name {
				said = s
			}
		}
		a.gates, a.said, a.open = append(a.gates, g), append(a.said, said), append(a.open, false)
	}
	if len(a.gates) == 0 {
		return a, nil
	}
	var err error
	a.client, err = open.client()
	return a, err
}

// Close gives up the questions that are under way.
func (a *asking) Close() { a.stop() }

// ask asks each gate whose word is missing and whose time has come.
func (a *asking) ask() {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	for i := range a.gates {
		if a.open[i] || final(a.said[i].Word) || now.Before(a.said[i].Next) {
			continue
		}
		if a.said[i].First.IsZero() {
			a.said[i].First = now
		}
		a.open[i] = true
		begin(a.clock, func() { a.askOne(i) })
	}
}

func final(w rollout.Word) bool { return w == rollout.Yes || w == rollout.No }

// askOne asks the i-th gate. An error is no word: it says nothing about the canary.
func (a *asking) askOne(i int) {
	ctx, cancel := context.WithTimeout(a.ctx, askFor)
	defer cancel()
	answer, err := a.client.Ask(ctx, a.gates[i].Gate, a.question)
	a.mu.Lock()
	defer a.mu.Unlock()
	said := &a.said[i]
	a.open[i], said.Next = false, a.clock.Now().Add(hook.AskAgain)
	if err != nil {
		said.Word, said.Reason = rollout.NoWord, trouble(err)
		return
	}
	said.Reason = answer.Reason
	switch answer.Status {
	case hook.Succeeded:
		said.Word = rollout.Yes
	case hook.Failed:
		said.Word = rollout.No
	case hook.InProgress:
		said.Word, said.Next = rollout.NotYet, a.clock.Now().Add(answer.After)
	default:
		said.Word = rollout.NoWord
	}
}

// trouble is what kept a gate from answering, without the names that stand around it anyway.
func trouble(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return Plain(inner.Error())
	}
	return Plain(err.Error())
}

// anew lets the limits of gates without a final word begin again: a pause is no time to answer in.
func anew(said []Said, now time.Time) {
	for i := range said {
		if !final(said[i].Word) && !said[i].First.IsZero() {
			said[i].First = now
		}
	}
}

// gateWords gives the gates as the rules see them.
func (a *asking) gateWords() []rollout.Gate {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.clock.Now()
	out := make([]rollout.Gate, len(a.gates))
	for i, s := range a.said {
		out[i] = rollout.Gate{Name: s.Gate, Word: s.Word, Reason: s.Reason, Limit: time.Duration(a.gates[i].Limit)}
		if !s.First.IsZero() {
			out[i].Waited = now.Sub(s.First)
		}
	}
	return out
}

// words are the gates' words, for the next look; nil where none was asked.
func (a *asking) words() []Said {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Said
	for _, s := range a.said {
		if !s.First.IsZero() {
			out = append(out, s)
		}
	}
	return out
}

// busy tells whether a question is under way.
func (a *asking) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, open := range a.open {
		if open {
			return true
		}
	}
	return false
}

// next is the time until a gate may be asked again.
func (a *asking) next() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, next := a.clock.Now(), slice
	for _, s := range a.said {
		if !final(s.Word) {
			next = min(next, max(0, s.Next.Sub(now)))
		}
	}
	return next
}

// longest is the longest limit of the gates of this place.
func (a *asking) longest() time.Duration {
	var d time.Duration
	for _, g := range a.gates {
		d = max(d, time.Duration(g.Limit))
	}
	return d
}

// begin runs f beside the caller. A virtual clock holds time still until f waits or is done.
func begin(c clock.Clock, f func()) {
	if s, ok := c.(clock.Scheduler); ok {
		s.Go(f)
		return
	}
	go f()
}
