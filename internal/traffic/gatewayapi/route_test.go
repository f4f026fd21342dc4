package gatewayapi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
)

var split = traffic.Split{Stable: "checkout-1", Canary: "checkout-2", Weight: 25}

func fence(seq int64) rollout.Fence { return rollout.Fence{Epoch: 1, Seq: seq} }

// ref is a back end as a user writes it.
func ref(name string, more ...any) map[string]any {
	m := map[string]any{"name": name, "port": 80}
	for i := 0; i < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

func header(name, value string) map[string]any {
	return map[string]any{"type": "RequestHeaderModifier",
		"requestHeaderModifier": map[string]any{"set": []any{map[string]any{"name": name, "value": value}}}}
}

func (c *controller) define(t *testing.T, rules ...any) {
	t.Helper()
	o := kubetest.Object("gateway.networking.k8s.io/v1", "HTTPRoute", route, httpRoute(rules...))
	o.SetAnnotations(map[string]string{"team": "shop"})
	c.Create(t, kube.HTTPRoutes, o)
}

func (c *controller) rules(t *testing.T) []any {
	t.Helper()
	list, _ := c.Read(t, kube.HTTPRoutes, route).Object["spec"].(map[string]any)["rules"].([]any)
	return list
}

// elaborate is a route with everything that a team may have on it.
func elaborate() []any {
	path := func(p string) any { return map[string]any{"path": map[string]any{"type": "PathPrefix", "value": p}} }
	return []any{
		map[string]any{
			"name": "static", "matches": []any{path("/static")},
			"backendRefs": []any{ref("assets", "weight", 3), ref("assets-old", "weight", 1)},
		},
		map[string]any{
			"name": "api", "matches": []any{path("/api"), path("/v1")},
			"filters":     []any{header("X-Team", "shop"), map[string]any{"type": "RequestMirror", "requestMirror": map[string]any{"backendRef": ref("shadow")}}},
			"timeouts":    map[string]any{"request": "10s"},
			"backendRefs": []any{ref("checkout-1", "filters", []any{header("X-Version", "1")}, "weight", 100)},
		},
		map[string]any{
			"name": "old", "matches": []any{path("/old")},
			"filters": []any{map[string]any{"type": "RequestRedirect", "requestRedirect": map[string]any{"hostname": "example.com", "statusCode": 301}}},
		},
		map[string]any{"name": "rest", "backendRefs": []any{ref("checkout-1"), ref("legacy", "weight", 0, "port", 8080)}},
	}
}

// Whatever the team has on its route survives a whole rollout: each write may
// differ from the route as defined in the back ends of ours alone.
func TestWhatTheTeamHasOnItsRouteSurvives(t *testing.T) {
	c, router, target := open(t)
	// Beside legacy, checkout-1 must have a share that every percent divides.
	rules := elaborate()
	rules[3].(map[string]any)["backendRefs"].([]any)[0].(map[string]any)["weight"] = 200
	c.define(t, rules...)
	before := c.rules(t)
	refsOf := func(list []any, i int) []any { l, _ := list[i].(map[string]any)["backendRefs"].([]any); return l }
	if err := router.Shift(t.Context(), target, split, fence(1)); err != nil {
		t.Fatal(err)
	}
	after := c.rules(t)
	wantAPI := []any{
		map[string]any{"group": "", "kind": "Service", "name": "checkout-1", "port": int64(80), "weight": int64(75),
			"filters": refsOf(before, 1)[0].(map[string]any)["filters"]},
		map[string]any{"group": "", "kind": "Service", "name": "checkout-2", "port": int64(80), "weight": int64(25)},
	}
	if diff := cmp.Diff(wantAPI, refsOf(after, 1)); diff != "" {
		t.Errorf("back ends of the api rule (-want +got):\n%s", diff)
	}
	wantRest := []any{
		map[string]any{"group": "", "kind": "Service", "name": "checkout-1", "port": int64(80), "weight": int64(150)},
		map[string]any{"group": "", "kind": "Service", "name": "checkout-2", "port": int64(80), "weight": int64(50)},
		refsOf(before, 3)[1],
	}
	if diff := cmp.Diff(wantRest, refsOf(after, 3)); diff != "" {
		t.Errorf("back ends of the last rule (-want +got):\n%s", diff)
	}
	for i := range before {
		b, a := before[i].(map[string]any), after[i].(map[string]any)
		if i == 1 || i == 3 {
			delete(b, "backendRefs")
			delete(a, "backendRefs")
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("rules[%d] beside its weights (-want +got):\n%s", i, diff)
		}
	}
	if err := router.Settle(t.Context(), target, "checkout-1", "checkout-2", fence(2)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantAPI[0].(map[string]any)["filters"], refsOf(c.rules(t), 1)[0].(map[string]any)["filters"]); diff != "" {
		t.Errorf("filters after the way back (-want +got):\n%s", diff)
	}
	want := map[string]string{"team": "shop", "stepcanary.dev/fence-checkout": "1.2"}
	if diff := cmp.Diff(want, c.Read(t, kube.HTTPRoutes, route).GetAnnotations()); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

// A share that the two cannot express beside others is refused before anything
// is written, whatever rule it is in.
func TestAShareThatCannotBeExpressedIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		refs []any
		want string
	}{
		"beside others with a small sum": {[]any{ref("checkout-1", "weight", 7), ref("legacy", "weight", 3)}, "rules[1]: "},
		"one back end twice":             {[]any{ref("checkout-1"), ref("checkout-1", "port", 81)}, `"checkout-1" twice`},
	} {
		t.Run(name, func(t *testing.T) {
			c, router, target := open(t)
			c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}}, map[string]any{"backendRefs": tt.refs})
			before := c.rules(t)
			err := router.Shift(t.Context(), target, split, fence(1))
			if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Shift() = %v; want %v with %q", err, fault.Invalid, tt.want)
			}
			if diff := cmp.Diff(before, c.rules(t)); diff != "" {
				t.Errorf("the refused route (-want +got):\n%s", diff)
			}
		})
	}
}

