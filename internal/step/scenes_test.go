package step_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/stepcanary/stepcanary/internal/analysis"
	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/step"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// fields are parts of a deploy.json.
type fields = enginetest.Fields

// A scene is a rollout to be recorded: of version 2 beside version 1, unless it is the first.
type scene struct {
	first bool
	input fields
	// pace is the source's, if not the stage's own.
	pace metric.Pace
	// rps is how many requests there are, answer what each version makes of them.
	rps    float64
	answer map[string]meter.Phase
	// seed draws what is counted, 1 if zero. The others were looked for: with them the evidence misses its line by
	// little, and then just reaches it.
	seed uint64
	// also changes the stage before the rollout, or the script of its users.
	also func(t *testing.T, s *enginetest.Scene, script *meter.Script)
	// wishes are a person's, by the time after the start.
	wishes map[time.Duration]rollout.Wish
}

// play rolls the scene out and gives its history.
func (sc scene) play(t *testing.T) []types.HistoryEvent {
	t.Helper()
	if sc.pace.Every == 0 {
		sc.pace = enginetest.Pace
	}
	s := enginetest.NewAt(t, sc.pace)
	if !sc.first {
		s.First(t)
	}
	script := meter.Script{Load: []meter.Load{{RPS: sc.rps}}, Versions: map[string][]meter.Phase{}, Seed: max(1, sc.seed)}
	for version, p := range sc.answer {
		script.Versions[version] = []meter.Phase{p}
	}
	if sc.also != nil {
		sc.also(t, s, &script)
	}
	s.Meter.Play(enginetest.Service.Namespace, enginetest.Service.Name, script)
	s.Clock.Begin()
	arn := s.Begin(t, sc.input)
	for after, w := range sc.wishes {
		s.Clock.AfterFunc(after, func() { ask(t, s, arn, w) })
	}
	s.Clock.End()
	if err := s.Engine.Wait(t.Context(), arn); err != nil {
		t.Fatal(err)
	}
	return s.History(t, arn)
}

func ask(t *testing.T, s *enginetest.Scene, arn string, w rollout.Wish) {
	cause, _ := json.Marshal(step.Request{ID: string(w), Wish: w}) // of strings
	name, text := string(fault.Asked), string(cause)
	if err := s.Engine.SendTaskFailure(s.Token(arn), asl.Failure{Error: &name, Cause: &text}); err != nil {
		t.Error(err)
	}
}

// answers are what both versions answer.
func answers(stable, canary meter.Phase) map[string]meter.Phase {
	return map[string]meter.Phase{"checkout-1": stable, "checkout-2": canary}
}

func failing(rate float64) meter.Phase { return meter.Phase{ErrorRate: rate} }

// slow is a version of which this share of answers takes 900 ms.
func slow(share float64) meter.Phase {
	return meter.Phase{Latency: []meter.Latency{{Share: 1 - share, Seconds: 0.05}, {Share: share, Seconds: 0.9}}}
}

// short is a rollout of two steps of a quarter of a minute, with more fields.
func short(more fields) fields {
	f := fields{"percentage_step": nil, "steps": []any{25, 100}, "wait_time": 15}
	for k, v := range more {
		f[k] = v
	}
	return f
}

// held is an analysis with that limit beside the comparison with stable.
func held(limit fields) fields { return fields{"limits": []fields{limit}} }

// compared is one that leaves everything to the comparison, made like this.
func compared(how fields) fields {
	a := held(fields{"metric": "error-rate", "max": "50%"})
	a["compare"] = how
	return a
}

var lenient = compared(fields{})

