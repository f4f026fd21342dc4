package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/task"
)

// pause is between two looks at a rollout that does not wait just now: it is between two
// states that do, for seconds.
const pause = 500 * time.Millisecond

// A watch is over one rollout that may name an alarm, until it was aborted or there is nothing to abort.
type watch struct {
	Abort
	execution, alarm, reason string
	// turns holds back all but a few looks.
	turns chan struct{}

	named, aborted, over bool
	// state is what the last look found it in, and err why there was no look.
	state string
	err   error
}

// run looks until the rollout is over, or ctx is. An error is no end: who was throttled asks again. One in Prepare may be about
// to begin, so it is waited for too.
func (w *watch) run(ctx context.Context) {
	for !w.over {
		select {
		case w.turns <- struct{}{}:
			err := w.look(ctx)
			<-w.turns
			if ctx.Err() == nil { // what the end of the time cut off tells nothing
				w.err = err
			}
		case <-ctx.Done():
		}
		if !w.over && w.Clock.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// look aborts the rollout where it names the alarm, and listens.
func (w *watch) look(ctx context.Context) (err error) {
	if !w.named {
		if w.named, err = w.names(ctx, w.execution, w.alarm); err != nil || !w.named {
			w.over = err == nil
			return err
		}
	}
	state, token, err := w.Rollouts.Waiting(ctx, w.execution)
	if err != nil {
		return err
	}
	w.state = state
	switch {
	case state == "", state == "Promote", state == "Rollback":
		w.over = true // or past the point where an abort would change its end
	case token != "":
		err = w.Rollouts.Abort(ctx, token, w.reason)
		w.aborted, w.over = err == nil, err == nil
		if errors.Is(err, task.ErrAnswered) {
			return nil
		}
	}
	return err
}

// why says for what the rollout was not aborted in time.
func (w *watch) why() error {
	switch {
	case w.err != nil:
		return w.err
	case w.state == "":
		return fmt.Errorf("%w: there was no time to look at it", fault.Transient)
	}
	return fmt.Errorf("%w: it is in state %s, which does not listen", fault.Transient, w.state)
}

// names tells whether the rollout's deploy.json names the alarm. The document was checked when the
// rollout began; here one field is read.
func (a Abort) names(ctx context.Context, execution, alarm string) (bool, error) {
	input, err := a.Rollouts.Input(ctx, execution)
	if err != nil {
		return false, err
	}
	var doc struct {
		Alarms []string `json:"alarms"`
	}
	if json.Unmarshal(input, &doc) != nil {
		return false, nil // no deploy.json: its rollout is about to be refused
	}
	return slices.Contains(doc.Alarms, alarm), nil
}