// A Service of the same name in another namespace, or another kind, is not ours.
func TestBackEndsOfOthersAreNotMistaken(t *testing.T) {
	c, router, target := open(t)
	theirs := []any{ref("checkout-1", "namespace", "other", "weight", 5), ref("checkout-1", "group", "example.com", "kind", "Bucket", "weight", 5)}
	c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}}, map[string]any{"backendRefs": theirs})
	before := c.rules(t)[1]
	if err := router.Shift(t.Context(), target, split, fence(1)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, c.rules(t)[1]); diff != "" {
		t.Errorf("the others' rule (-want +got):\n%s", diff)
	}
}

// Every write that goes out names both weights, and none is all zero.
func TestNoWriteIsAllZero(t *testing.T) {
	c, router, target := open(t)
	c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1", "weight", 0)}})
	for i, w := range []rollout.Weight{0, 1, 99, 100, 0} {
		s := split
		s.Weight = w
		if err := router.Shift(t.Context(), target, s, fence(int64(i))); err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{}
		for _, v := range c.rules(t)[0].(map[string]any)["backendRefs"].([]any) {
			got[v.(map[string]any)["name"].(string)] = v.(map[string]any)["weight"].(int64)
		}
		if diff := cmp.Diff(map[string]int64{"checkout-1": int64(100 - w), "checkout-2": int64(w)}, got); diff != "" {
			t.Errorf("weights at %d %% (-want +got):\n%s", w, diff)
		}
	}
}

func TestShiftCostsAsFewRequestsAsItMay(t *testing.T) {
	c, router, target := open(t)
	c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}})
	shift := func(what string, w rollout.Weight, f rollout.Fence, want string, kind error) {
		t.Helper()
		c.Requests.Reset()
		s := split
		s.Weight = w
		if err := router.Shift(t.Context(), target, s, f); !errors.Is(err, kind) {
			t.Fatalf("%s: Shift() = %v; want %v", what, err, kind)
		}
		lines, _ := c.Requests.Lines()
		var verbs []string
		for _, l := range lines {
			verbs = append(verbs, strings.Fields(l)[0])
		}
		if got := strings.Join(verbs, " "); got != want {
			t.Errorf("%s: requests %q; want %q", what, got, want)
		}
	}
	shift("nothing is known of the route", 25, fence(1), "GET PATCH", nil)
	shift("nothing is to be done, which must be seen with one's own eyes", 25, fence(1), "GET", nil)
	shift("the route is as we left it", 50, fence(2), "PATCH", nil)
	c.Merge(t, kube.HTTPRoutes, route, map[string]any{"metadata": map[string]any{"labels": map[string]any{"team": "shop"}}})
	shift("somebody changed it", 60, fence(3), "PATCH GET PATCH", nil)
	shift("a late writer is turned away after a look", 50, fence(2), "GET", fault.Fenced)
	c.Delete(t, kube.HTTPRoutes, route)
	shift("somebody deleted it", 70, fence(4), "PATCH GET", fault.NotFound)
	c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}})
	shift("it is back", 25, fence(1), "GET PATCH", nil)
	c.start(t)
	inForce(t, router, target)
	c.ignore()
	c.Requests.Reset()
	if st, err := router.Await(t.Context(), target, split, 5*time.Second); err != nil || !st.InForce {
		t.Fatalf("Await() = %+v, %v", st, err)
	}
	if lines, watches := c.Requests.Lines(); len(lines) != 0 || len(watches) != 1 {
		t.Errorf("Await() sent %v and %v; want one watch and nothing else", lines, watches)
	}
}

