package kube_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/routers"
	"github.com/stepcanary/stepcanary/internal/workload"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

func rbac(resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: resource}
}

// A tour goes through every call that the steps of a rollout make.
func tour(ctx context.Context, c *kube.Client, s shop, n kube.Needs, objects []workload.Object) error {
	var errs []error
	try := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	records, cluster := kube.NewRecords(c), kube.NewCluster(c)
	rec, err := records.Read(ctx, s.service)
	try("read record", err)
	_, err = records.Read(ctx, record.OfNamespace(s.service.Namespace))
	try("read freeze of namespace", err)
	rec.Holder, rec.Epoch = "tour", rec.Epoch+1
	rec, err = records.Write(ctx, s.service, rec)
	try("take lock", err)
	_, err = records.Write(ctx, s.service, record.Record{Epoch: rec.Epoch, Revision: rec.Revision})
	try("give lock back", err)
	_, err = cluster.Versions(ctx, s.service)
	try("versions", err)
	try("dry run", cluster.DryRun(ctx, objects, s.owner(1)))
	for range 2 {
		try("apply", cluster.Apply(ctx, objects, s.owner(1)))
	}
	v, err := cluster.Adopt(ctx, s.service, "checkout-1")
	try("adopt", err)
	v.Name, v.Deployment, v.Number, v.Ours = "checkout-1", "checkout-1", 1, true
	f, err := cluster.Follow(ctx, s.service, v)
	try("follow", err)
	if err == nil {
		defer f.Close()
		_, err = f.Next(ctx, time.Millisecond)
		try("next", err)
	}
	try("tell", cluster.Tell(ctx, s.service, workload.Note{On: "checkout-1", Reason: "Tour", Message: "on tour"}))
	router, err := routers.Open(map[string]string{"HTTPRoute": routers.GatewayAPI, "VirtualRouter": routers.AppMesh}[n.RouteKind], c)
	try("router", err)
	target := traffic.Target{Namespace: s.Namespace, Route: n.Route, Service: s.service.Name}
	split := traffic.Split{Stable: "checkout-0", Canary: "checkout-1", Weight: 10}
	_, err = router.Read(ctx, target)
	try("read route", err)
	try("shift", router.Shift(ctx, target, split, rollout.Fence{Epoch: rec.Epoch, Seq: 1}))
	_, err = router.Await(ctx, target, split, 100*time.Millisecond)
	try("await", err)
	try("settle", router.Settle(ctx, target, "checkout-1", "checkout-0", rollout.Fence{Epoch: rec.Epoch, Seq: 2}))
	try("remove", cluster.Remove(ctx, s.service, v))
	return errors.Join(errs...)
}

