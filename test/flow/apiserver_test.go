package flow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// An apiserver holds one HTTPRoute as a real API server does: with revisions, generations, JSON
// patches and watches, and with a gateway that accepts every generation at once. The suites of
// the drivers run against a real one; here a whole rollout is seen, write by write.
type apiserver struct {
	dynamic.Interface
	dynamic.NamespaceableResourceInterface
	// fail, where set, answers instead of the server: get, patch or watch.
	fail func(verb string) error
	of   *apiserver // the server that this one is another entrance to
	// nameless is a server whose HTTPRoute has no names of rules: Gateway API before 1.4.
	nameless bool

	mu       sync.Mutex
	versions []*unstructured.Unstructured // all that ever were
}

// hands is an entrance to the same server without trouble.
func (a *apiserver) hands() *apiserver { return &apiserver{of: a} }

func (a *apiserver) self() *apiserver {
	if a.of != nil {
		return a.of
	}
	return a
}

func (a *apiserver) Resource(schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return a
}

func (a *apiserver) Namespace(string) dynamic.ResourceInterface { return a }

// now is the route, alone for whoever gets it.
func (a *apiserver) now(verb string) (*unstructured.Unstructured, error) {
	if a.fail != nil {
		if err := a.fail(verb); err != nil {
			return nil, err
		}
	}
	a = a.self()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.versions) == 0 {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "httproutes"}, route.Route)
	}
	return a.versions[len(a.versions)-1].DeepCopy(), nil
}

// put is the next version of the route, which the gateway accepts.
func (a *apiserver) put(o *unstructured.Unstructured) *unstructured.Unstructured {
	a = a.self()
	a.mu.Lock()
	defer a.mu.Unlock()
	generation := int64(1)
	if n := len(a.versions); n > 0 {
		generation = a.versions[n-1].GetGeneration()
		if fmt.Sprint(a.versions[n-1].Object["spec"]) != fmt.Sprint(o.Object["spec"]) {
			generation++
		}
	}
	o.SetGeneration(generation)
	o.SetResourceVersion(strconv.Itoa(len(a.versions) + 1))
	var conditions []any
	for _, kind := range []string{"Accepted", "ResolvedRefs"} {
		conditions = append(conditions, map[string]any{"type": kind, "status": "True", "observedGeneration": generation})
	}
	parents, _, _ := unstructured.NestedSlice(o.Object, "spec", "parentRefs")
	o.Object["status"] = map[string]any{"parents": []any{map[string]any{"parentRef": parents[0], "conditions": conditions}}}
	a.versions = append(a.versions, o)
	return o.DeepCopy()
}

// prune drops what the server's kind has not, as an API server does unless it is asked to be strict. It gives the first rule that
// had a name; -1 where none had.
func (a *apiserver) prune(o *unstructured.Unstructured) int {
	first := -1
	if !a.self().nameless {
		return first
	}
	rules, _, _ := unstructured.NestedSlice(o.Object, "spec", "rules")
	for i, r := range slices.Backward(rules) {
		if rule := r.(map[string]any); rule["name"] != nil {
			delete(rule, "name")
			first = i
		}
	}
	_ = unstructured.SetNestedSlice(o.Object, rules, "spec", "rules")
	return first
}

// decode reads an object as it comes over the wire, with the types of its numbers.
func decode(v any) *unstructured.Unstructured {
	b, ok := v.([]byte)
	if !ok {
		b, _ = json.Marshal(v)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(b); err != nil {
		panic(err)
	}
	return o
}

// create makes the route of a template.
func (a *apiserver) create(o workload.Object) {
	made := decode(o)
	made.SetUID("1")
	a.put(made)
}

// edit is a person's change.
func (a *apiserver) edit(f func(*unstructured.Unstructured)) {
	o, err := a.hands().now("get")
	if err != nil {
		panic(err)
	}
	f(o)
	a.put(decode(o.Object))
}

func (a *apiserver) Get(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error) {
	return a.now("get")
}

func (a *apiserver) Patch(_ context.Context, name string, kind types.PatchType, body []byte, o metav1.PatchOptions, _ ...string) (*unstructured.Unstructured, error) {
	live, err := a.now("patch")
	if err != nil {
		return nil, err
	}
	if kind != types.JSONPatchType {
		return nil, apierrors.NewBadRequest("only a JSON patch changes what it names alone")
	}
	patch, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	before, _ := live.MarshalJSON()
	after, err := patch.Apply(before)
	if err != nil {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "HTTPRoute"}, name, nil)
	}
	changed := decode(after)
	if changed.GetResourceVersion() != live.GetResourceVersion() {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "httproutes"}, name, fmt.Errorf("the object has been modified"))
	}
	if at := a.prune(changed); at >= 0 && o.FieldValidation == metav1.FieldValidationStrict {
		said := fmt.Sprintf(`strict decoding error: unknown field "spec.rules[%d].name"`, at)
		return nil, apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(after), said)})
	}
	if rules, _, _ := unstructured.NestedSlice(changed.Object, "spec", "rules"); len(rules) > 16 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Kind: "HTTPRoute"}, name, field.ErrorList{field.TooMany(field.NewPath("spec", "rules"), len(rules), 16)})
	}
	return a.put(changed), nil
}

func (a *apiserver) Watch(context.Context, metav1.ListOptions) (watch.Interface, error) {
	o, err := a.now("watch")
	if err != nil {
		return nil, err
	}
	end := &unstructured.Unstructured{Object: map[string]any{"kind": "HTTPRoute", "apiVersion": "gateway.networking.k8s.io/v1"}}
	end.SetResourceVersion(o.GetResourceVersion())
	end.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	events := make(chan watch.Event, 2)
	events <- watch.Event{Type: watch.Added, Object: o}
	events <- watch.Event{Type: watch.Bookmark, Object: end}
	return watch.NewProxyWatcher(events), nil
}

// counted tells after each write how the users' requests are split.
type counted struct {
	*gatewayapi.Router
	tell func()
}

func (c counted) Shift(ctx context.Context, t traffic.Target, s traffic.Split, f rollout.Fence) error {
	defer c.tell()
	return c.Router.Shift(ctx, t, s, f)
}

func (c counted) Settle(ctx context.Context, t traffic.Target, keep, drop string, f rollout.Fence) error {
	defer c.tell()
	return c.Router.Settle(ctx, t, keep, drop, f)
}
