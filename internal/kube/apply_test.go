package kube_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/kubetest"
	"github.com/stepcanary/stepcanary/internal/workload"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

const execution = "arn:aws:states:eu-west-1:123456789012:execution:stepcanary:run-1"

// shop is a real API server with the service checkout in it.
type shop struct {
	kubetest.Cluster
	cluster *kube.Cluster
	service workload.Service
}

func openShop(t *testing.T) shop {
	c := kubetest.Open(t)
	return shop{c, kube.NewCluster(c.Client), workload.Service{Namespace: c.Namespace, Name: "checkout"}}
}

func (s shop) owner(number int) workload.Ownership {
	return workload.Ownership{Service: s.service, Version: number, Execution: execution}
}

func (s shop) object(apiVersion, kind, name string, more map[string]any) workload.Object {
	o := workload.Object{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name, "namespace": s.Namespace}}
	for k, v := range more {
		o[k] = v
	}
	return o
}

func (s shop) apply(t *testing.T, number int, more ...workload.Object) {
	t.Helper()
	if err := s.cluster.Apply(t.Context(), append(more, workloadtest.Objects(s.service, number)...), s.owner(number)); err != nil {
		t.Fatalf("Apply(version %d) = %v", number, err)
	}
}

func TestWhatIsAppliedIsMarkedAsOurs(t *testing.T) {
	s := openShop(t)
	objects := workloadtest.Objects(s.service, 3)
	objects[0]["metadata"].(map[string]any)["labels"] = map[string]any{"team": "shop"}
	before := workloadtest.Objects(s.service, 3)
	before[0]["metadata"].(map[string]any)["labels"] = map[string]any{"team": "shop"}
	if err := s.cluster.Apply(t.Context(), objects, s.owner(3)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, objects); diff != "" {
		t.Errorf("the caller's objects changed (-before +after):\n%s", diff)
	}
	own := map[string]string{
		"app.kubernetes.io/managed-by": "stepcanary", "stepcanary.dev/service": "checkout", "stepcanary.dev/version": "3", "team": "shop",
	}
	d := s.Read(t, kube.Deployments, "checkout-3")
	if diff := cmp.Diff(own, d.GetLabels()); diff != "" {
		t.Errorf("labels of the Deployment (-want +got):\n%s", diff)
	}
	spec := d.Object["spec"].(map[string]any)
	template := spec["template"].(map[string]any)["metadata"].(map[string]any)
	delete(own, "team")
	want := map[string]any{"app": "checkout-3"}
	for k, v := range own {
		want[k] = v
	}
	if diff := cmp.Diff(want, template["labels"]); diff != "" {
		t.Errorf("labels of the pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"stepcanary.dev/rollout": execution}, template["annotations"]); diff != "" {
		t.Errorf("annotations of the pods (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"matchLabels": map[string]any{"app": "checkout-3"}}, spec["selector"]); diff != "" {
		t.Errorf("the team's selector (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(own, s.Read(t, kube.Services, "checkout-3").GetLabels()); diff != "" {
		t.Errorf("labels of the Service (-want +got):\n%s", diff)
	}
}

// A second delivery of the same task comes after an autoscaler has grown the canary.
func TestApplyingAgainDoesNotShrink(t *testing.T) {
	s := openShop(t)
	s.apply(t, 1)
	s.Merge(t, kube.Deployments, "checkout-1", map[string]any{"spec": map[string]any{"replicas": 7}})
	s.apply(t, 1)
	if v, err := s.cluster.Versions(t.Context(), s.service); err != nil || len(v) != 1 || v[0].Replicas != 7 {
		t.Errorf("Versions() = %+v, %v; want 7 replicas", v, err)
	}
	o := s.owner(1)
	o.Replicas = 9
	if err := s.cluster.Apply(t.Context(), workloadtest.Objects(s.service, 1), o); err != nil {
		t.Fatal(err)
	}
	if v, err := s.cluster.Versions(t.Context(), s.service); err != nil || len(v) != 1 || v[0].Replicas != 9 {
		t.Errorf("Versions() = %+v, %v; want 9 replicas as asked", v, err)
	}
}

// A second delivery changes nothing of what an autoscaler of the version has said meanwhile.
func TestApplyingAgainLeavesAnAutoscalerAlone(t *testing.T) {
	s := openShop(t)
	objects := append(workloadtest.Objects(s.service, 1), s.object("autoscaling/v2", "HorizontalPodAutoscaler", "checkout-1", map[string]any{"spec": map[string]any{
		"maxReplicas": int64(9), "scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout-1"}}}))
	o := s.owner(1)
	o.Replicas = 5
	for _, said := range []int{5, 7, 3} {
		if err := s.cluster.Apply(t.Context(), objects, o); err != nil {
			t.Fatal(err)
		}
		s.Merge(t, kube.Deployments, "checkout-1", map[string]any{"spec": map[string]any{"replicas": said}})
		if err := s.cluster.Apply(t.Context(), objects, o); err != nil {
			t.Fatal(err)
		}
		if v, err := s.cluster.Versions(t.Context(), s.service); err != nil || len(v) != 1 || v[0].Replicas != said {
			t.Errorf("Versions() = %+v, %v; want the %d replicas that the autoscaler said", v, err, said)
		}
	}
}

// What all versions share outlives each of them, and keeps its owner.
func TestSharedObjects(t *testing.T) {
	s := openShop(t)
	selectorless := map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": int64(80)}}}}
	entrance := s.object("v1", "Service", "checkout", selectorless)
	settings := s.object("v1", "ConfigMap", "checkout-settings", map[string]any{"data": map[string]any{"a": "1"}})
	own := s.object("v1", "ConfigMap", "checkout-1-settings", map[string]any{"data": map[string]any{"a": "1"}})
	s.apply(t, 1, entrance, settings, own)
	if v := s.Read(t, kube.Services, "checkout").GetLabels()[workload.LabelVersion]; v != "" {
		t.Errorf("the shared Service is labelled as version %s's", v)
	}
	v, err := s.cluster.Versions(t.Context(), s.service)
	if err != nil || len(v) != 1 {
		t.Fatalf("Versions() = %+v, %v", v, err)
	}
	s.Requests.Reset()
	if err := s.cluster.Remove(t.Context(), s.service, v[0]); err != nil {
		t.Fatal(err)
	}
	if lines, _ := s.Requests.Lines(); len(lines) != 4 {
		t.Errorf("Remove() sent %d requests:\n%s\nwant one GET and one DELETE for each of 3 kinds", len(lines), strings.Join(lines, "\n"))
	}
	for _, gone := range []bool{s.Read(t, kube.ConfigMaps, "checkout-1-settings") == nil, s.Read(t, kube.Services, "checkout-1") == nil} {
		if !gone {
			t.Error("an object of the removed version is still there")
		}
	}
	if s.Read(t, kube.ConfigMaps, "checkout-settings") == nil || s.Read(t, kube.Services, "checkout") == nil {
		t.Error("a shared object went with its first version")
	}
}

// Where the entrance is somebody else's, it stays as it is; anything else that is
// not ours is refused, and nothing is written.
func TestForeignSharedObjects(t *testing.T) {
	s := openShop(t)
	ports := map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": 8080}}}}
	s.Create(t, kube.Services, kubetest.Object("v1", "Service", "checkout", ports))
	s.apply(t, 1, s.object("v1", "Service", "checkout", map[string]any{"spec": map[string]any{"ports": []any{map[string]any{"port": int64(80)}}}}))
	service := s.Read(t, kube.Services, "checkout")
	if port := service.Object["spec"].(map[string]any)["ports"].([]any)[0].(map[string]any)["port"]; port != int64(8080) || len(service.GetLabels()) != 0 {
		t.Errorf("the foreign Service has port %v and labels %v; want it untouched", port, service.GetLabels())
	}

	foreign := kubetest.Object("v1", "ConfigMap", "checkout-settings", map[string]any{"data": map[string]any{"a": "theirs"}})
	foreign.SetLabels(map[string]string{"app.kubernetes.io/managed-by": "Helm"})
	s.Create(t, kube.ConfigMaps, foreign)
	objects := append(workloadtest.Objects(s.service, 2), s.object("v1", "ConfigMap", "checkout-settings", map[string]any{"data": map[string]any{"a": "ours"}}))
	err := s.cluster.Apply(t.Context(), objects, s.owner(2))
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), `ConfigMap checkout-settings exists and it is managed by "Helm"`) {
		t.Errorf("Apply() over a foreign ConfigMap = %v; want %v naming it", err, fault.Invalid)
	}
	if s.Read(t, kube.Deployments, "checkout-2") != nil || s.Read(t, kube.Services, "checkout-2") != nil {
		t.Error("something was written before the refusal")
	}
}

