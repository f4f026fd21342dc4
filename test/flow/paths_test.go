package flow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	router "github.com/stepcanary/stepcanary/internal/traffic/memory"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
)

// Pieces of paths.
const (
	toReady  = "Prepare DeployCanary AwaitReady"
	aStep    = " ShiftWeight HealthCheck"
	promoted = " Promote Promoted"
	back     = " Rollback RolledBack"
)

// steps is the path of n steps.
func steps(n int) string { return strings.Repeat(aStep, n) }

// after is a time since the meter's beginning, from now on.
func (s *scene) after(d time.Duration) time.Duration { return s.clock.Now().Sub(start) + d }

// A path is one scenario over a service whose version 1 serves.
type path struct {
	// world prepares what goes on, before the rollout of checkout-2 starts.
	world func(s *scene)
	input fields
	want  string
	// serves is the version at the end; cause is a part of what the end says.
	serves, cause string
}

func TestPaths(t *testing.T) {
	t.Parallel()
	healthy := map[string]float64{"checkout-1": 0, "checkout-2": 0}
	play := func(rates map[string]float64) func(*scene) {
		return func(s *scene) { s.play(rates) }
	}
	behave := func(b cluster.Script) func(*scene) {
		return func(s *scene) {
			s.play(healthy)
			s.cluster.Behave("shop", "checkout-2", b)
		}
	}
	for name, tt := range map[string]path{
		"a good canary is promoted": {
			world: play(healthy), want: toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"errors from the start": {
			world: play(map[string]float64{"checkout-1": 0, "checkout-2": 0.2}),
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "failed",
		},
		"ready but broken": {
			world: play(map[string]float64{"checkout-1": 0, "checkout-2": 1}),
			want:  toReady + steps(1) + back, serves: "checkout-1",
		},
		"errors only above 50 %": {
			world: func(s *scene) {
				s.meter.Play("shop", "checkout", meter.Script{
					Load: []meter.Load{{RPS: 100}},
					Versions: map[string][]meter.Phase{
						"checkout-1": {{}},
						"checkout-2": {{}, {From: s.after(125 * time.Second), ErrorRate: 0.3}},
					},
				})
			},
			want: toReady + steps(3) + back, serves: "checkout-1",
		},
		"latency only": {
			world: func(s *scene) {
				s.meter.Play("shop", "checkout", meter.Script{
					Load: []meter.Load{{RPS: 100}},
					Versions: map[string][]meter.Phase{
						"checkout-1": {{Latency: []meter.Latency{{Share: 1, Seconds: 0.05}}}},
						"checkout-2": {{Latency: []meter.Latency{{Share: 0.5, Seconds: 0.05}, {Share: 0.5, Seconds: 0.9}}}},
					},
				})
			},
			input: fields{"analysis": fields{"limits": []fields{{"metric": "latency", "percentile": 95, "max": "500ms"}}}},
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "took longer than 500ms",
		},
		"never ready": {
			world: behave(cluster.Script{NeverReady: true}), input: fields{"deadlines": fields{"ready": "5m"}},
			want: toReady + back, serves: "checkout-1", cause: "0 of 2 pods ready",
		},
		"an image that cannot be pulled": {
			world: behave(cluster.Script{PullFails: true}),
			want:  toReady + back, serves: "checkout-1", cause: "ImagePullBackOff",
		},
		"a crash loop at 50 %": {
			world: behave(cluster.Script{CrashAtWeight: 50}),
			want:  toReady + steps(2) + back, serves: "checkout-1", cause: "CrashLoopBackOff",
		},
		"a crash loop at 30 %": {
			world: behave(cluster.Script{CrashAtWeight: 30}), input: fields{"percentage_step": nil, "steps": []any{10, 30, 60, 100}},
			want: toReady + steps(2) + back, serves: "checkout-1", cause: "CrashLoopBackOff",
		},
		"stable is failing already, and the canary mends it": {
			world: play(map[string]float64{"checkout-1": 0.3, "checkout-2": 0}),
			want:  toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"stable is failing already, and the canary as badly": {
			world: play(map[string]float64{"checkout-1": 0.3, "checkout-2": 0.3}),
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "failed",
		},
		"stable is failing already, and the canary worse": {
			world: play(map[string]float64{"checkout-1": 0.1, "checkout-2": 0.5}),
			input: fields{"failure_threshold_value": 1000000},
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "on stable",
		},
		"no traffic is never promoted": {
			world: func(s *scene) {
				s.meter.Play("shop", "checkout", meter.Steady(0, healthy))
			},
			want: toReady + steps(1) + back, serves: "checkout-1", cause: "still not known",
		},
		"a version that nobody counts is never promoted": {
			world: play(map[string]float64{"checkout-1": 0}),
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "still not known",
		},
		"a metrics source that is down is never a pass": {
			world: func(s *scene) {
				script := meter.Steady(100, healthy)
				script.Down = []meter.Span{{From: s.after(0)}}
				s.meter.Play("shop", "checkout", script)
			},
			want: toReady + steps(1) + back, serves: "checkout-1", cause: "metrics source",
		},
		"a metrics source that is down for a while holds the step": {
			world: func(s *scene) {
				script := meter.Steady(100, healthy)
				script.Down = []meter.Span{{From: s.after(0), To: s.after(3 * time.Minute)}}
				s.meter.Play("shop", "checkout", script)
			},
			want: toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"a router that takes its time": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 50 * time.Second})
			},
			want: toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"a router that takes its time, and a bad canary": {
			world: func(s *scene) {
				s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0.2})
				s.router.Script(router.Script{Delay: 50 * time.Second})
			},
			want: toReady + steps(1) + back, serves: "checkout-1", cause: "failed",
		},
		"a route that takes eight minutes for the new back end, of ten": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 8 * time.Minute})
				s.atShift(1, func() { s.router.Script(router.Script{}) })
			},
			input: fields{"deadlines": fields{"observed": "10m"}},
			want:  toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"a route that takes twelve minutes for the new back end and for a weight, of thirty": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 12 * time.Minute})
				s.atShift(30, func() { s.router.Script(router.Script{}) }) // ten minutes into the first weight
			},
			input: fields{"deadlines": fields{"observed": "30m"}},
			want:  toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"a route that takes longer for the new back end than it may": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 12 * time.Minute})
				s.atShift(0, func() {
					s.clock.AfterFunc(11*time.Minute, func() { s.router.Script(router.Script{}) })
				})
			},
			input: fields{"deadlines": fields{"observed": "10m"}},
			want:  toReady + back, serves: "checkout-1",
			cause: "ready, and route checkout has not taken it up: the controller has not taken up the last change, at the deadline",
		},
		"a crash while the route takes its time": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 8 * time.Minute})
				s.atShift(0, func() {
					s.clock.AfterFunc(2*time.Minute, func() {
						s.cluster.Behave("shop", "checkout-2", cluster.Script{CrashAtWeight: 0, PullFails: true})
					})
					s.clock.AfterFunc(3*time.Minute, func() { s.router.Script(router.Script{}) })
				})
			},
			input: fields{"deadlines": fields{"observed": "10m"}},
			want:  toReady + back, serves: "checkout-1", cause: "ImagePullBackOff",
		},
		"the longest drain, over a route that takes its time, and a good canary": {
			world: func(s *scene) {
				s.play(healthy)
				s.router.Script(router.Script{Delay: 50 * time.Second})
			},
			input: fields{"drain": "10m"},
			want:  toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"the longest drain, over a route that takes its time, and a bad canary": {
			world: func(s *scene) {
				s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0.2})
				s.router.Script(router.Script{Delay: 50 * time.Second})
			},
			input: fields{"drain": "10m"},
			want:  toReady + steps(1) + back, serves: "checkout-1", cause: "failed",
		},
		"a drain that no function lives to see the end of is refused": {
			world: play(healthy), input: fields{"drain": "20m"},
			want: "Prepare Refused", serves: "checkout-1", cause: "at most ten minutes",
		},
		"an image digest": {
			world: play(healthy),
			input: fields{"container_image": "registry.example:5000/shop/podlet@sha256:" + strings.Repeat("ab", 32)},
			want:  toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"steps of 100": {
			world: play(healthy), input: fields{"percentage_step": 100},
			want: toReady + steps(1) + promoted, serves: "checkout-2",
		},
		"steps of 30, which do not divide 100": {
			world: play(healthy), input: fields{"percentage_step": 30},
			want: toReady + steps(4) + promoted, serves: "checkout-2",
		},
		"an explicit list of steps": {
			world: play(healthy), input: fields{"percentage_step": nil, "steps": []any{5, 50, 100}},
			want: toReady + steps(3) + promoted, serves: "checkout-2",
		},
		"steps of 0 are refused": {
			world: play(healthy), input: fields{"percentage_step": 0},
			want: "Prepare Refused", serves: "checkout-1", cause: "percentage_step",
		},
		"steps of 12.5 are refused": {
			world: play(healthy), input: fields{"percentage_step": 12.5},
			want: "Prepare Refused", serves: "checkout-1", cause: "percentage_step",
		},
		"a router that never converges": {
			world: func(s *scene) {
				s.play(healthy)
				s.atShift(1, func() {
					s.router.Script(router.Script{Never: true, Why: "no controller"})
					s.clock.AfterFunc(2*time.Minute, func() { s.router.Script(router.Script{}) })
				})
			},
			want: toReady + " ShiftWeight" + back, serves: "checkout-1", cause: "no controller",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.first()
			tt.world(s)
			e := s.run(tt.input)
			if e.path != tt.want {
				t.Errorf("path %s\nwant %s\n(%s)", e.path, tt.want, e.cause)
			}
			if !strings.Contains(e.cause, tt.cause) {
				t.Errorf("cause %q; want it to say %q", e.cause, tt.cause)
			}
			s.settled(tt.serves)
		})
	}
}

