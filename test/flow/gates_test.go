package flow_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/spec"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// says answers every question in the same way.
func says(status int, body string) func(*http.Request, int) (int, string, error) {
	return func(*http.Request, int) (int, string, error) { return status, body, nil }
}

const (
	yes    = `{"hookStatus":"SUCCEEDED"}`
	notYet = `{"hookStatus":"IN_PROGRESS","callBackDelay":20,"reason":"2 of 3 tests"}`
	no     = `{"hookStatus":"FAILED","reason":"the schema is old"}`
)

// after answers with the first body n times, then with the other.
func after(n int, first, then string) func(*http.Request, int) (int, string, error) {
	return func(_ *http.Request, i int) (int, string, error) {
		if i < n {
			return 200, first, nil
		}
		return 200, then, nil
	}
}

// gate is a webhook of that phase, asked at https://smoke.example.
func gate(phase string, extra fields) fields {
	g := fields{"name": "smoke", "phase": phase, "url": "https://smoke.example/t0ken", "limit": "5m", "retries": 0}
	for k, v := range extra {
		g[k] = v
	}
	return fields{"webhooks": []fields{g}}
}

func TestGatePaths(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(*http.Request, int) (int, string, error)
		phase  string
		want   string
		serves string
		// cause is a part of what the end says, asked the number of questions.
		cause string
		asked int
	}{
		"a gate refuses before the first weight": {
			says(200, no), "pre-rollout", toReady + back, "checkout-1", `gate "smoke" says no: the schema is old`, 1,
		},
		"a gate opens before the first weight": {says(200, yes), "pre-rollout", toReady + steps(4) + promoted, "checkout-2", "", 1},
		"a gate makes up its mind": {
			after(9, notYet, yes), "pre-rollout", toReady + steps(4) + promoted, "checkout-2", "", 10,
		},
		"a gate changes its mind to no": {
			after(9, notYet, no), "pre-rollout", toReady + back, "checkout-1", `says no`, 10,
		},
		"a gate that is never ready": {
			says(200, notYet), "pre-rollout", toReady + back, "checkout-1", `inconclusive: gate "smoke" said not yet for 5m0s: 2 of 3 tests`, 15,
		},
		"a gate whose server fails": {
			says(503, ""), "pre-rollout", toReady + back, "checkout-1",
			`inconclusive: gate "smoke" gave no answer within 5m0s: smoke.example answered 503`, 10,
		},
		"a gate that cannot be reached": {
			func(*http.Request, int) (int, string, error) { return 0, "", errors.New("connection refused") },
			"pre-rollout", toReady + back, "checkout-1", `inconclusive: gate "smoke" gave no answer within 5m0s: no answer from smoke.example`, 10,
		},
		"a gate that does not know us": {
			says(403, yes), "step", toReady + steps(1) + back, "checkout-1", `inconclusive: gate "smoke" gave no answer`, 10,
		},
		"a gate that talks nonsense": {
			says(200, `<html>Log in</html>`), "step", toReady + steps(1) + back, "checkout-1", `inconclusive: gate "smoke" gave no answer`, 10,
		},
		"a gate whose server fails for a while": {
			func(_ *http.Request, n int) (int, string, error) {
				if n < 5 {
					return 502, "", nil
				}
				return 200, yes, nil
			},
			"pre-promotion", toReady + steps(4) + promoted, "checkout-2", "", 6,
		},
		"a gate before each later weight": {says(200, yes), "step", toReady + steps(4) + promoted, "checkout-2", "", 3},
		"a gate before the third weight says no": {
			after(1, yes, no), "step", toReady + steps(2) + back, "checkout-1", "says no", 2,
		},
		"a gate between takes its time": {after(5, notYet, yes), "step", toReady + steps(4) + promoted, "checkout-2", "", 8},
		"a gate before stable goes":     {says(200, yes), "pre-promotion", toReady + steps(4) + promoted, "checkout-2", "", 1},
		"a gate refuses before stable goes": {
			says(200, no), "pre-promotion", toReady + steps(4) + back, "checkout-1", `gate "smoke" says no: the schema is old`, 1,
		},
		"a gate keeps silent before stable goes": {
			says(500, yes), "pre-promotion", toReady + steps(4) + back, "checkout-1", "inconclusive", 10,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := inTown(t, tt.answer)
			e := s.run(gate(tt.phase, nil))
			if e.path != tt.want || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("path %s\nwant %s\n(%s; want it to say %q)", e.path, tt.want, e.cause, tt.cause)
			}
			if strings.Contains(e.cause, "t0ken") {
				t.Errorf("the cause tells the URL's path, which may be a secret: %s", e.cause)
			}
			if n := len(w.to("smoke.example")); n != tt.asked {
				t.Errorf("the gate was asked %d times; want %d: %+v", n, tt.asked, w.to("smoke.example"))
			}
			s.settled(tt.serves)
		})
	}
}