func TestApplyRefusesWhatItMustNotTouch(t *testing.T) {
	s := openShop(t)
	elsewhere := s.object("v1", "ConfigMap", "checkout-1", nil)
	elsewhere["metadata"].(map[string]any)["namespace"] = "kube-system"
	for name, o := range map[string]workload.Object{
		"another namespace":    elsewhere,
		"a kind of no rollout": s.object("rbac.authorization.k8s.io/v1", "RoleBinding", "checkout-1", nil),
		"an old version":       s.object("apps/v1beta1", "Deployment", "checkout-1", nil),
	} {
		if err := s.cluster.Apply(t.Context(), []workload.Object{o}, s.owner(1)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Apply() = %v; want %v", name, err, fault.Invalid)
		}
	}
}

// The server's reason reaches the person who wrote the template.
func TestTheServersReasonIsTold(t *testing.T) {
	s := openShop(t)
	objects := workloadtest.Objects(s.service, 1)
	objects[0]["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)["containers"] = []any{}
	err := s.cluster.Apply(t.Context(), objects, s.owner(1))
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "spec.template.spec.containers: Required value") {
		t.Errorf("Apply() of no containers = %v; want %v with the field", err, fault.Invalid)
	}
}

// A removal that was cut short, or whose Deployment a person deleted, is finished.
func TestRemoveFinishesWhatIsHalfDone(t *testing.T) {
	s := openShop(t)
	s.apply(t, 1, s.object("v1", "ConfigMap", "checkout-1-settings", nil))
	if err := s.In(s.Namespace, kube.Deployments).Delete(t.Context(), "checkout-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	v := workload.Version{Name: "checkout-1", Number: 1, Deployment: "checkout-1", Ours: true}
	if err := s.cluster.Remove(t.Context(), s.service, v); err != nil {
		t.Fatal(err)
	}
	if s.Read(t, kube.ConfigMaps, "checkout-1-settings") != nil || s.Read(t, kube.Services, "checkout-1") != nil {
		t.Error("what was left of the version is still there")
	}
}

func TestNothingIsSentToRemoveAnAdoptedVersion(t *testing.T) {
	s := openShop(t)
	if err := s.cluster.Remove(t.Context(), s.service, workload.Version{Name: "front", Deployment: "web"}); err != nil {
		t.Fatal(err)
	}
	if lines, _ := s.Requests.Lines(); len(lines) != 0 {
		t.Errorf("Remove() sent %v", lines)
	}
}

// A Deployment that a finalizer keeps is no version any more.
func TestAVersionThatIsBeingDeletedIsNone(t *testing.T) {
	s := openShop(t)
	s.apply(t, 1)
	finalizers := func(list ...any) map[string]any {
		return map[string]any{"metadata": map[string]any{"finalizers": list}}
	}
	s.Merge(t, kube.Deployments, "checkout-1", finalizers("stepcanary.dev/test"))
	t.Cleanup(func() { s.Merge(t, kube.Deployments, "checkout-1", finalizers()) })
	s.Delete(t, kube.Deployments, "checkout-1")
	if v, err := s.cluster.Versions(t.Context(), s.service); err != nil || len(v) != 0 {
		t.Errorf("Versions() = %+v, %v; want none", v, err)
	}
}

func TestAdoptSaysWhatIsInTheWay(t *testing.T) {
	s := openShop(t)
	k := s.Kubelet(t)
	place(t, s.Cluster, k, workload.Version{Name: "front", Deployment: "web-a", Image: "podlet:a", Replicas: 1})
	second := kubetest.Object("apps/v1", "Deployment", "web-b", map[string]any{"spec": map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"app": "web-a", "track": "b"}},
		"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "web-a", "track": "b"}},
			"spec": map[string]any{"schedulerName": workloadtest.Scheduler, "containers": []any{map[string]any{"name": "app", "image": "x"}}}},
	}})
	s.Create(t, kube.Deployments, second)
	s.Create(t, kube.Services, kubetest.Object("v1", "Service", "outside", map[string]any{"spec": map[string]any{
		"type": "ExternalName", "externalName": "example.com"}}))
	s.Create(t, kube.Services, kubetest.Object("v1", "Service", "orphan", map[string]any{"spec": map[string]any{
		"selector": map[string]any{"app": "nobody"}, "ports": []any{map[string]any{"port": 80}}}}))
	for backend, want := range map[string]struct {
		kind fault.Kind
		text string
	}{
		"front":   {fault.Invalid, "2 Deployments (web-a, web-b)"},
		"outside": {fault.Refused, "ExternalName example.com"},
		"orphan":  {fault.NotFound, "app=nobody"},
		"nothing": {fault.NotFound, `"nothing" not found`},
	} {
		_, err := s.cluster.Adopt(t.Context(), s.service, backend)
		if fault.Of(err) != want.kind || !strings.Contains(err.Error(), want.text) {
			t.Errorf("Adopt(%s) = %v; want %v with %q", backend, err, want.kind, want.text)
		}
	}
}