func TestFirstDeployments(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		world  func(s *scene)
		want   string
		serves string
	}{
		"a good one is promoted": {
			func(s *scene) { s.play(map[string]float64{"checkout-1": 0}) }, toReady + steps(1) + promoted, "checkout-1",
		},
		"over a route that leads nowhere, it is promoted": {
			func(s *scene) {
				s.router.Define(route, weights{"checkout": 100})
				s.play(map[string]float64{"checkout-1": 0})
			}, toReady + steps(1) + promoted, "checkout-1",
		},
		// The second run of Prepare has to know of the dead back end, too: the route could not be written without.
		"over such a route, by a start that is repeated": {
			func(s *scene) {
				s.router.Define(route, weights{"checkout": 100})
				s.play(map[string]float64{"checkout-1": 0})
				taken := false
				s.core.After(func(op string) error {
					if op != "record.Write" || taken {
						return nil
					}
					taken = true
					return fault.Transient
				})
			}, toReady + steps(1) + promoted, "checkout-1",
		},
		"one that nobody uses yet is promoted": {
			func(s *scene) {}, toReady + steps(1) + promoted, "checkout-1",
		},
		"one that is never ready leaves nothing behind": {
			func(s *scene) { s.cluster.Behave("shop", "checkout-1", cluster.Script{NeverReady: true}) }, toReady + back, "",
		},
		"one that fails is taken away": {
			func(s *scene) { s.play(map[string]float64{"checkout-1": 0.5}) }, toReady + steps(1) + back, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			tt.world(s)
			e := s.run(nil)
			if e.path != tt.want {
				t.Errorf("path %s\nwant %s\n(%s)", e.path, tt.want, e.cause)
			}
			if tt.serves != "" {
				s.settled(tt.serves)
				return
			}
			if rec := s.record(); rec.Holder != "" {
				t.Errorf("holder %q; want the lock free", rec.Holder)
			}
			if v, _ := s.cluster.Versions(t.Context(), service); len(v) != 0 {
				t.Errorf("versions %v; want none", v)
			}
		})
	}
}