// Nobody gets to the canary before its first gate has opened, and a gate is told what for.
func TestAGateIsAskedBeforeAnyWeight(t *testing.T) {
	t.Parallel()
	asked := false
	s, w := inTown(t, nil)
	w.answer = func(*http.Request, int) (int, string, error) {
		asked = true
		if split := s.router.Served(route, s.clock.Now()); split["checkout-2"] != 0 {
			t.Errorf("when the gate is asked users are split %v; want none on the canary", split)
		}
		if st, ok := s.cluster.Status("shop", "checkout-2", s.clock.Now()); !ok || !st.Available() {
			t.Errorf("when the gate is asked the canary is %+v; want it ready", st)
		}
		return 200, no, nil
	}
	s.atShift(1, func() { t.Error("a weight was written though the gate said no") })
	s.run(gate("pre-rollout", fields{"metadata": fields{"suite": "small"}}))
	if !asked {
		t.Fatal("the gate was not asked")
	}
	var q hook.Question
	if err := json.Unmarshal([]byte(w.to("smoke.example")[0].Body), &q); err != nil {
		t.Fatal(err)
	}
	want := hook.Question{
		Namespace: "shop", Name: "checkout", Phase: hook.PreRollout, Weight: 25, Execution: q.Execution,
		Canary: "checkout-2", Stable: "checkout-1", Metadata: map[string]string{"suite": "small"},
	}
	if diff := cmp.Diff(want, q); diff != "" || !strings.HasSuffix(q.Execution, ":checkout-b") {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	s.settled("checkout-1")
}

// A gate is told the weight that comes next, and asked anew for each; the same question has the
// same name.
func TestWhatAGateBetweenIsTold(t *testing.T) {
	t.Parallel()
	s, w := inTown(t, nil)
	w.answer = func(_ *http.Request, n int) (int, string, error) {
		if n == 0 {
			return 200, notYet, nil
		}
		return 200, yes, nil
	}
	s.run(gate("step", nil))
	var weights []int
	names := map[string]bool{}
	for _, c := range w.to("smoke.example") {
		var q hook.Question
		_ = json.Unmarshal([]byte(c.Body), &q)
		weights = append(weights, q.Weight)
		names[c.Delivery] = true
	}
	if diff := cmp.Diff([]int{50, 50, 75, 100}, weights); diff != "" || len(names) != 3 {
		t.Errorf("%d names; want one for each weight (-want +got):\n%s", len(names), diff)
	}
}

// A gate is asked when the step's time is over, and not by the watcher's every look.
func TestAGateIsNotHammered(t *testing.T) {
	t.Parallel()
	s, w := inTown(t, after(4, `{"hookStatus":"IN_PROGRESS","callBackDelay":100}`, yes))
	s.run(gate("step", fields{"limit": "30m"}))
	calls := w.to("smoke.example")
	for i := 1; i < 5; i++ {
		if gap := calls[i].After - calls[i-1].After; gap < 100*time.Second || gap > 105*time.Second {
			t.Errorf("question %d came %v after the one before; the gate asked for 100 s", i, gap)
		}
	}
	if calls[0].After < time.Minute {
		t.Errorf("the first question came after %v; want it after the step's minute", calls[0].After)
	}
}

// A gate that takes its time to answer does not keep the watcher from seeing pods die.
func TestASlowGateHidesNoCrash(t *testing.T) {
	t.Parallel()
	s, w := inTown(t, nil)
	w.answer = func(r *http.Request, _ int) (int, string, error) {
		return 200, yes, s.clock.Sleep(r.Context(), 25*time.Second)
	}
	s.cluster.Behave("shop", "checkout-2", cluster.Script{CrashAfter: 75 * time.Second})
	began := s.clock.Now()
	e := s.run(fields{"webhooks": gate("step", fields{"timeout": "30s"})["webhooks"], "drain": 0})
	if took := s.clock.Now().Sub(began); !strings.Contains(e.cause, "CrashLoopBackOff") || took > 80*time.Second {
		t.Errorf("it took %v and ended by %q; want the crash after 75 s to end it at once", took, e.cause)
	}
	s.settled("checkout-1")
}

// Where a person is asked, the gate is asked on, and the person's word counts for it.
func TestAPersonDecidesAboutASilentGate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		phase string
		wish  rollout.Wish
		want  string
	}{
		"before the first weight":    {"pre-rollout", rollout.WishResume, promoted},
		"between two weights":        {"step", rollout.WishResume, promoted},
		"before stable goes":         {"pre-promotion", rollout.WishPromote, promoted},
		"nobody, at the first":       {"pre-rollout", "", back},
		"nobody, at the last moment": {"pre-promotion", "", back},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := inTown(t, says(503, ""))
			extra := gate(tt.phase, nil)
			extra["on_undecided"], extra["pause_limit"], extra["percentage_step"] = "ask", "1h", 50
			arn := s.begin(extra)
			if tt.wish != "" {
				s.ask(arn, 12*time.Minute, fault.Asked, wish(1, tt.wish))
			}
			e := s.end(arn)
			if !strings.HasSuffix(e.path, tt.want) {
				t.Errorf("path %s (%s); want it to end with%s", e.path, e.cause, tt.want)
			}
			if tt.want == back && !strings.Contains(e.cause, "nobody answered within 1h0m0s") {
				t.Errorf("cause %q; want that nobody answered", e.cause)
			}
		})
	}
}

