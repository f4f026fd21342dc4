package gatewayapi_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
	"github.com/stepcanary/stepcanary/internal/traffic/traffictest"
)

// A shelf holds one route and plays patches on it, without a schema.
type shelf struct {
	dynamic.NamespaceableResourceInterface
	route  *unstructured.Unstructured
	writes int
}

func (s *shelf) Resource(schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return s
}
func (s *shelf) Namespace(string) dynamic.ResourceInterface { return s }

func (s *shelf) Get(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error) {
	return s.route.DeepCopy(), nil
}

func (s *shelf) Patch(_ context.Context, _ string, _ types.PatchType, body []byte, _ metav1.PatchOptions, _ ...string) (*unstructured.Unstructured, error) {
	have, err := s.route.MarshalJSON()
	if err != nil {
		return nil, err
	}
	patch, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, err
	}
	after, err := patch.Apply(have)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error()) // a field is of another type than the schema's
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(after); err != nil {
		return nil, err
	}
	s.route = o
	s.writes++
	return o.DeepCopy(), nil
}

// backends are the references in each rule that is not ours, and the rest of the route without them, for
// comparison. It is false where a weight is none that the schema allows.
func backends(o *unstructured.Unstructured) (rules [][]any, rest map[string]any, ok bool) {
	rest = o.DeepCopy().Object
	delete(rest, "metadata")
	spec, _ := rest["spec"].(map[string]any)
	list, _ := spec["rules"].([]any)
	var others []any
	for _, v := range list {
		rule, isRule := v.(map[string]any)
		if name, _ := rule["name"].(string); strings.HasPrefix(name, "stepcanary-match") {
			continue
		}
		refs, _ := rule["backendRefs"].([]any)
		for _, v := range refs {
			ref, isRef := v.(map[string]any)
			w, given := ref["weight"]
			n, whole := w.(int64)
			if !isRef || given && (!whole || n < 0 || n > 1_000_000) {
				return nil, nil, false
			}
		}
		if !isRule {
			return nil, nil, false
		}
		rules = append(rules, refs)
		delete(rule, "backendRefs")
		others = append(others, rule)
	}
	if spec != nil {
		spec["rules"] = others
	}
	return rules, rest, true
}

// kept are the references to others than stable and canary.
func kept(refs []any) (others []any) {
	for _, v := range refs {
		if !ours(v, "checkout-1") && !ours(v, "checkout-2") {
			others = append(others, v)
		}
	}
	return others
}

func ours(v any, name string) bool {
	ref, _ := v.(map[string]any)
	group, _ := ref["group"].(string)
	kind, hasKind := ref["kind"].(string)
	in, hasNamespace := ref["namespace"].(string)
	return ref["name"] == name && group == "" && (!hasKind || kind == "Service") && (!hasNamespace || in == "shop")
}

