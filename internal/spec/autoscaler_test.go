package spec_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/spec"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// scaled is the least template, with these containers and an autoscaler in deploy.json.
func scaled(pod string, a spec.Autoscaler, documents ...string) spec.Spec {
	text := strings.Replace(cart, `{containers: [{name: app, image: "${CONTAINER_IMAGE}"}]}`, pod, 1)
	text = strings.Join(append([]string{text}, documents...), "---\n")
	return spec.Spec{Namespace: "shop", Service: "cart", Autoscaler: a, ConfigFile: base64.StdEncoding.EncodeToString([]byte(text))}
}

const requested = `{containers: [{name: app, image: "${CONTAINER_IMAGE}", resources: {requests: {cpu: 100m, memory: 64Mi}}}]}`

func TestAnAutoscalerComesWithEachVersion(t *testing.T) {
	got := objects(t, scaled(requested, spec.Autoscaler{Min: 2, Max: 10, CPU: 60, Memory: 80}))
	use := func(name string, percent int64) any {
		return map[string]any{"type": "Resource", "resource": map[string]any{
			"name": name, "target": map[string]any{"type": "Utilization", "averageUtilization": percent}}}
	}
	want := workload.Object{
		"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
		"metadata": map[string]any{"name": "cart-12", "namespace": "shop"},
		"spec": map[string]any{
			"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart-12"},
			"minReplicas":    int64(2), "maxReplicas": int64(10), "metrics": []any{use("cpu", 60), use("memory", 80)},
		},
	}
	if diff := cmp.Diff(want, got["HorizontalPodAutoscaler cart-12"]); diff != "" {
		t.Errorf("autoscaler (-want +got):\n%s", diff)
	}
	if n := got["Deployment cart-12"].Field("spec", "replicas"); n != int64(2) {
		t.Errorf("the Deployment begins with %v pods; want the autoscaler's least", n)
	}
	if len(got) != 3 || len(objects(t, with())) != 2 {
		t.Errorf("objects %v; want the autoscaler beside the two of the template, and none without it", got)
	}
}

// The autoscaler is applied behind the Deployment that it scales, and before the route.
func TestTheOrderOfAnAutoscaler(t *testing.T) {
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: cart}\nspec: {rules: [{backendRefs: [${CANARY_ROUTES}]}]}\n"
	all, err := template(t, scaled(requested, spec.Autoscaler{Min: 1, Max: 2, CPU: 50}, route)).Render(spec.Values{
		Namespace: "shop", Service: "cart", Image: digest, Version: 1, Routes: []spec.Route{{Name: "cart-1", Weight: 100}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range all {
		kinds = append(kinds, o.Kind())
	}
	if diff := cmp.Diff([]string{"Service", "Deployment", "HorizontalPodAutoscaler", "HTTPRoute"}, kinds); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestAnAutoscalerNeedsWhatItScalesBy(t *testing.T) {
	hpa := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: \"cart-${CANARY_VERSION}\"}\n" +
		"spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: \"cart-${CANARY_VERSION}\"}}\n"
	both := spec.Autoscaler{Min: 1, Max: 2, CPU: 50, Memory: 50}
	for name, tt := range map[string]struct {
		spec spec.Spec
		want string // a part of the error; empty where there is none
	}{
		"requests": {scaled(requested, both), ""},
		"limits, which Kubernetes takes for requests": {scaled(strings.Replace(requested, "requests", "limits", 1), both), ""},
		"no requests":                     {scaled(`{containers: [{name: app, image: "${CONTAINER_IMAGE}"}]}`, both), "spec.template.spec.containers[0].resources.requests.cpu: found nothing"},
		"one kind only":                   {scaled(strings.Replace(requested, ", memory: 64Mi", "", 1), both), "containers[0].resources.requests.memory: found nothing"},
		"the other kind is not asked for": {scaled(strings.Replace(requested, ", memory: 64Mi", "", 1), spec.Autoscaler{Min: 1, Max: 2, CPU: 50}), ""},
		"a second container":              {scaled(strings.Replace(requested, "}]}", "}, {name: proxy, image: proxy}]}", 1), both), "containers[1].resources.requests.cpu: found nothing"},
		"a container that runs beside":    {scaled(strings.Replace(requested, "{containers", "{initContainers: [{name: proxy, image: proxy, restartPolicy: Always}], containers", 1), both), "initContainers[0].resources.requests.cpu: found nothing"},
		"a container that ends":           {scaled(strings.Replace(requested, "{containers", "{initContainers: [{name: once, image: once}], containers", 1), both), ""},
		"two autoscalers":                 {scaled(requested, both, hpa), "found a second autoscaler beside autoscaler of deploy.json, expected one of the two"},
		"one in the template":             {scaled(requested, spec.Autoscaler{}, hpa), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.spec.Template()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Template() = %v; want %q", err, tt.want)
			}
		})
	}
}

func TestReplicasWithinAnAutoscaler(t *testing.T) {
	a := spec.Autoscaler{Min: 2, Max: 10, CPU: 60}
	for n, want := range map[int]int{0: 0, 1: 2, 2: 2, 7: 7, 10: 10, 12: 10} {
		if got := a.Within(n); got != want {
			t.Errorf("Within(%d) = %d; want %d", n, got, want)
		}
	}
	if got := (spec.Autoscaler{}).Within(12); got != 12 {
		t.Errorf("Within(12) without an autoscaler = %d", got)
	}
}