// What a person said before anybody was asked about the gate is no word about it: neither while pods
// start, nor while the gate has time left.
func TestAnEarlierWordIsNoneAboutAGate(t *testing.T) {
	t.Parallel()
	for _, w := range []rollout.Wish{rollout.WishResume, rollout.WishPromote} {
		for _, after := range []time.Duration{10 * time.Second, 3 * time.Minute} {
			s, _ := inTown(t, says(503, ""))
			s.cluster.Behave("shop", "checkout-2", cluster.Script{ReadyAfter: time.Minute})
			extra := gate("pre-rollout", nil)
			extra["on_undecided"], extra["pause_limit"] = "ask", "1h"
			arn := s.begin(extra)
			s.ask(arn, after, fault.Asked, wish(1, w))
			if e := s.end(arn); !strings.HasSuffix(e.path, back) || !strings.Contains(e.cause, "nobody answered within 1h0m0s") {
				t.Errorf("%s after %v: path %s (%s); want that nobody answered", w, after, e.path, e.cause)
			}
		}
	}
}

// A word that was for a later step reaches it, though a gate was open to question meanwhile.
func TestAnEarlierWordIsHeardByItsStep(t *testing.T) {
	t.Parallel()
	s, _ := inTown(t, after(8, notYet, yes))
	s.cluster.Behave("shop", "checkout-2", cluster.Script{ReadyAfter: time.Minute})
	extra := gate("pre-rollout", fields{"limit": "90s"})
	extra["on_undecided"], extra["pause_limit"] = "ask", "1h"
	arn := s.begin(extra)
	s.ask(arn, 10*time.Second, fault.Asked, wish(1, rollout.WishPromote))
	e := s.end(arn)
	shifts := strings.Count(e.path, "ShiftWeight")
	if !strings.HasSuffix(e.path, promoted) || shifts != 2 {
		t.Errorf("path %s (%s), %d shifts; want the first weight, and 100 %% at once", e.path, e.cause, shifts)
	}
}

