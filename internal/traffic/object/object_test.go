package object

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

// route is an object whose first rule has these back ends.
func route(fence string, refs ...any) *unstructured.Unstructured {
	metadata := map[string]any{"name": "checkout", "annotations": map[string]any{"team": "shop"}}
	if fence != "" {
		metadata["annotations"] = map[string]any{"team": "shop", fenceKey("checkout"): fence}
	}
	return &unstructured.Unstructured{Object: map[string]any{"metadata": metadata, "refs": refs}}
}

func ref(name string, weight any) map[string]any {
	out := map[string]any{"name": name, "port": int64(80), "filters": []any{"the team's"}}
	if weight != nil {
		out["weight"] = weight
	}
	return out
}

func rulesOfRefs(o *unstructured.Unstructured) ([]Rule, error) {
	refs, _ := o.Object["refs"].([]any)
	r := Rule{Path: "refs", At: []string{"refs"}, Refs: refs, Like: func(ref map[string]any, name string) map[string]any {
		return map[string]any{"name": name, "port": ref["port"]}
	}}
	for _, v := range refs {
		m := v.(map[string]any)
		b := Backend{Name: m["name"].(string), Weight: 1}
		if w, ok := m["weight"].(int64); ok {
			b.Weight = w
		}
		r.Backends = append(r.Backends, b)
	}
	return []Rule{r}, nil
}

var driver = Route{Kind: "Refs", Rules: rulesOfRefs}

func shifts(w rollout.Weight) edit {
	return func(o *unstructured.Unstructured, p *kube.Patch) error {
		s := traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: w}
		return driver.shift(o, p, s)
	}
}

func settles(keep, drop string) edit {
	return func(o *unstructured.Unstructured, p *kube.Patch) error {
		rules, err := driver.Rules(o)
		for _, rule := range rules {
			rule.settle(p, keep, drop)
		}
		return err
	}
}

// played is what the patch makes of the back ends, and the fence that it writes.
func played(o *unstructured.Unstructured, p kube.Patch) (refs []any, fence any) {
	refs = append(refs, o.Object["refs"].([]any)...)
	for _, op := range p {
		if op.Path == "/metadata/annotations/stepcanary.dev~1fence-checkout" {
			fence = op.Value
			continue
		}
		for i := range len(refs) + 1 {
			at := "/refs/" + strconv.Itoa(i)
			switch {
			case op.Path == at+"/weight":
				m := maps.Clone(refs[i].(map[string]any))
				m["weight"] = op.Value
				refs[i] = m
			case op.Path == at && op.Op == "remove":
				refs = append(refs[:i:i], refs[i+1:]...)
			case op.Path == at && i < len(refs) && op.Op == "replace":
				refs[i] = op.Value
			case op.Path == at: // RFC 6902: add to an array inserts
				refs = append(refs[:i:i], append([]any{op.Value}, refs[i:]...)...)
			default:
				continue
			}
			break
		}
	}
	return refs, fence
}