// kubectl describe finds events by name and UID of what they regard.
func TestEventsAreFoundByKubectl(t *testing.T) {
	s := openShop(t)
	s.apply(t, 1)
	note := workload.Note{On: "checkout-1", Reason: "RolledBack", Message: strings.Repeat("ü", 600), Warning: true}
	// A process that did not apply it knows no UID.
	for _, c := range []*kube.Cluster{s.cluster, kube.NewCluster(freshClient(t))} {
		if err := c.Tell(t.Context(), s.service, note); err != nil {
			t.Fatal(err)
		}
	}
	d := s.Read(t, kube.Deployments, "checkout-1")
	list, err := s.In(s.Namespace, kube.Events).List(t.Context(), metav1.ListOptions{
		FieldSelector: "regarding.kind=Deployment,regarding.name=checkout-1,regarding.uid=" + string(d.GetUID())})
	if err != nil {
		list, err = s.In(s.Namespace, coreEvents).List(t.Context(), metav1.ListOptions{
			FieldSelector: "involvedObject.kind=Deployment,involvedObject.name=checkout-1,involvedObject.uid=" + string(d.GetUID())})
	}
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, e := range list.Items {
		if e.Object["reason"] == "RolledBack" && e.Object["type"] == "Warning" {
			ours++
			text, _ := e.Object["note"].(string)
			if text == "" {
				text, _ = e.Object["message"].(string)
			}
			if len(text) > 1024 || !strings.HasSuffix(text, "ü…") {
				t.Errorf("text of %d bytes ends %q; want at most 1024, cut at a character", len(text), text[len(text)-5:])
			}
		}
	}
	if ours != 2 {
		t.Errorf("%d events of ours are found; want 2", ours)
	}
}

