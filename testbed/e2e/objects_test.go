package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// deployment is a Deployment of podlets with its Service. extra goes into the
// container, each line with its own indentation from the left margin.
func deployment(ns, name, image string, replicas int, extra ...string) string {
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      containers:
      - name: app
        image: %[3]s
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 1}
%[5]s
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {app: %[2]s}, ports: [{name: http, port: 8080, targetPort: http}]}
`, ns, name, image, replicas, indent(8, extra))
}

// pod is a Pod; spec is its spec.
func pod(ns, name string, spec ...string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s, labels: {app: %s}}\nspec:\n%s\n", name, ns, name, indent(2, spec))
}

// route is an HTTPRoute at HOST = ns.example that splits by weights.
func route(ns string, stable, canary int) string {
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: %[1]s}
spec:
  parentRefs: [{name: web, namespace: testbed}]
  hostnames: [%[1]s.example]
  rules:
  - backendRefs:
    - {name: stable, port: 8080, weight: %[2]d}
    - {name: canary, port: 8080, weight: %[3]d}
`, ns, stable, canary)
}

func indent(n int, blocks []string) string {
	var out []string
	for _, b := range blocks {
		for line := range strings.SplitSeq(b, "\n") {
			out = append(out, strings.Repeat(" ", n)+line)
		}
	}
	return strings.Join(out, "\n")
}

// available waits until the Deployment is fully rolled out.
func available(t *testing.T, ns, name string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		d, err := cluster.AppsV1().Deployments(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		s := d.Status
		if want := *d.Spec.Replicas; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != want || s.AvailableReplicas != want || s.Replicas != want {
			return fmt.Errorf("deployment %s: %d of %d updated, %d available, %d in all", name, s.UpdatedReplicas, want, s.AvailableReplicas, s.Replicas)
		}
		return nil
	})
}

// ready waits until the pod is ready and gives it.
func ready(t *testing.T, ns, name string) *corev1.Pod {
	t.Helper()
	return podWhen(t, ns, name, "is ready", isReady)
}

// podWhen waits until a pod is as wanted.
func podWhen(t *testing.T, ns, name, wanted string, is func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var p *corev1.Pod
	eventually(t, 30*time.Second, func() (err error) {
		p, err = cluster.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		if err == nil && !is(p) {
			err = fmt.Errorf("pod %s never %s; its status: %+v", name, wanted, p.Status)
		}
		return err
	})
	return p
}

func isReady(p *corev1.Pod) bool { return condition(p, corev1.PodReady) == corev1.ConditionTrue }

func condition(p *corev1.Pod, kind corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.Status
		}
	}
	return corev1.ConditionUnknown
}

// patch changes an object of apps/v1 deployments by a strategic merge patch.
func patch(t *testing.T, ns, name, change string) {
	t.Helper()
	_, err := cluster.AppsV1().Deployments(ns).Patch(t.Context(), name, types.StrategicMergePatchType, []byte(change), metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("patch deployment %s: %v", name, err)
	}
}

// logs is what a container has printed.
func logs(t *testing.T, ns, name string, o *corev1.PodLogOptions) string {
	t.Helper()
	b, err := cluster.CoreV1().Pods(ns).GetLogs(name, o).DoRaw(t.Context())
	if err != nil {
		t.Fatalf("logs of %s: %v", name, err)
	}
	return string(b)
}

// events are the reasons of the events about an object.
func events(t *testing.T, ns, name string) map[string]string {
	t.Helper()
	list, err := cluster.CoreV1().Events(ns).List(context.Background(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range list.Items {
		out[e.Reason] = e.Message
	}
	return out
}
