package flow_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/local"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// Two services have a rule each on one HTTPRoute, and the second begins while the first is under way. The route had one
// fence for both, so that the second fenced every later write of the first off, its way back included: users stayed
// split, and no later rollout could recover. Each took the other's match rules out, too.
func TestTwoServicesOnOneRoute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		extra  fields
		errors float64
		status asl.Status
		serves string
	}{
		"promoted":                {nil, 0, asl.Succeeded, "checkout-2"},
		"promoted, with match":    {matching(), 0, asl.Succeeded, "checkout-2"},
		"rolled back":             {nil, 1, asl.Failed, "checkout-1"},
		"rolled back, with match": {matching(), 1, asl.Failed, "checkout-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNeighbours(t, tt.extra)
			n.play(map[string]float64{"checkout-1": 0, "checkout-2": tt.errors})
			n.meter.Play("shop", "cart", meter.Steady(100, map[string]float64{"cart-1": 0, "cart-2": 0}))
			arn := n.begin(n.extra)
			var cart string
			n.clock.AfterFunc(3*time.Second, func() { cart = n.cart("cart-b") })
			if e := n.end(arn); e.Status != tt.status || strings.Contains(e.cause, "Fenced") {
				t.Errorf("checkout: %s, path %s (%s)", e.Status, e.path, e.cause)
			}
			n.rest()
			if e := n.end(cart); e.Status != asl.Succeeded {
				t.Errorf("cart: %s, path %s (%s)", e.Status, e.path, e.cause)
			}
			if rec := n.record(); rec.Holder != "" || rec.Stable.Name != tt.serves {
				t.Errorf("record of checkout: holder %q, stable %q; want none and %s", rec.Holder, rec.Stable.Name, tt.serves)
			}
			rules := rulesOf(n.api)
			if got := fmt.Sprint(backEnds(rules)); got != fmt.Sprintf("[%s=100 cart-2=100]", tt.serves) {
				t.Errorf("back ends in the end: %s", got)
			}
		})
	}
}

// A neighbours is a scene with the services checkout and cart on one HTTPRoute, both rolled out once.
type neighbours struct {
	*scene
	api   *apiserver
	extra fields
}

func newNeighbours(t *testing.T, extra fields) *neighbours {
	t.Helper()
	s := newScene(t)
	n := &neighbours{s, &apiserver{}, fields{}}
	s.meter.Follow(nil) // the route is not the world's
	s.Router = counted{gatewayapi.New(kube.New(n.api)), func() {
		st, err := gatewayapi.New(kube.New(n.api.hands())).Read(t.Context(), route)
		if err != nil {
			t.Error(err)
		}
		for _, name := range []string{"checkout", "cart"} {
			s.meter.Shift(route.Namespace, name, st.Weights)
		}
	}}
	var rules []any
	for _, name := range []string{"checkout", "cart"} {
		s.cluster.Place("shop", workload.Version{Name: name, Deployment: name + "-legacy", Replicas: 2})
		rules = append(rules, map[string]any{
			"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": "/" + name}}},
			"backendRefs": []any{map[string]any{"name": name, "port": 80, "weight": 100}},
		})
	}
	n.api.create(workload.Object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
		"metadata": map[string]any{"name": route.Route, "namespace": route.Namespace},
		"spec":     map[string]any{"parentRefs": []any{map[string]any{"name": "gateway"}}, "rules": rules}})
	template, _, _ := strings.Cut(enginetest.Template, "---\napiVersion: gateway.networking.k8s.io/v1")
	n.extra["config_file"] = base64.StdEncoding.EncodeToString([]byte(template))
	n.extra["router"] = fields{"kind": "gateway-api", "route": route.Route}
	for k, v := range extra {
		n.extra[k] = v
	}
	s.play(map[string]float64{"checkout": 0, "checkout-1": 0})
	s.meter.Play("shop", "cart", meter.Steady(100, map[string]float64{"cart": 0, "cart-1": 0}))
	if e := s.run(n.extra); e.Status != asl.Succeeded {
		t.Fatalf("checkout before: %s (%s)", e.path, e.cause)
	}
	s.hold()
	if e := s.end(n.cart("cart-a")); e.Status != asl.Succeeded {
		t.Fatalf("cart before: %s (%s)", e.path, e.cause)
	}
	return n
}