// A crash loop must be seen within about a second from the moment Kubernetes knows.
func TestACrashLoopIsSeenAtOnce(t *testing.T) {
	s := openShop(t)
	k := s.Kubelet(t)
	k.Set("checkout-1", kubetest.Ready())
	s.apply(t, 1)
	s.Requests.Reset()
	f, err := s.cluster.Follow(t.Context(), s.service, workload.Version{Name: "checkout-1", Deployment: "checkout-1", Number: 1, Ours: true})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	next := func(is func(workload.Status) bool) time.Duration {
		start := time.Now()
		for {
			st, err := f.Next(t.Context(), 20*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if is(st) {
				return time.Since(start)
			}
			if time.Since(start) > 20*time.Second {
				t.Fatalf("still %+v", st)
			}
		}
	}
	next(workload.Status.Available)
	if lines, watches := s.Requests.Lines(); len(lines) != 0 || len(watches) != 3 {
		t.Errorf("Follow() sent %v and %v; want three watches and nothing else", lines, watches)
	}
	k.Set("checkout-1", kubetest.Restarted(false, 1, kubetest.Exited(1, "Error")))
	took := next(func(st workload.Status) bool { return st.Problem != "" })
	k.Set("checkout-1", kubetest.Waiting("CrashLoopBackOff", "back-off 10s", 1, kubetest.Exited(1, "Error")))
	took2 := next(func(st workload.Status) bool { return st.Fatal })
	t.Logf("a restart was seen after %v, a crash loop after %v", took, took2)
}