// What the parents say decides whether a route is in force, and the reason is told.
func TestNotInForceSaysWhy(t *testing.T) {
	no := func(kind string, generation int64, reason string) map[string]any {
		m := ok(kind, generation)
		m["status"], m["reason"], m["message"] = "False", reason, "no such thing"
		return m
	}
	all := func(g int64) []any { return []any{ok("Accepted", g), ok("ResolvedRefs", g)} }
	for name, tt := range map[string]struct {
		// report gives what each of the two parents says, nil for nothing.
		report func(g int64, parent int) []any
		want   string
	}{
		"all accepted":            {func(g int64, p int) []any { return all(g) }, ""},
		"nobody reported":         {func(g int64, p int) []any { return nil }, "public has not reported on the route"},
		"one parent is silent":    {func(g int64, p int) []any { return [][]any{all(g), nil}[p] }, "inside has not reported on the route"},
		"an older generation":     {func(g int64, p int) []any { return all(g - 1) }, "has taken up generation"},
		"one parent is behind":    {func(g int64, p int) []any { return all(g - int64(p)) }, "inside has taken up generation"},
		"refused":                 {func(g int64, p int) []any { return []any{no("Accepted", g, "NoMatchingParent"), ok("ResolvedRefs", g)} }, "Accepted=False: NoMatchingParent: no such thing"},
		"a back end is not found": {func(g int64, p int) []any { return []any{ok("Accepted", g), no("ResolvedRefs", g, "BackendNotFound")} }, "ResolvedRefs=False: BackendNotFound"},
		"half a report":           {func(g int64, p int) []any { return []any{ok("Accepted", g)} }, "has not reported ResolvedRefs"},
	} {
		t.Run(name, func(t *testing.T) {
			c, router, target := open(t)
			c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}})
			parents := []any{map[string]any{"name": "public"}, map[string]any{"name": "inside", "kind": "Service", "group": ""}}
			c.Merge(t, kube.HTTPRoutes, route, map[string]any{"spec": map[string]any{"parentRefs": parents}})
			c.parents = []map[string]any{parent("public"), {"group": "", "kind": "Service", "name": "inside", "namespace": c.Namespace}}
			if err := router.Shift(t.Context(), target, split, fence(1)); err != nil {
				t.Fatal(err)
			}
			g := c.Read(t, kube.HTTPRoutes, route).GetGeneration()
			c.report(t, func(p int) []any { return tt.report(g, p) })
			st, err := router.Read(t.Context(), target)
			if err != nil || st.InForce != (tt.want == "") || !strings.Contains(st.Why, tt.want) {
				t.Errorf("Read() = in force %v, why %q, %v; want why %q", st.InForce, st.Why, err, tt.want)
			}
		})
	}
}

// Two rules that somebody set apart are no split in force, although the controller
// took them up.
func TestRulesThatDifferAreNotInForce(t *testing.T) {
	c, router, target := open(t)
	two := []any{ref("checkout-1", "weight", 75), ref("checkout-2", "weight", 25)}
	apart := []any{ref("checkout-1", "weight", 90), ref("checkout-2", "weight", 10)}
	c.define(t, map[string]any{"backendRefs": two}, map[string]any{"backendRefs": apart})
	c.accept(t, c.Read(t, kube.HTTPRoutes, route).GetGeneration())
	st, err := router.Await(t.Context(), target, split, 50*time.Millisecond)
	if err != nil || st.InForce || st.Why == "" {
		t.Errorf("Await() = in force %v, why %q, %v; want false and a reason", st.InForce, st.Why, err)
	}
}

