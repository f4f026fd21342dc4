package flow_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/fault"
)

// rules reads the rules of a route.
func rules(t *testing.T, text string) (out []any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (a *apiserver) rule(rules []any) {
	a.edit(func(o *unstructured.Unstructured) { o.Object["spec"].(map[string]any)["rules"] = rules })
}

func (a *apiserver) last() *unstructured.Unstructured { return a.versions[len(a.versions)-1] }

const (
	mainRule = `{"name": "main", "backendRefs": [{"name": "checkout-1", "port": 80, "weight": 100}]}`
	idleRule = `{"name": "old", "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
	  "backendRefs": [{"name": "checkout-1", "port": 80, "weight": 0}, {"name": "legacy", "port": 80, "weight": 1}]}`
	twiceRule = `{"name": "twice", "matches": [{"path": {"type": "PathPrefix", "value": "/twice"}}],
	  "backendRefs": [{"name": "checkout-1", "port": 80, "weight": 90}, {"name": "checkout-1", "port": 81, "weight": 10}]}`
)

// A rule that keeps the service at weight 0 beside others had every write of the weights refused, the one of the
// way back too: users stayed where they were, and the lock stayed held.
func TestARuleThatGivesTheServiceNothingIsLeftThere(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		errors float64
		path   string
		want   []string
	}{
		"promoted":    {0, toReady + steps(4) + promoted, []string{"main checkout-2 100", "old checkout-2 0"}},
		"rolled back": {1, toReady + steps(1) + back, []string{"main checkout-1 100", "old checkout-1 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, api := onHTTPRoute(t)
			api.rule(rules(t, "["+mainRule+","+idleRule+"]"))
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			if e := s.run(nil); e.path != tt.path {
				t.Errorf("path %s\nwant %s\n(%s)", e.path, tt.path, e.cause)
			}
			if diff := cmp.Diff(tt.want, ours(api.last())); diff != "" || s.record().Holder != "" {
				t.Errorf("holder %q, back ends in the end (-want +got):\n%s", s.record().Holder, diff)
			}
		})
	}
}

// Nor does a rule that a team adds in the middle of a rollout keep users of another one from their way back, whatever it
// has in it.
func TestNoRuleKeepsUsersOfAnotherFromTheirWayBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		added string
		want  []string
	}{
		"the service at weight 0": {idleRule, []string{"main checkout-1 100", "old checkout-1 0"}},
		"the service twice":       {twiceRule, []string{"main checkout-1 100", "twice checkout-1 90", "twice checkout-1 10"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, api := onHTTPRoute(t)
			api.rule(rules(t, "["+mainRule+"]"))
			s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
			arn := s.begin(nil)
			s.clock.AfterFunc(90*time.Second, func() {
				have, _, _ := unstructured.NestedSlice(api.last().Object, "spec", "rules")
				api.rule(slices.Concat(have, rules(t, "["+tt.added+"]")))
			})
			s.ask(arn, 100*time.Second, fault.Aborted, "odd")
			e := s.end(arn)
			s.rest()
			if diff := cmp.Diff(tt.want, ours(api.last())); diff != "" || s.record().Holder != "" {
				t.Errorf("path %s (%s), holder %q, back ends in the end (-want +got):\n%s", e.path, e.cause, s.record().Holder, diff)
			}
		})
	}
}

// In an incident a person sends all users to a page, in the middle of a rollout. Whether the rollout is aborted or not, its
// canary goes, the page stays, and nobody is told that users are on stable.
func TestAPageInTheMiddleOfARollout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ abort, again bool }{
		"and an abort":                      {abort: true},
		"and nothing more":                  {},
		"and an abort whose way is resumed": {abort: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := deployed(t, map[string]float64{"checkout-1": 0, "checkout-2": 0, "sorry": 0})
			arn := s.begin(nil)
			s.clock.AfterFunc(90*time.Second, func() {
				s.router.Define(route, weights{"checkout-1": 0, "checkout-2": 0, "sorry": 100})
			})
			stopped := false
			s.core.Before(func(op string) error {
				if op == "workload.Remove" && tt.again && !stopped {
					stopped = true
					return fault.Transient
				}
				return nil
			})
			if tt.abort {
				s.ask(arn, 100*time.Second, fault.Aborted, "incident")
			}
			e := s.end(arn)
			s.rest()
			if diff := cmp.Diff(weights{"checkout-1": 0, "sorry": 100}, s.router.Served(route, s.clock.Now())); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
			rec := s.record()
			if e.Status == asl.Succeeded || rec.Holder != "" || rec.Stable.Name != "checkout-1" || !strings.Contains(e.cause, "gives nothing to checkout-1") {
				t.Errorf("path %s (%s), record: holder %q, stable %q", e.path, e.cause, rec.Holder, rec.Stable.Name)
			}
			if _, there := s.cluster.Status("shop", "checkout-2", s.clock.Now()); there {
				t.Error("checkout-2 is there still")
			}
		})
	}
}
