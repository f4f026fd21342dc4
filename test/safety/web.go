package safety

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// asking is the point at which a gate is asked: a call like a driver's.
const asking = "gate.Ask"

// gateTimeout is how long the rollout waits for one answer.
const gateTimeout = time.Second

// A Team is a receiver that is told everything, and what it does about it.
type Team string

// What a receiver does.
const (
	TeamHears  Team = "hears"
	TeamFails  Team = "fails"
	TeamSilent Team = "silent"
)

// A web is where the gates and the receiver of a run live. A gate says yes, unless a fault has
// changed its mind.
type web struct {
	r *run
	// coming is the mind of the gate that is asked next, mind that of the gates that were.
	coming Kind
	mind   map[string]Kind
	asked  map[question]bool
	// yes are the functions that were told so, by question; no tells that one was told no.
	yes map[question][]*function
	no  map[question]bool
	// waived are those that a person went on without, who was asked about a gate; promoted tells that
	// one was heard who wants 100 % now.
	waived   map[question]bool
	promoted bool
	// decided are the steps in which that was the answer to a question: nothing could be told.
	decided map[int]bool
}

func newWeb(r *run) *web {
	return &web{
		r: r, mind: map[string]Kind{}, asked: map[question]bool{},
		yes: map[question][]*function{}, no: map[question]bool{}, waived: map[question]bool{}, decided: map[int]bool{},
	}
}

// RoundTrip answers a request without a network.
func (w *web) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, _ := ctx.Value(functionKey{}).(*function)
	w.r.current = f
	if req.URL.Host == "team.example" {
		return w.tell(ctx)
	}
	var q hook.Question
	if err := json.NewDecoder(req.Body).Decode(&q); err != nil {
		return nil, err
	}
	return w.ask(ctx, f, question{path.Base(req.URL.Path), rollout.Weight(q.Weight)})
}

// tell is what the receiver does with a message.
func (w *web) tell(ctx context.Context) (*http.Response, error) {
	switch w.r.scenario.Team {
	case TeamSilent:
		return w.silence(ctx, 10*time.Second)
	case TeamFails:
		return response(http.StatusServiceUnavailable, ""), nil
	}
	return response(http.StatusOK, "ok"), nil
}

// ask is what becomes of a question.
func (w *web) ask(ctx context.Context, f *function, q question) (*http.Response, error) {
	if err := w.r.before(asking); err != nil {
		return refusal(err)
	}
	var next []Kind
	if f != nil {
		next, f.next = f.next, nil
	}
	if w.coming != "" {
		w.mind[q.gate], w.coming = w.coming, ""
	}
	again := w.asked[q]
	w.asked[q] = true
	w.r.version++
	// A question that is stuck reaches the gate when nobody waits for the answer any more.
	if w.mind[q.gate] == GateSilent || slices.Contains(next, Stuck) {
		return w.silence(ctx, gateTimeout)
	}
	answer := w.answer(q, again)
	switch {
	case slices.Contains(next, KillAfter):
		panic(killed{})
	case slices.Contains(next, Lost):
		return nil, errors.New("connection reset by peer")
	}
	w.told(f, q, answer)
	return response(http.StatusOK, answer), nil
}

// What gates say.
const (
	says    = `{"hookStatus":"SUCCEEDED"}`
	thinks  = `{"hookStatus":"IN_PROGRESS","callBackDelay":5}`
	refuses = `{"hookStatus":"FAILED","reason":"the schema is old"}`
	babbles = `<html>Log in</html>`
)

func (w *web) answer(q question, again bool) string {
	switch w.mind[q.gate] {
	case GateNo:
		return refuses
	case GateNonsense:
		return babbles
	}
	if w.r.scenario.Thinks && !again {
		return thinks
	}
	return says
}

// told notes what a function knows of a gate from now on.
func (w *web) told(f *function, q question, answer string) {
	switch answer {
	case says:
		w.r.mark("a gate opened")
		if f != nil {
			w.yes[q] = append(w.yes[q], f)
		}
	case refuses:
		w.no[q] = true
	}
}

// opened tells whether a gate has said yes to a function that is at work or has answered its token:
// what a killed function knew nobody knows.
func (w *web) opened(q question) bool {
	return slices.ContainsFunc(w.yes[q], func(f *function) bool {
		return f.answered || slices.Contains(w.r.underWay, f) && !w.r.dies(f)
	})
}

// wished takes up a person's word that was heard. Where the execution had asked for one about a gate, it
// is for those gates that have been asked and are not open.
func (w *web) wished(wish rollout.Wish, needs bool) {
	if wish != rollout.WishResume && wish != rollout.WishPromote {
		return
	}
	w.promoted = w.promoted || wish == rollout.WishPromote
	for q := range w.asked {
		if needs && !w.opened(q) {
			w.waived[q] = true
		}
	}
}

// silence is a time-out of the client's.
func (w *web) silence(ctx context.Context, d time.Duration) (*http.Response, error) {
	if err := (ticking{w.r.clock, w.r}).Sleep(ctx, d); err != nil {
		return nil, err
	}
	return nil, context.DeadlineExceeded
}

// refusal is the status by which a gate's server tells an error.
func refusal(err error) (*http.Response, error) {
	switch fault.Of(err) {
	case fault.Transient:
		return response(http.StatusServiceUnavailable, ""), nil
	case fault.Conflict:
		return response(http.StatusConflict, ""), nil
	case fault.Invalid:
		return response(http.StatusForbidden, ""), nil
	}
	return nil, err
}

func response(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// appendMind is what the gates will say.
func (w *web) appendMind(b []byte) []byte {
	return fmt.Appendf(b, "%s %v %v", w.coming, w.mind, w.asked)
}

// appendState is what the checks know of the gates.
func (w *web) appendState(b []byte) []byte {
	b = fmt.Appendf(b, "decided %v", w.decided)
	if len(w.r.scenario.Gates) == 0 {
		return b
	}
	b = fmt.Appendf(b, "gates no %v %v %t yes", w.no, w.waived, w.promoted)
	for _, g := range w.r.scenario.Gates {
		for _, weight := range []rollout.Weight{first, 100} {
			b = fmt.Appendf(b, " %t", w.opened(question{g.Name, weight}))
		}
	}
	return b
}