func TestARolloutAfterARollbackGetsANewNumber(t *testing.T) {
	t.Parallel()
	s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 1, "checkout-3": 0})
	if e := s.run(nil); e.path != toReady+steps(1)+back {
		t.Fatalf("path %s (%s)", e.path, e.cause)
	}
	if e := s.run(nil); e.path != toReady+steps(4)+promoted {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-3")
}

func TestARedriveOfAnEndedRolloutChangesNothing(t *testing.T) {
	t.Parallel()
	s := deployed(t, healthyUpTo(2))
	arn := s.begin(nil)
	s.clock.AfterFunc(90*time.Second, func() { // in the middle of the second step
		if _, err := s.engine.Stop(arn, asl.Failure{}); err != nil {
			t.Error(err)
		}
	})
	if e := s.end(arn); e.Status != asl.Aborted {
		t.Fatalf("status %s, want it aborted", e.Status)
	}
	s.rest()
	s.settled("checkout-1")
	s.clock.AfterFunc(24*time.Hour, func() {
		if _, err := s.engine.Redrive(arn, ""); err != nil {
			t.Error(err)
		}
	})
	s.rest()
	if e := s.end(arn); !strings.HasSuffix(e.path, back) {
		t.Errorf("path %s; want it to go back (%s)", e.path, e.cause)
	}
	s.settled("checkout-1")
}