// One patch holds the weights, each written out, and the fence; the rest of a back end stays.
func TestWhatIsWritten(t *testing.T) {
	fence := rollout.Fence{Epoch: 3, Seq: 2}
	for name, tt := range map[string]struct {
		route *unstructured.Unstructured
		edit  edit
		want  []any
	}{
		"the canary is named, with an explicit zero": {
			route("3.1", ref("checkout-1", int64(100))), shifts(0),
			[]any{ref("checkout-1", int64(100)), map[string]any{"name": "checkout-2", "port": int64(80), "weight": int64(0)}},
		},
		"the two move": {
			route("3.1", ref("checkout-1", int64(100)), ref("checkout-2", int64(0))), shifts(25),
			[]any{ref("checkout-1", int64(75)), ref("checkout-2", int64(25))},
		},
		"all the way back, with an explicit zero": {
			route("3.1", ref("checkout-1", int64(75)), ref("checkout-2", int64(25))), shifts(0),
			[]any{ref("checkout-1", int64(100)), ref("checkout-2", int64(0))},
		},
		"all the way, with an explicit zero": {
			route("", ref("checkout-1", int64(75)), ref("checkout-2", int64(25))), shifts(100),
			[]any{ref("checkout-1", int64(0)), ref("checkout-2", int64(100))},
		},
		"settled on the new one": {
			route("2.9", ref("checkout-1", int64(0)), ref("checkout-2", int64(100))), settles("checkout-2", "checkout-1"),
			[]any{ref("checkout-2", int64(100))},
		},
		"settled on the old one": {
			route("2.9", ref("checkout-1", int64(100)), ref("checkout-2", int64(0))), settles("checkout-1", "checkout-2"),
			[]any{ref("checkout-1", int64(100))},
		},
		"nothing beside others stays nothing": {
			route("", ref("checkout-1", int64(0)), ref("legacy", int64(1))), shifts(25),
			[]any{ref("checkout-1", int64(0)), map[string]any{"name": "checkout-2", "port": int64(80), "weight": int64(0)}, ref("legacy", int64(1))},
		},
		"settled with nothing beside others": {
			route("", ref("checkout-1", int64(0)), ref("checkout-2", int64(0)), ref("sorry", int64(100))), settles("checkout-1", "checkout-2"),
			[]any{ref("checkout-1", int64(0)), ref("sorry", int64(100))},
		},
		"a route that answers nobody is not left so": {
			route("", ref("checkout-1", int64(0)), ref("checkout-2", int64(0)), ref("legacy", int64(0))), settles("checkout-1", "checkout-2"),
			[]any{ref("checkout-1", int64(100)), ref("legacy", int64(0))},
		},
		"settled on one that stands there twice": {
			route("", ref("checkout-1", int64(60)), ref("checkout-2", int64(30)), ref("checkout-1", int64(10))), settles("checkout-1", "checkout-2"),
			[]any{ref("checkout-1", int64(90)), ref("checkout-1", int64(10))},
		},
		"two that answer nobody, settled": {
			route("", ref("checkout-1", int64(0)), ref("checkout-1", int64(0))), settles("checkout-1", "checkout-2"),
			[]any{ref("checkout-1", int64(100)), ref("checkout-1", int64(0))},
		},
		"settled past one that stands there twice": {
			route("", ref("checkout-2", int64(50)), ref("legacy", int64(40)), ref("checkout-2", int64(10))), settles("checkout-1", "checkout-2"),
			[]any{map[string]any{"name": "checkout-1", "port": int64(80), "weight": int64(60)}, ref("legacy", int64(40))},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan(tt.route, "checkout", fence, tt.edit)
			if err != nil {
				t.Fatal(err)
			}
			refs, written := played(tt.route, p)
			if diff := cmp.Diff(tt.want, refs); diff != "" {
				t.Errorf("back ends (-want +got):\n%s\npatch %v", diff, p)
			}
			if written != "3.2" {
				t.Errorf("the fence %v is written; want 3.2", written)
			}
		})
	}
}

// What is neither all nor nothing is told as neither: a canary at 996 of 1000 is not at 100 %.
func TestAShareIsAllOnlyWhereItIs(t *testing.T) {
	for w, want := range map[int64]rollout.Weight{0: 0, 1: 1, 4: 1, 250: 25, 996: 99, 999: 99, 1000: 100} {
		rules, err := rulesOfRefs(route("", ref("checkout-1", 1000-w), ref("checkout-2", w)))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := shares(rules, nil); got["checkout-2"] != want || got["checkout-1"] == 100 && w > 0 {
			t.Errorf("%d of 1000: %v; want %d", w, got, want)
		}
	}
}

