package flow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// teamsRules are what a team may have on its route beside the service: other paths, a mirror, a
// redirect, filters on rules and on the back end, timeouts, and a back end that is kept for later.
const teamsRules = `[
  {"name": "static", "matches": [{"path": {"type": "PathPrefix", "value": "/static"}}],
   "backendRefs": [{"group": "", "kind": "Service", "name": "assets", "port": 80, "weight": 3},
                   {"group": "", "kind": "Service", "name": "assets-old", "port": 80, "weight": 1}]},
  {"name": "api", "timeouts": {"request": "10s"},
   "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}, {"path": {"type": "PathPrefix", "value": "/v1"}}],
   "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-Team", "value": "shop"}]}},
               {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "shadow", "port": 80}}}],
   "backendRefs": [{"group": "", "kind": "Service", "name": "checkout-1", "port": 80, "weight": 100,
                    "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-Version", "value": "1"}]}}]}]},
  {"name": "old", "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
   "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "example.com", "statusCode": 301}}]},
  {"name": "theirs", "matches": [{"path": {"type": "PathPrefix", "value": "/theirs"}}],
   "backendRefs": [{"group": "", "kind": "Service", "name": "checkout-1", "namespace": "other", "port": 80, "weight": 5}]},
  {"name": "rest",
   "backendRefs": [{"group": "", "kind": "Service", "name": "checkout-1", "port": 80, "weight": 200},
                   {"group": "", "kind": "Service", "name": "legacy", "port": 8080, "weight": 0}]}
]`

// onHTTPRoute puts the driver of the Gateway API under a scene whose version 1 serves behind an
// HTTPRoute, which its team has edited.
func onHTTPRoute(t *testing.T) (*scene, *apiserver) {
	t.Helper()
	s := newScene(t)
	api := &apiserver{}
	s.meter.Follow(nil) // the route is not the world's
	s.cluster.Create = func(o workload.Object) {
		if o.Kind() == "HTTPRoute" {
			api.create(o)
		}
	}
	client := kube.New(api)
	s.Router = counted{gatewayapi.New(client), func() {
		st, err := gatewayapi.New(kube.New(api.hands())).Read(t.Context(), route)
		if err != nil {
			t.Error(err)
		}
		s.meter.Shift(route.Namespace, route.Route, st.Weights)
	}}
	s.first()
	api.edit(func(o *unstructured.Unstructured) {
		var rules []any
		if err := json.Unmarshal([]byte(teamsRules), &rules); err != nil {
			t.Fatal(err)
		}
		o.Object["spec"].(map[string]any)["rules"] = rules
		annotations := o.GetAnnotations()
		annotations["team"] = "shop"
		o.SetAnnotations(annotations)
	})
	api.versions = api.versions[len(api.versions)-1:]
	return s, api
}

// A whole rollout over a real HTTPRoute changes nothing of it but the weights of the service's two
// back ends, and the rule for match, at any moment, whichever way it ends.
func TestATeamsRouteSurvivesAWholeRollout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors float64
		input  fields
		act    func(s *scene, arn string)
		status asl.Status
		serves string
		writes int
	}{
		"promoted":                  {status: asl.Succeeded, serves: "checkout-2", writes: 6},
		"promoted, with match":      {input: matching(), status: asl.Succeeded, serves: "checkout-2", writes: 7},
		"rolled back":               {errors: 1, status: asl.Failed, serves: "checkout-1", writes: 3},
		"rolled back, with match":   {errors: 1, input: matching(), status: asl.Failed, serves: "checkout-1", writes: 4},
		"aborted in the third hold": {act: abortLate, status: asl.Failed, serves: "checkout-1", writes: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, api := onHTTPRoute(t)
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			arn := s.begin(tt.input)
			if tt.act != nil {
				tt.act(s, arn)
			}
			if e := s.end(arn); e.Status != tt.status {
				t.Fatalf("%s, path %s (%s)", e.Status, e.path, e.cause)
			}
			for i, v := range api.versions[1:] {
				if diff := cmp.Diff(theirs(api.versions[0]), theirs(v)); diff != "" {
					t.Errorf("write %d changed what is the team's (-before +after):\n%s", i+1, diff)
				}
				weighed(t, i+1, v)
			}
			if len(api.versions)-1 != tt.writes {
				t.Errorf("%d writes; want %d", len(api.versions)-1, tt.writes)
			}
			last := api.versions[len(api.versions)-1]
			want := []string{"api " + tt.serves + " 100", "rest " + tt.serves + " 200"}
			if diff := cmp.Diff(want, ours(last)); diff != "" {
				t.Errorf("the service's back ends in the end (-want +got):\n%s", diff)
			}
			if rec := s.record(); rec.Holder != "" || rec.Stable.Name != tt.serves {
				t.Errorf("record: holder %q, stable %q", rec.Holder, rec.Stable.Name)
			}
		})
	}
}

func abortLate(s *scene, arn string) { s.ask(arn, 150*time.Second, fault.Aborted, "by a test") }