// FuzzRoute shifts routes of whatever shape: none panics, errors have a kind, everything but the two
// back ends stays as it was, the two never have nothing together, what is in place is not written
// again, and the way back from a match leaves no rule of ours.
func FuzzRoute(f *testing.F) {
	for _, rules := range []string{
		`[{"backendRefs":[{"name":"checkout-1","port":80}],"matches":[{"path":{"value":"/"}}],"filters":[{"type":"URLRewrite"}]}]`,
		`[{"backendRefs":[{"name":"checkout-1","weight":50},{"name":"other","weight":50},{"name":"checkout-2","weight":0}]},{"backendRefs":[{"name":"other"}]}]`,
		`[{"backendRefs":[{"name":"checkout-1","weight":0},{"name":"checkout-2","weight":0}]},{"name":"stepcanary-match","backendRefs":[{"name":"checkout-2"}]}]`,
		`[{"backendRefs":[{"name":"checkout-1","namespace":"elsewhere"},{"name":"checkout-2","kind":"Backend","group":"x"},{"name":"checkout-2"},{"name":"checkout-2"}]}]`,
		`[{"backendRefs":[null,1,{"name":5,"weight":"x"}]},null,"x",{"backendRefs":{}}]`,
		`{}`, `[]`, `null`,
	} {
		f.Add([]byte(`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"checkout","generation":2,"annotations":{"team":"shop"}},`+
			`"spec":{"parentRefs":[{"name":"public"}],"rules":`+rules+`},"status":{"parents":[{"parentRef":{"name":"public"},"conditions":[{"type":"Accepted","observedGeneration":2}]}]}}`), 25)
	}
	f.Add([]byte(`{"apiVersion":"v1","kind":"x","metadata":{"annotations":{"stepcanary.dev/fence":"9.9"}},"spec":{"parentRefs":5},"status":7}`), 100)
	f.Fuzz(func(t *testing.T, data []byte, weight int) {
		if len(data) > 1<<16 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		o := &unstructured.Unstructured{}
		if o.UnmarshalJSON(data) != nil {
			return
		}
		if _, isMap := o.Object["metadata"].(map[string]any); !isMap {
			o.Object["metadata"] = map[string]any{}
		}
		o.SetNamespace("shop")
		o.SetName("checkout")
		o.SetResourceVersion("1")
		s := &shelf{route: o}
		r := gatewayapi.New(kube.New(s))
		target := traffic.Target{Namespace: "shop", Route: "checkout", Service: traffictest.Service}
		want := split
		want.Weight = rollout.Weight(weight)
		if _, err := r.Read(t.Context(), target); !kinded(err) {
			t.Errorf("Read() = %v", err)
		}
		before, rest, whole := backends(o)
		same := func(what string) {
			t.Helper()
			after, restAfter, _ := backends(s.route)
			if !whole {
				return
			}
			if diff := cmp.Diff(rest, restAfter); diff != "" {
				t.Fatalf("%s changed more than back ends (-was +is):\n%s", what, diff)
			}
			for i := range before {
				if diff := cmp.Diff(kept(before[i]), kept(after[i])); diff != "" {
					t.Fatalf("%s changed others' back ends (-was +is):\n%s", what, diff)
				}
				total, names := int64(0), 0
				for _, v := range after[i] {
					if ours(v, "checkout-1") || ours(v, "checkout-2") {
						w, _ := v.(map[string]any)["weight"].(int64)
						total, names = total+w, names+1
					}
				}
				if names > 0 && total == 0 {
					t.Fatalf("%s left %s", what, text(after[i]))
				}
			}
		}
		if err := r.Shift(t.Context(), target, want, fence(1)); !kinded(err) {
			t.Fatalf("Shift() = %v", err)
		} else if err != nil {
			if s.writes > 0 {
				t.Fatalf("Shift() = %v after a write", err)
			}
			return
		}
		same("Shift()")
		writes := s.writes
		if err := r.Shift(t.Context(), target, want, fence(1)); err != nil || s.writes != writes {
			t.Fatalf("Shift() again = %v with %d writes", err, s.writes-writes)
		}
		matches := []traffic.Match{{Headers: []traffic.Header{{Name: "x-canary", Value: "yes"}}}}
		if err := r.Match(t.Context(), target, want, matches, fence(2)); !kinded(err) {
			t.Fatalf("Match() = %v", err)
		}
		same("Match()")
		if err := r.Settle(t.Context(), target, "checkout-2", "checkout-1", fence(3)); !kinded(err) {
			t.Fatalf("Settle() = %v", err)
		} else if err == nil {
			same("Settle()")
			after, _, _ := backends(s.route)
			list, _, _ := unstructured.NestedSlice(s.route.Object, "spec", "rules")
			for _, v := range list { // those of other services stay
				rule, _ := v.(map[string]any)
				if name, _ := rule["name"].(string); name == "stepcanary-match.checkout" || strings.HasPrefix(name, "stepcanary-match.checkout.") {
					t.Fatalf("Settle() left a rule of ours: %s", text(list))
				}
			}
			for _, refs := range after {
				for _, v := range refs {
					if ours(v, "checkout-1") {
						t.Fatalf("Settle() left %s", text(refs))
					}
				}
			}
		}
	})
}

// kinded tells whether an error, where there is one, says what kind it is of.
func kinded(err error) bool {
	kind := fault.Of(err)
	return err == nil || (kind == fault.Invalid || kind == fault.Fenced || kind == fault.NotFound) && len(err.Error()) < 1<<20
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
