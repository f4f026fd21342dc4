package flow_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// answers are what an API server says instead of doing it, as they come out of the drivers.
func answers() map[string]error {
	r := schema.GroupResource{Group: "gateway.networking.k8s.io", Resource: "httproutes"}
	out := map[string]error{}
	for name, err := range map[string]error{
		"409": apierrors.NewConflict(r, "checkout", fmt.Errorf("somebody else was first")),
		"429": apierrors.NewTooManyRequestsError("somebody asks too much"),
		"500": apierrors.NewInternalError(fmt.Errorf("somebody broke it")),
		"503": apierrors.NewServiceUnavailable("somebody is upgrading"),
		"504": apierrors.NewTimeoutError("somebody is slow", 1),
	} {
		out[name] = kube.Fault("do it", err)
	}
	return out
}

// Each kind of call gets each of these answers once in each state that makes it: the rollout comes
// through, over a version of ours and over one that it finds.
func TestPassingTroubleOfEveryCallIsBorne(t *testing.T) {
	t.Parallel()
	for code, answer := range answers() {
		for _, found := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, found %v", code, found), func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				last := "checkout-2"
				if found {
					last = "checkout-1"
					s.cluster.Place("shop", workload.Version{Name: "legacy", Deployment: "legacy", Replicas: 2})
					s.router.Define(route, weights{"legacy": 100})
				} else {
					s.first()
				}
				s.play(map[string]float64{"legacy": 0, "checkout-1": 0, "checkout-2": 0})
				arn, failed := s.begin(matching()), map[string]bool{}
				s.core.Before(func(op string) error {
					// What is told to people is best effort, and not tried again.
					if at := op + " in " + s.in(arn); op != "workload.Tell" && !failed[at] {
						failed[at] = true
						return answer
					}
					return nil
				})
				if e := s.end(arn); e.Status != asl.Succeeded {
					t.Errorf("path %s (%s)", e.path, e.cause)
				}
				calls := slices.Sorted(maps.Keys(failed))
				if len(calls) < 18 {
					t.Errorf("%d calls were made to fail, too few to be all: %q", len(calls), calls)
				}
				s.core.Before(nil)
				s.settled(last)
			})
		}
	}
}

// in is the state that the execution is in.
func (s *scene) in(arn string) string {
	events, err := s.engine.History(arn, 0, 30, true, false)
	if err != nil {
		s.Error(err)
	}
	for _, e := range events {
		if strings.HasSuffix(e.Type, "StateEntered") {
			return e.Details.Name
		}
	}
	return ""
}

// Trouble that lasts longer than it is borne ends the rollout with its words: back where the
// canary is not the stable version yet, and on the canary where it is. The way back itself comes
// through as soon as the trouble is over.
func TestLastingTroubleOfACallGoesBack(t *testing.T) {
	t.Parallel()
	onCanary := []string{"Promote traffic.Settle", "Promote workload.Remove"}
	var calls []string
	for state, ops := range map[string]string{
		"Prepare":      "record.Read workload.Versions traffic.Read workload.DryRun record.Write",
		"DeployCanary": "record.Read workload.Apply traffic.Shift",
		"AwaitReady":   "workload.Follow workload.Next traffic.Match traffic.Await",
		"ShiftWeight":  "traffic.Shift traffic.Await",
		"HealthCheck":  "workload.Follow workload.Next",
		"Promote":      "record.Read record.Write traffic.Settle workload.Remove",
	} {
		for op := range strings.FieldsSeq(ops) {
			calls = append(calls, state+" "+op)
		}
	}
	for _, call := range calls {
		for code, answer := range answers() {
			if code != "409" && code != "503" {
				continue // one of each kind that a driver makes of them
			}
			t.Run(call+" "+code, func(t *testing.T) {
				t.Parallel()
				s := deployed(t, healthyUpTo(2))
				state, op, _ := strings.Cut(call, " ")
				arn, until := s.begin(matching()), time.Time{}
				s.core.Before(func(now string) error {
					if now != op || until.IsZero() && s.in(arn) != state {
						return nil
					}
					if until.IsZero() {
						until = s.clock.Now().Add(2 * time.Minute) // longer than any task is tried, drains included
					}
					if s.clock.Now().Before(until) {
						return answer
					}
					return nil
				})
				e := s.end(arn)
				s.core.Before(nil)
				if slices.Contains(onCanary, call) {
					if !strings.HasSuffix(e.path, "Promote Rollback Promoted") {
						t.Errorf("path %s (%s)", e.path, e.cause)
					}
					s.settled("checkout-2")
					return
				}
				if !strings.HasSuffix(e.path, state+back) || !strings.Contains(e.cause, "somebody") {
					t.Errorf("path %s (%s); want it to go back from %s with the server's words", e.path, e.cause, state)
				}
				s.settled("checkout-1")
			})
		}
	}
}