// The Role that is printed for a service suffices for everything a rollout does, and
// without any one of its rules something fails.
func TestTheRoleIsEnoughAndNotTooMuch(t *testing.T) {
	meshObjects := func(s shop) []workload.Object {
		spec := func(m map[string]any) map[string]any { return map[string]any{"spec": m} }
		target := func(name string) any {
			return map[string]any{"virtualNodeRef": map[string]any{"name": name}, "weight": int64(1)}
		}
		return []workload.Object{
			s.object("appmesh.k8s.aws/v1beta2", "VirtualNode", "checkout-1", spec(map[string]any{})),
			s.object("appmesh.k8s.aws/v1beta2", "VirtualRouter", "checkout", spec(map[string]any{"routes": []any{
				map[string]any{"name": "main", "tcpRoute": map[string]any{"action": map[string]any{"weightedTargets": []any{target("checkout-1")}}}}}})),
			s.object("appmesh.k8s.aws/v1beta2", "VirtualService", "checkout", spec(map[string]any{})),
		}
	}
	for name, tt := range map[string]struct {
		route   string
		objects func(s shop) []workload.Object
	}{
		"gateway-api": {"HTTPRoute", func(s shop) []workload.Object {
			return []workload.Object{
				s.object("v1", "ServiceAccount", "checkout-1", nil),
				s.object("v1", "ConfigMap", "checkout-1", nil),
				s.object("policy/v1", "PodDisruptionBudget", "checkout-1", map[string]any{"spec": map[string]any{"maxUnavailable": int64(1),
					"selector": map[string]any{"matchLabels": map[string]any{"app": "checkout"}}}}),
				s.object("autoscaling/v2", "HorizontalPodAutoscaler", "checkout-1", map[string]any{"spec": map[string]any{"maxReplicas": int64(4),
					"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout-1"}}}),
				workloadtest.Route(s.service, 1),
			}
		}},
		"app-mesh": {"VirtualRouter", meshObjects},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openShop(t)
			objects := append(tt.objects(s), workloadtest.Objects(s.service, 1)...)
			needs := kube.Needs{Service: s.service, RouteKind: tt.route, Route: "checkout"}
			for _, o := range objects {
				needs.Kinds = append(needs.Kinds, o.Kind())
			}
			group := "stepcanary-" + s.Namespace
			role := kube.Role(needs, group)
			s.Create(t, rbac("roles"), kubetest.Object("rbac.authorization.k8s.io/v1", "Role", role[0].Name(), map[string]any{"rules": role[0]["rules"]}))
			s.Create(t, rbac("rolebindings"), kubetest.Object("rbac.authorization.k8s.io/v1", "RoleBinding", role[1].Name(),
				map[string]any{"roleRef": role[1]["roleRef"], "subjects": role[1]["subjects"]}))
			client := s.As(t, group, nil)
			waitForRights(t, client, s)
			if err := tour(t.Context(), client, s, needs, objects); err != nil {
				t.Fatalf("a rollout with the whole Role: %v", err)
			}
			s.cleanUp(t)
			if err := tour(t.Context(), s.As(t, group, kubetest.NoInitialEvents), s, needs, objects); err != nil {
				t.Fatalf("a rollout with the whole Role on an older server: %v", err)
			}
			rules := role[0]["rules"].([]any)
			for i, r := range rules {
				for _, verb := range r.(map[string]any)["verbs"].([]any) {
					var older func(http.RoundTripper) http.RoundTripper
					if verb == "list" { // which is what a server is asked that cannot send the present state in a watch
						older = kubetest.NoInitialEvents
					}
					t.Run(fmt.Sprint("without ", verb, r.(map[string]any)["resources"]), func(t *testing.T) {
						s.Merge(t, rbac("roles"), role[0].Name(), map[string]any{"rules": without(rules, i, verb)})
						s.mustFail(t, s.As(t, group, older), needs, objects)
					})
				}
			}
		})
	}
}

// without gives the rules less one verb of one rule.
func without(rules []any, i int, verb any) []any {
	out := slices.Clone(rules)
	less := maps.Clone(rules[i].(map[string]any))
	less["verbs"] = slices.DeleteFunc(slices.Clone(less["verbs"].([]any)), func(v any) bool { return v == verb })
	if out[i] = less; len(less["verbs"].([]any)) == 0 {
		out = slices.Delete(out, i, i+1)
	}
	return out
}

// mustFail goes on tour until a right is missing. The authorizer sees a changed Role
// a moment later.
func (s shop) mustFail(t *testing.T, client *kube.Client, needs kube.Needs, objects []workload.Object) {
	for range 50 {
		s.cleanUp(t)
		err := tour(t.Context(), client, s, needs, objects)
		if err != nil && strings.Contains(err.Error(), "forbidden") {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("a missing right has kind %v; want %v", fault.Of(err), fault.Invalid)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a rollout goes through without it, so that it is too much")
}

// cleanUp takes away what a tour left behind, so that the next one starts anew.
func (s shop) cleanUp(t *testing.T) {
	t.Helper()
	if err := s.cluster.Remove(t.Context(), s.service, workload.Version{Name: "checkout-1", Deployment: "checkout-1", Number: 1, Ours: true}); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		resource schema.GroupVersionResource
		name     string
	}{{kube.HTTPRoutes, "checkout"}, {kube.VirtualRouters, "checkout"}, {kube.VirtualServices, "checkout"}, {kube.Leases, kube.LeaseName("checkout")}} {
		s.Delete(t, r.resource, r.name)
	}
}

func waitForRights(t *testing.T, c *kube.Client, s shop) {
	t.Helper()
	for range 250 {
		if _, err := kube.NewCluster(c).Versions(t.Context(), s.service); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the Role did not come into force")
}
