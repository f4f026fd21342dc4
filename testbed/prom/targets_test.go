package prom

import (
	"encoding/json"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

func TestTargets(t *testing.T) {
	for name, tt := range map[string]struct {
		annotations map[string]string
		ports       []corev1.ContainerPort
		phase       corev1.PodPhase
		want        []string
		path        string
	}{
		"a port named http":            {ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, phase: corev1.PodRunning, want: []string{"127.0.0.9:8080"}},
		"metrics before http":          {ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "metrics", ContainerPort: 9}}, phase: corev1.PodRunning, want: []string{"127.0.0.9:9"}},
		"no such port":                 {ports: []corev1.ContainerPort{{Name: "tcp", ContainerPort: 1}}, phase: corev1.PodRunning},
		"a pod that does not run":      {ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, phase: corev1.PodPending},
		"one that declines":            {annotations: map[string]string{scrapeAnnotation: "false"}, ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}, phase: corev1.PodRunning},
		"one that asks, without names": {annotations: map[string]string{scrapeAnnotation: "true"}, ports: []corev1.ContainerPort{{ContainerPort: 5}}, phase: corev1.PodRunning, want: []string{"127.0.0.9:5"}},
		"one that says where": {annotations: map[string]string{scrapeAnnotation: "true", portAnnotation: "77", pathAnnotation: "/stats"},
			phase: corev1.PodRunning, want: []string{"127.0.0.9:77"}, path: "/stats"},
	} {
		t.Run(name, func(t *testing.T) {
			pods := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			if err := pods.Add(&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app-1", Annotations: tt.annotations, Labels: map[string]string{"app.kubernetes.io/name": "app"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: tt.ports}}},
				Status:     corev1.PodStatus{Phase: tt.phase, PodIP: "127.0.0.9"},
			}); err != nil {
				t.Fatal(err)
			}
			recorder := httptest.NewRecorder()
			Targets(corelisters.NewPodLister(pods)).ServeHTTP(recorder, httptest.NewRequest("GET", "/targets", nil))
			var got []group
			if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			want := []group{}
			if tt.want != nil {
				labels := map[string]string{
					"namespace": "shop", "kubernetes_namespace": "shop", "pod": "app-1", "kubernetes_pod_name": "app-1", "app_kubernetes_io_name": "app",
				}
				if tt.path != "" {
					labels["__metrics_path__"] = tt.path
				}
				want = append(want, group{Targets: tt.want, Labels: labels})
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}