// A person's word about a gate before the first weight is no approval of the first step.
func TestAWordAboutAGateIsNoApproval(t *testing.T) {
	t.Parallel()
	s, _ := inTown(t, says(503, ""))
	extra := gate("pre-rollout", nil)
	extra["on_undecided"], extra["pause_limit"], extra["percentage_step"] = "ask", "1h", nil
	extra["steps"] = []any{fields{"weight": 50, "approve": true}, 100}
	arn := s.begin(extra)
	s.ask(arn, 10*time.Minute, fault.Asked, wish(1, rollout.WishResume))
	if e := s.end(arn); !strings.HasSuffix(e.path, "HealthCheck Hold HealthCheck"+back) || !strings.Contains(e.cause, "waiting for a person's word") {
		t.Errorf("path %s (%s); want the step to wait for its own approval", e.path, e.cause)
	}
}

// A pause is no time in which a gate has to answer.
func TestAPauseDoesNotCountForAGate(t *testing.T) {
	t.Parallel()
	s, _ := inTown(t, after(12, notYet, yes))
	arn := s.begin(gate("step", nil))
	s.ask(arn, 90*time.Second, fault.Asked, wish(1, rollout.WishPause))
	s.ask(arn, 3*time.Hour, fault.Asked, wish(2, rollout.WishResume))
	if e := s.end(arn); !strings.HasSuffix(e.path, promoted) {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
}

// What the engine may not ask is refused before anything is changed, and so is every gate where the
// engine asks nobody.
func TestAGateThatMayNotBeAskedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		url   string
		cause string
	}{
		"a private address": {"https://10.0.0.1/t0ken", "private address"},
		"this machine":      {"http://127.0.0.1:9000/t0ken", "https is expected; http to this machine needs"},
	} {
		s, w := inTown(t, says(200, yes))
		e := s.run(gate("step", fields{"url": tt.url}))
		if e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.cause) || strings.Contains(e.cause, "t0ken") {
			t.Errorf("%s: path %s (%s); want it refused for %q", name, e.path, e.cause, tt.cause)
		}
		if len(w.calls) != 0 || s.record().Number != 1 {
			t.Errorf("%s: something was asked or changed: %v, %+v", name, w.calls, s.record())
		}
	}
	s := newScene(t)
	s.first()
	if e := s.run(gate("step", nil)); e.path != "Prepare Refused" || !strings.Contains(e.cause, "this stage has no web") {
		t.Errorf("without a way to ask: path %s (%s)", e.path, e.cause)
	}
}

// What a plan says of gates is enough for what they take.
func TestBudgetsOfGatesAreKept(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"pre-rollout", "step", "pre-promotion"} {
		for _, limit := range []string{"5m", "40m"} {
			s, _ := inTown(t, says(503, ""))
			extra := gate(phase, fields{"limit": limit})
			b := budget(t, extra)
			began := s.clock.Now()
			arn := s.begin(extra)
			s.end(arn)
			events, err := s.engine.History(arn, 0, 25000, false, false)
			if err != nil {
				t.Fatal(err)
			}
			if took := s.clock.Now().Sub(began); len(events) > b.Events || took > b.Longest {
				t.Errorf("%s, %s: %d events in %v; the plan said %d in %v at most", phase, limit, len(events), took, b.Events, b.Longest)
			}
		}
	}
}

func budget(t *testing.T, extra fields) spec.Budget {
	t.Helper()
	doc, err := spec.Parse("deploy.json", []byte(input(extra)))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Budget()
}