// cart starts a rollout of the other service.
func (n *neighbours) cart(execution string) string {
	in := fields{"microservice_name": "cart"}
	for k, v := range n.extra {
		in[k] = v
	}
	arn, _, err := n.engine.Start(local.StartInput{MachineARN: n.machine, Name: execution, Input: input(in)})
	if err != nil {
		n.Error(err)
	}
	return arn
}

func rulesOf(api *apiserver) []any {
	rules, _, _ := unstructured.NestedSlice(api.versions[len(api.versions)-1].Object, "spec", "rules")
	return rules
}

// backEnds are those of all rules, with their weights.
func backEnds(rules []any) (out []string) {
	for _, r := range rules {
		list, _ := r.(map[string]any)["backendRefs"].([]any)
		for _, ref := range list {
			out = append(out, fmt.Sprintf("%v=%v", ref.(map[string]any)["name"], ref.(map[string]any)["weight"]))
		}
	}
	return out
}

// A service takes its own match rules out, and those that an older engine wrote for it, whose names tell no service.
func TestMatchRulesOfANeighbourStay(t *testing.T) {
	t.Parallel()
	const checkouts = "checkout-1=100 cart-1=100 checkout-2=1"
	for name, tt := range map[string]struct {
		rules, want string // the rules beside those of the two services, and the back ends when cart is settled
	}{
		"cart is settled": {`{"name": "stepcanary-match.checkout", "backendRefs": [{"name": "checkout-2", "port": 80, "weight": 1}]}`, checkouts},
		"cart is settled, which has a rule too": {`{"name": "stepcanary-match.checkout", "backendRefs": [{"name": "checkout-2", "port": 80, "weight": 1}]},
			{"name": "stepcanary-match.cart", "backendRefs": [{"name": "cart-2", "port": 80, "weight": 1}]},
			{"name": "stepcanary-match.cart.2", "backendRefs": [{"name": "cart-2", "port": 80, "weight": 1}]}`, checkouts},
		"cart is settled beside one of an older engine": {`{"name": "stepcanary-match", "backendRefs": [{"name": "checkout-2", "port": 80, "weight": 1}]}`, checkouts},
		"cart has one of an older engine":               {`{"name": "stepcanary-match-2", "backendRefs": [{"name": "cart-2", "port": 80, "weight": 1}]}`, "checkout-1=100 cart-1=100"},
		"a service whose name goes on":                  {`{"name": "stepcanary-match.cart-2", "backendRefs": [{"name": "cart-2-7", "port": 80, "weight": 1}]}`, "checkout-1=100 cart-1=100 cart-2-7=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &apiserver{}
			var rules []any
			if err := json.Unmarshal([]byte(`[{"backendRefs": [{"name": "checkout-1", "port": 80, "weight": 100}]},
				{"backendRefs": [{"name": "cart-1", "port": 80, "weight": 100}]}, `+tt.rules+`]`), &rules); err != nil {
				t.Fatal(err)
			}
			api.create(workload.Object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
				"metadata": map[string]any{"name": route.Route, "namespace": route.Namespace},
				"spec":     map[string]any{"parentRefs": []any{map[string]any{"name": "gateway"}}, "rules": rules}})
			to := route
			to.Service = "cart"
			if err := gatewayapi.New(kube.New(api)).Settle(t.Context(), to, "cart-1", "cart-2", rollout.Fence{Epoch: 6, Seq: rollout.Last}); err != nil {
				t.Fatal(err)
			}
			if got := backEnds(rulesOf(api)); !slices.Equal(got, strings.Fields(tt.want)) {
				t.Errorf("back ends: %v; want %s", got, tt.want)
			}
		})
	}
}