// A rule that gives the two nothing says nothing of how the others split them; where no rule gives them anything, they have
// nothing.
func TestARuleThatGivesTheTwoNothingDiffersFromNone(t *testing.T) {
	rule := func(stable, canary, others int64) Rule {
		return Rule{Path: "rules", Backends: []Backend{{"checkout-1", stable}, {"checkout-2", canary}, {"legacy", others}}}
	}
	for name, tt := range map[string]struct {
		rules []Rule
		want  map[string]rollout.Weight
	}{
		"before another": {[]Rule{rule(0, 0, 1), rule(75, 25, 0)}, map[string]rollout.Weight{"checkout-1": 75, "checkout-2": 25}},
		"behind another": {[]Rule{rule(75, 25, 0), rule(0, 0, 1)}, map[string]rollout.Weight{"checkout-1": 75, "checkout-2": 25}},
		"alone":          {[]Rule{rule(0, 0, 1)}, map[string]rollout.Weight{"checkout-1": 0, "checkout-2": 0}},
	} {
		got, differ := shares(tt.rules, []string{"checkout-1", "checkout-2"})
		if diff := cmp.Diff(tt.want, got); diff != "" || differ != "" {
			t.Errorf("%s: rules differ: %q; shares (-want +got):\n%s", name, differ, diff)
		}
	}
}

// Who comes after a newer writer writes nothing.
func TestAnOlderFenceIsTurnedAway(t *testing.T) {
	for _, newer := range []string{"3.3", "4.0"} {
		p, err := plan(route(newer, ref("checkout-1", int64(100))), "checkout", rollout.Fence{Epoch: 3, Seq: 2}, shifts(25))
		if !errors.Is(err, fault.Fenced) || len(p) > 0 {
			t.Errorf("over %s: %v, %v; want it fenced off", newer, p, err)
		}
	}
	p, err := plan(route("3.2", ref("checkout-1", int64(75)), ref("checkout-2", int64(25))), "checkout", rollout.Fence{Epoch: 3, Seq: 2}, shifts(25))
	if err != nil || len(p) > 0 {
		t.Errorf("the same once more: %v, %v; want nothing to write", p, err)
	}
}

// Services that share a route shared one mark, so that the last to begin fenced the others off, their way back included. Now
// each has its own; the shared one still counts where a rollout began under an older engine, and goes along with that rollout alone.
func TestEachServiceHasItsOwnFence(t *testing.T) {
	const shared = "stepcanary.dev/fence"
	type marks = map[string]string
	for name, tt := range map[string]struct {
		before marks
		fence  rollout.Fence
		want   marks // what is written; nil where the writer is fenced off
	}{
		"a newer one of another service":             {marks{shared + "-cart": "9.1"}, rollout.Fence{Epoch: 3, Seq: 2}, marks{shared + "-checkout": "3.2"}},
		"one of a service with a longer name":        {marks{shared + "-checkout-api": "9.1"}, rollout.Fence{Epoch: 3, Seq: 2}, marks{shared + "-checkout": "3.2"}},
		"a newer one of its own":                     {marks{shared + "-checkout": "3.3"}, rollout.Fence{Epoch: 3, Seq: 2}, nil},
		"the shared one, written by this rollout":    {marks{shared: "3.1"}, rollout.Fence{Epoch: 3, Seq: 2}, marks{shared + "-checkout": "3.2", shared: "3.2"}},
		"the shared one, of this rollout's way back": {marks{shared: "3.1000000"}, rollout.Fence{Epoch: 3, Seq: 2}, nil},
		"the shared one, of a rollout before":        {marks{shared: "2.1000000"}, rollout.Fence{Epoch: 3, Seq: 2}, marks{shared + "-checkout": "3.2"}},
		"a shared one that counts no more":           {marks{shared: "9.1", shared + "-checkout": "3.1"}, rollout.Fence{Epoch: 3, Seq: 2}, marks{shared + "-checkout": "3.2"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := route("", ref("checkout-1", int64(100)))
			o.SetAnnotations(tt.before)
			p, err := plan(o, "checkout", tt.fence, shifts(0))
			if tt.want == nil {
				if !errors.Is(err, fault.Fenced) || len(p) > 0 {
					t.Errorf("plan() = %v, %v; want it fenced off", p, err)
				}
				return
			}
			got := marks{}
			for _, op := range p {
				if key, ok := strings.CutPrefix(op.Path, "/metadata/annotations/stepcanary.dev~1"); ok {
					got["stepcanary.dev/"+key] = op.Value.(string)
				}
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("marks that are written: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
