package step

import (
	"context"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/hook"
)

// Again judges and decides a look once more. doc is what HealthCheck was given then, at that time, and met what it answered;
// of that only what came from outside is taken: the pods, the gates' words, the time, and the measurements, of which there
// may be more than those of this look.
func Again(ctx context.Context, doc Document, given time.Time, met Watch) (Watch, error) {
	w := watcher{ro: *doc.Rollout, shift: *doc.Shift, out: resume(*doc.Rollout, *doc.Shift, doc.Watch)}
	w.Clock = clock.NewVirtual(given)
	w.hear(doc.Asked)
	w.Clock = clock.NewVirtual(met.At)
	w.served = w.shift.Weight > 0
	w.out.Status = met.Status
	since := w.since()
	judged := func(iv analysis.Interval) bool { return iv.From.Before(since) }
	if fresh := slices.DeleteFunc(slices.Clone(met.Intervals), judged); len(fresh) > 0 {
		w.judge(fresh)
	}
	if met.Trouble != "" {
		w.unheard(met.Trouble)
	}
	phase, next := w.ahead()
	nobody := func() (*hook.Client, error) { return hook.New(hook.Options{}), nil } // who is never asked here
	var err error
	if w.gates, err = newAsking(ctx, nobody, w.Clock, w.ro, phase, next, met.Gates); err != nil {
		return Watch{}, err
	}
	defer w.gates.Close()
	w.messages = newMessenger(ctx, nil, w.Clock, w.ro)
	defer w.messages.Close(0)
	return w.answer(ctx, w.decide()), nil
}