// scenes are the rollouts that were recorded, or will be: a new line and -record add one.
var scenes = map[string]scene{
	"good-by-comparison": {
		input: short(fields{"analysis": lenient}), rps: 100, answer: answers(failing(0.005), failing(0.005)),
	},
	"good-by-evidence": {
		input: short(fields{"pace": "evidence", "longest_step": "10m", "analysis": lenient}), rps: 40, answer: answers(failing(0.03), failing(0.03)),
	},
	"bad-by-comparison": {
		seed:  26,
		input: short(fields{"analysis": lenient}), rps: 15, answer: answers(failing(0.01), failing(0.04)),
	},
	"bad-beyond-what-is-ignored": {
		seed:  8,
		input: short(fields{"analysis": compared(fields{"ignore_below": "2%"})}), rps: 20,
		answer: answers(failing(0.002), failing(0.05)),
	},
	"held-until-it-is-better": {
		seed:  18,
		input: short(fields{"wait_time": 75, "analysis": compared(fields{"prove_by": 0})}), rps: 40,
		answer: answers(failing(0.01), failing(0)),
		also: func(_ *testing.T, s *enginetest.Scene, script *meter.Script) {
			now := s.Clock.Now().Sub(enginetest.Start)
			script.Versions["checkout-2"] = []meter.Phase{failing(0.03), {From: now + 75*time.Second}}
		},
	},
	"bad-by-limit": {
		input: short(fields{"analysis": held(fields{"metric": "error-rate", "max": "2%", "failures_allowed": 2})}),
		rps:   40, answer: answers(failing(0.02), failing(0.035)),
	},
	"bad-by-latency": {
		input: short(fields{"analysis": held(fields{"metric": "latency", "percentile": 95, "max": "500ms"})}),
		rps:   20, answer: answers(slow(0.01), slow(0.08)),
	},
	"silence": {
		input: short(fields{"patience": "2m", "analysis": lenient}), answer: answers(failing(0), failing(0)),
	},
	"silence-asks-a-person": {
		input:  short(fields{"patience": "30s", "on_undecided": "ask", "pause_limit": "90s", "analysis": lenient}),
		answer: answers(failing(0), failing(0)),
		wishes: map[time.Duration]rollout.Wish{100 * time.Second: rollout.WishPromote},
	},
	"source-down-for-a-while": {
		input: short(fields{"analysis": lenient}), rps: 100, answer: answers(failing(0), failing(0)),
		also: func(_ *testing.T, s *enginetest.Scene, script *meter.Script) {
			now := s.Clock.Now().Sub(enginetest.Start)
			script.Down = []meter.Span{{From: now + 10*time.Second, To: now + time.Minute}}
		},
	},
	"first-deployment": {
		first: true, input: short(fields{"container_image": "podlet:1", "analysis": lenient}),
		rps: 20, answer: map[string]meter.Phase{"checkout-1": failing(0)},
	},
	"crash-loop": {
		input: short(fields{"steps": []any{25, 50, 100}, "analysis": lenient}), rps: 40, answer: answers(failing(0), failing(0)),
		also: func(_ *testing.T, s *enginetest.Scene, _ *meter.Script) {
			s.World.Cluster.Behave(enginetest.Service.Namespace, "checkout-2", cluster.Script{CrashAtWeight: 50})
		},
	},
	"gate-refuses": {
		seed:  2,
		input: short(fields{"analysis": lenient, "webhooks": []fields{{"name": "smoke", "phase": "step", "url": "https://smoke.example"}}}),
		rps:   40, answer: answers(failing(0), failing(0)),
		also: func(_ *testing.T, s *enginetest.Scene, _ *meter.Script) {
			s.Web = enginetest.Answer(`{"hookStatus":"FAILED","reason":"the schema is old"}`)
		},
	},
	"paused-and-resumed": {
		input: short(fields{"pause_limit": "10m", "analysis": lenient}), rps: 100, answer: answers(failing(0), failing(0)),
		wishes: map[time.Duration]rollout.Wish{10 * time.Second: rollout.WishPause, 90 * time.Second: rollout.WishResume},
	},
	"approved-before-it-is-proven": {
		seed:  2,
		input: short(fields{"steps": []any{fields{"weight": 25, "approve": true}, 100}, "analysis": lenient}),
		rps:   40, answer: answers(failing(0), failing(0)),
		wishes: map[time.Duration]rollout.Wish{5 * time.Second: rollout.WishResume},
	},
	"all-versions-together": {
		input: short(fields{"wait_time": 200, "failure_threshold_value": 20, "failure_threshold_time": 60}),
		pace:  metric.Pace{Every: time.Minute, Lag: 90 * time.Second},
		rps:   10, answer: answers(failing(0.005), failing(0.08)),
		also: func(_ *testing.T, s *enginetest.Scene, _ *meter.Script) { s.Source = together{s.Meter} },
	},
}

// together is a source that counts all versions together.
type together struct{ *meter.Meter }

// Unscoped says so.
func (together) Unscoped() bool { return true }

// Intervals has the sum of both versions for the canary's.
func (m together) Intervals(ctx context.Context, s metric.Subject, w metric.Window) ([]analysis.Interval, error) {
	out, err := m.Meter.Intervals(ctx, s, w)
	for i, iv := range out {
		iv.Canary.Requests += iv.Stable.Requests
		iv.Canary.Errors += iv.Stable.Errors
		iv.Canary.Known = iv.Canary.Known || iv.Stable.Known
		iv.Stable = analysis.Counts{}
		out[i] = iv
	}
	return out, err
}