// An HTTPRoute of Gateway API before 1.4 has no names of rules, by which match finds its own. The server dropped them, so that each
// look added more, and after the way back all of them stayed and sent users to a version that was gone.
func TestMatchNeedsNamesOfRules(t *testing.T) {
	t.Parallel()
	s, api := onHTTPRoute(t)
	api.nameless = true
	api.edit(func(o *unstructured.Unstructured) { api.prune(o) })
	api.versions = api.versions[1:]
	split := traffic.Split{Stable: "checkout-1", Canary: "checkout-2"}
	if err := gatewayapi.New(kube.New(api.hands())).Match(t.Context(), route, split, testers, rollout.Fence{Epoch: 1, Seq: rollout.Last + 1}); !errors.Is(err, fault.Invalid) {
		t.Fatalf("Match() = %v; want %v", err, fault.Invalid)
	}
	s.play(map[string]float64{"checkout-1": 0, "checkout-3": 0})
	e := s.run(matching())
	s.rest()
	if e.Status != asl.Failed || !strings.Contains(e.cause, "Gateway API 1.4 or newer is expected") || strings.Contains(e.cause, "parentRefs") {
		t.Errorf("%s, path %s (%s)", e.Status, e.path, e.cause)
	}
	for i, v := range api.versions[1:] {
		if diff := cmp.Diff(theirs(api.versions[0]), theirs(v)); diff != "" {
			t.Errorf("write %d changed what is the team's (-before +after):\n%s", i+1, diff)
		}
	}
	if e := s.run(nil); e.Status != asl.Succeeded {
		t.Errorf("without match: %s, path %s (%s)", e.Status, e.path, e.cause)
	}
}

// A route of the real kind gets each answer of a troubled API server once for each verb, and
// the rollout comes through.
func TestPassingTroubleOfARouteIsBorne(t *testing.T) {
	t.Parallel()
	for code, answer := range answers() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s, api := onHTTPRoute(t)
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
			failed := map[string]bool{}
			api.fail = func(verb string) error {
				if failed[verb] {
					return nil
				}
				failed[verb] = true
				return answer
			}
			if e := s.run(nil); e.Status != asl.Succeeded || len(failed) != 3 {
				t.Errorf("path %s (%s) with trouble at %v", e.path, e.cause, failed)
			}
			for i, v := range api.versions[1:] {
				weighed(t, i+1, v)
			}
		})
	}
}

// refs calls f with each back end of ours, and drops those of which f says no.
func refs(o *unstructured.Unstructured, f func(rule string, ref map[string]any) (keep bool)) {
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for _, r := range rules {
		rule := r.(map[string]any)
		list, _ := rule["backendRefs"].([]any)
		name, _ := rule["name"].(string)
		kept := slices.DeleteFunc(list, func(v any) bool {
			ref := v.(map[string]any)
			back, _ := ref["name"].(string)
			_, elsewhere := ref["namespace"]
			return workload.NumberOf("checkout", back) > 0 && !elsewhere && !f(name, ref)
		})
		if list != nil {
			rule["backendRefs"] = kept
		}
	}
	_ = unstructured.SetNestedSlice(o.Object, rules, "spec", "rules")
}

// theirs is the route without what is ours: our back ends, our rule, our mark, and what the
// server itself counts.
func theirs(o *unstructured.Unstructured) map[string]any {
	o = o.DeepCopy()
	refs(o, func(string, map[string]any) bool { return false })
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	rules = slices.DeleteFunc(rules, func(r any) bool { return matchRule(r.(map[string]any)["name"]) })
	_ = unstructured.SetNestedSlice(o.Object, rules, "spec", "rules")
	annotations := o.GetAnnotations()
	delete(annotations, "stepcanary.dev/fence-checkout")
	o.SetAnnotations(annotations)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	delete(o.Object, "status")
	return o.Object
}

// matchRule tells a rule that Match wrote by its name.
func matchRule(name any) bool { return strings.HasPrefix(fmt.Sprint(name), "stepcanary-match") }

// ours is the rule, name and weight of each back end of ours.
func ours(o *unstructured.Unstructured) (out []string) {
	refs(o.DeepCopy(), func(rule string, ref map[string]any) bool {
		out = append(out, fmt.Sprint(rule, " ", ref["name"], " ", ref["weight"]))
		return true
	})
	return out
}

// weighed checks one version of the route: every weight of ours is written out, the two of a rule
// have together what they had, and the filters of a back end are its own.
func weighed(t *testing.T, write int, o *unstructured.Unstructured) {
	t.Helper()
	sums := map[string]int64{}
	refs(o.DeepCopy(), func(rule string, ref map[string]any) bool {
		w, explicit := ref["weight"].(int64)
		if !explicit {
			t.Errorf("write %d: %s has no weight in rule %s", write, ref["name"], rule)
		}
		sums[rule] += w
		_, filtered := ref["filters"]
		if want := rule == "api" && ref["name"] == "checkout-1"; filtered != want && !matchRule(rule) {
			t.Errorf("write %d: %s has filters in rule %s: %v; want %v", write, ref["name"], rule, filtered, want)
		}
		return true
	})
	want := map[string]int64{"api": 100, "rest": 200}
	if sums["stepcanary-match.checkout"] != 0 {
		want["stepcanary-match.checkout"], want["stepcanary-match.checkout.2"] = 1, 1
	}
	if diff := cmp.Diff(want, sums); diff != "" || strings.Contains(fmt.Sprint(ours(o)), "checkout-3") {
		t.Errorf("write %d: weights of ours by rule (-want +got):\n%s\n%v", write, diff, ours(o))
	}
}