func TestABadFenceIsRefused(t *testing.T) {
	c, router, target := open(t)
	c.define(t, map[string]any{"backendRefs": []any{ref("checkout-1")}})
	c.Merge(t, kube.HTTPRoutes, route, map[string]any{"metadata": map[string]any{"annotations": map[string]any{"stepcanary.dev/fence": "yes"}}})
	if err := router.Shift(t.Context(), target, split, fence(1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Shift() = %v; want %v", err, fault.Invalid)
	}
}

func TestMatch(t *testing.T) {
	c, router, target := open(t)
	var _ traffic.Matcher = router
	rules := elaborate()
	c.define(t, rules[:3]...)
	if err := router.Shift(t.Context(), target, split, fence(1)); err != nil {
		t.Fatal(err)
	}
	before := c.rules(t)
	matches := []traffic.Match{
		{Headers: []traffic.Header{{Name: "X-Canary", Value: "always"}}},
		{Cookies: []traffic.Header{{Name: "beta", Regex: "yes|on"}}},
	}
	for range 2 {
		if err := router.Match(t.Context(), target, split, matches, fence(2)); err != nil {
			t.Fatal(err)
		}
	}
	after := c.rules(t)
	if diff := cmp.Diff(before, after[:len(before)]); diff != "" || len(after) != len(before)+1 {
		t.Fatalf("%d rules after Match, %d before; the others (-want +got):\n%s", len(after), len(before), diff)
	}
	ours := after[len(before)].(map[string]any)
	var got []string
	for _, v := range ours["matches"].([]any) {
		m := v.(map[string]any)
		h := m["headers"].([]any)[0].(map[string]any)
		got = append(got, fmt.Sprint(m["path"].(map[string]any)["value"], " ", h["type"], " ", h["name"], " ", h["value"]))
	}
	want := []string{
		"/api Exact X-Canary always", `/api RegularExpression Cookie ^(.*;\s*)?beta=(yes|on)(;.*)?$`,
		"/v1 Exact X-Canary always", `/v1 RegularExpression Cookie ^(.*;\s*)?beta=(yes|on)(;.*)?$`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("matches of the rule (-want +got):\n%s", diff)
	}
	wantRefs := []any{map[string]any{"group": "", "kind": "Service", "name": "checkout-2", "port": int64(80), "weight": int64(1)}}
	if diff := cmp.Diff(wantRefs, ours["backendRefs"]); diff != "" {
		t.Errorf("back ends of the rule (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before[1].(map[string]any)["filters"], ours["filters"]); diff != "" {
		t.Errorf("filters of the rule (-want +got):\n%s", diff)
	}
	// Weights move beside it, and Settle takes it away.
	s := split
	s.Weight = 50
	if err := router.Shift(t.Context(), target, s, fence(3)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ours, c.rules(t)[len(before)]); diff != "" {
		t.Errorf("the rule after Shift (-want +got):\n%s", diff)
	}
	if err := router.Match(t.Context(), target, split, matches, fence(2)); !errors.Is(err, fault.Fenced) {
		t.Errorf("Match() with an old fence = %v; want %v", err, fault.Fenced)
	}
	if err := router.Settle(t.Context(), target, "checkout-1", "checkout-2", fence(4)); err != nil {
		t.Fatal(err)
	}
	if got := len(c.rules(t)); got != len(before) {
		t.Errorf("%d rules after Settle; want %d", got, len(before))
	}
	if err := router.Match(t.Context(), target, split, []traffic.Match{{}}, fence(5)); !errors.Is(err, fault.Invalid) {
		t.Errorf("Match() of every request = %v; want %v", err, fault.Invalid)
	}
}

// Where several rules lead to the service, each has its narrowed twin, and other rules have none.
func TestMatchFollowsEveryRule(t *testing.T) {
	c, router, target := open(t)
	rules := elaborate()
	rules[3].(map[string]any)["backendRefs"].([]any)[0].(map[string]any)["weight"] = 200
	c.define(t, rules...)
	if err := router.Shift(t.Context(), target, split, fence(1)); err != nil {
		t.Fatal(err)
	}
	before := c.rules(t)
	matches := []traffic.Match{{Headers: []traffic.Header{{Name: "X-Canary", Value: "always"}}}}
	for range 2 {
		if err := router.Match(t.Context(), target, split, matches, fence(2)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, v := range c.rules(t)[len(before):] {
		r := v.(map[string]any)
		for _, v := range r["matches"].([]any) {
			m := v.(map[string]any)
			h := m["headers"].([]any)[0].(map[string]any)
			ref := r["backendRefs"].([]any)[0].(map[string]any)
			got = append(got, fmt.Sprint(r["name"], " ", m["path"].(map[string]any)["value"], " ", h["name"], " -> ", ref["name"]))
		}
	}
	want := []string{
		"stepcanary-match.checkout /api X-Canary -> checkout-2", "stepcanary-match.checkout /v1 X-Canary -> checkout-2",
		"stepcanary-match.checkout.2 / X-Canary -> checkout-2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules of ours (-want +got):\n%s", diff)
	}
	if err := router.Match(t.Context(), target, split, nil, fence(3)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, c.rules(t)); diff != "" {
		t.Errorf("rules when nothing is chosen any more (-want +got):\n%s", diff)
	}
}
