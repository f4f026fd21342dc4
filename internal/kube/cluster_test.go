package kube_test

import (
	"os"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/workload"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

func TestCluster(t *testing.T) {
	workloadtest.Run(t, func(t *testing.T) workloadtest.Subject {
		c := kubetest.Open(t)
		k := c.Kubelet(t)
		service := workload.Service{Namespace: c.Namespace, Name: "checkout"}
		return workloadtest.Subject{
			Cluster: kube.NewCluster(c.Client),
			Service: service,
			Place:   func(t *testing.T, v workload.Version) { place(t, c, k, v) },
			Answer:  func(t *testing.T, name string) { answer(t, c, name) },
			Ready: func(t *testing.T, name string, ready bool) {
				k.Set(name, map[bool]map[string]any{true: kubetest.Ready(), false: kubetest.Unready()}[ready])
			},
			CannotPull: func(t *testing.T, name string) { cannotPull(t, k, name) },
			Crash: func(t *testing.T, name string) {
				k.Set(name, kubetest.Waiting("CrashLoopBackOff", "back-off 10s", 1, kubetest.Exited(1, "Error")))
			},
			Refuse: func(t *testing.T, words string) { refuse(t, c, words) },
			Delete: func(t *testing.T, name string) {
				if err := c.In(c.Namespace, kube.Deployments).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// refuse sets up an admission policy against Deployments in the test's namespace, and waits until it
// is in force.
func refuse(t *testing.T, c kubetest.Cluster, words string) {
	t.Helper()
	const api = "admissionregistration.k8s.io/v1"
	c.Create(t, kubetest.Policies, kubetest.Object(api, "ValidatingAdmissionPolicy", c.Namespace, map[string]any{"spec": map[string]any{
		"matchConstraints": map[string]any{"resourceRules": []any{map[string]any{
			"apiGroups": []any{"apps"}, "apiVersions": []any{"v1"}, "resources": []any{"deployments"}, "operations": []any{"CREATE"}}}},
		"validations": []any{map[string]any{"expression": "false", "message": words}},
	}}))
	c.Create(t, kubetest.PolicyBindings, kubetest.Object(api, "ValidatingAdmissionPolicyBinding", c.Namespace, map[string]any{"spec": map[string]any{
		"policyName": c.Namespace, "validationActions": []any{"Deny"},
		"matchResources": map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]any{"kubernetes.io/metadata.name": c.Namespace}}},
	}}))
	t.Cleanup(func() {
		c.Delete(t, kubetest.PolicyBindings, c.Namespace)
		c.Delete(t, kubetest.Policies, c.Namespace)
	})
	service := workload.Service{Namespace: c.Namespace, Name: "probe"}
	for deadline := time.Now().Add(workloadtest.Patience); ; time.Sleep(50 * time.Millisecond) {
		err := kube.NewCluster(c.Client).DryRun(t.Context(), workloadtest.Objects(service, 1), workload.Ownership{Service: service, Version: 1})
		if fault.Of(err) == fault.Invalid {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the policy is not in force after %v: %v", workloadtest.Patience, err)
		}
	}
}

// cannotPull attempts again and again, with a pause after each attempt, until the
// test is over.
func cannotPull(t *testing.T, k *kubetest.Kubelet, name string) {
	over, done := make(chan struct{}), make(chan struct{})
	k.Set(name, kubetest.Waiting("ErrImagePull", "not found", 0, nil))
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(200 * time.Millisecond):
				k.Set(name, kubetest.Waiting([]string{"ImagePullBackOff", "ErrImagePull"}[i%2], "not found", 0, nil))
			}
		}
	}()
	t.Cleanup(func() { close(over); <-done })
}

// place makes a Deployment and a Service as a team without us would have them.
func place(t *testing.T, c kubetest.Cluster, k *kubetest.Kubelet, v workload.Version) {
	labels := map[string]any{"app": v.Deployment}
	k.Set(v.Deployment, kubetest.Ready())
	c.Create(t, kube.Deployments, kubetest.Object("apps/v1", "Deployment", v.Deployment, map[string]any{"spec": map[string]any{
		"replicas": v.Replicas,
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{
			"metadata": map[string]any{"labels": labels},
			"spec": map[string]any{
				"schedulerName": workloadtest.Scheduler,
				"containers":    []any{map[string]any{"name": "app", "image": v.Image}},
			},
		},
	}}))
	c.Create(t, kube.Services, kubetest.Object("v1", "Service", v.Name, map[string]any{"spec": map[string]any{
		"selector": labels, "ports": []any{map[string]any{"port": 80, "targetPort": 8080}},
	}}))
}

// answer makes a Service whose endpoints a person writes.
func answer(t *testing.T, c kubetest.Cluster, name string) {
	c.Create(t, kube.Services, kubetest.Object("v1", "Service", name, map[string]any{"spec": map[string]any{
		"ports": []any{map[string]any{"port": 80}},
	}}))
	c.Create(t, kube.EndpointSlices, kubetest.Object("discovery.k8s.io/v1", "EndpointSlice", name, map[string]any{
		"metadata":    map[string]any{"name": name, "labels": map[string]any{"kubernetes.io/service-name": name}},
		"addressType": "IPv4", "ports": []any{map[string]any{"port": 8080}},
		"endpoints": []any{map[string]any{"addresses": []any{"10.20.30.40"}}},
	}))
}

// coreEvents is where kubectl looks for events.
var coreEvents = schema.GroupVersionResource{Version: "v1", Resource: "events"}

// freshClient is a second process's client of the same server.
func freshClient(t *testing.T) *kube.Client {
	t.Helper()
	path := os.Getenv(kubetest.Env)
	c, err := kube.Open(t.Context(), kube.Config{Kubeconfig: path, Context: kubetest.Context(t, path)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
