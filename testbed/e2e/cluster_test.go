package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func TestDeploymentRollsOut(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, deployment(ns, "app", "podlet:v1", 3))
	available(t, ns, "app")
	patch(t, ns, "app", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"podlet:v2"}]}}}}`)
	available(t, ns, "app")
	pods, err := cluster.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && p.Spec.Containers[0].Image != "podlet:v2" {
			t.Errorf("pod %s has image %s after the rollout, want podlet:v2", p.Name, p.Spec.Containers[0].Image)
		}
	}
}

func TestDeploymentKeepsServingWhenTheNewVersionIsNeverReady(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, deployment(ns, "app", "podlet:v1", 4))
	available(t, ns, "app")
	patch(t, ns, "app", `{"spec":{"progressDeadlineSeconds":2,"template":{"spec":{"containers":[{"name":"app","image":"podlet:v2_notready"}]}}}}`)
	eventually(t, 30*time.Second, func() error {
		d, err := cluster.AppsV1().Deployments(ns).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.AvailableReplicas < 3 {
			t.Fatalf("%d available, want 3 at least (a quarter may be missing)", d.Status.AvailableReplicas)
		}
		for _, c := range d.Status.Conditions {
			if c.Reason == "ProgressDeadlineExceeded" {
				return nil
			}
		}
		return fmt.Errorf("conditions %+v, want ProgressDeadlineExceeded", d.Status.Conditions)
	})
}

func TestOnlyReadyPodsAreEndpoints(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, deployment(ns, "app", "podlet:v1_notready", 1))
	var p corev1.Pod
	eventually(t, 20*time.Second, func() error {
		pods, err := cluster.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		if err == nil && (len(pods.Items) != 1 || pods.Items[0].Status.Phase != corev1.PodRunning) {
			err = fmt.Errorf("no pod runs yet")
		}
		if err == nil {
			p = pods.Items[0]
		}
		return err
	})
	if isReady(&p) {
		t.Fatal("pod is ready, want it not ready")
	}
	endpointsWhen(t, ns, "app", map[string]bool{p.Status.PodIP: false})
	post(t, "DELETE", "http://"+p.Status.PodIP+":8080/admin/fault", "")
	endpointsWhen(t, ns, "app", map[string]bool{p.Status.PodIP: true})
	post(t, "POST", "http://"+p.Status.PodIP+":8080/admin/fault", `{"notready": true}`)
	endpointsWhen(t, ns, "app", map[string]bool{p.Status.PodIP: false})
}

// endpointsWhen waits until the Service's endpoints are these, with whether
// each is ready.
func endpointsWhen(t *testing.T, ns, service string, want map[string]bool) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		slices, err := cluster.DiscoveryV1().EndpointSlices(ns).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
		if err != nil {
			return err
		}
		got := map[string]bool{}
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				got[e.Addresses[0]] = *e.Conditions.Ready
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("endpoints %v, want %v", got, want)
		}
		return nil
	})
}

func TestServiceAccountMayDoWhatItsRoleSays(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	answer, err := cluster.CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	limited := rest.AnonymousClientConfig(config)
	limited.BearerToken = answer.Status.Token
	client, err := kubernetes.NewForConfig(limited)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "system:serviceaccount:"+ns+":default") {
		t.Fatalf("list pods without a role: %v, want forbidden for the service account", err)
	}
	apply(t, fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: %[1]s}
rules: [{apiGroups: [""], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: default, namespace: %[1]s}]
`, ns))
	eventually(t, 10*time.Second, func() error {
		_, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
		return err
	})
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "any", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("delete a pod with a role to list: %v, want forbidden", err)
	}
	stranger := rest.AnonymousClientConfig(config)
	stranger.BearerToken = "no-such-token"
	if client, err = kubernetes.NewForConfig(stranger); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{}); !apierrors.IsUnauthorized(err) {
		t.Errorf("list pods with an unknown token: %v, want unauthorized", err)
	}
}

func TestCrashLoopBacksOff(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "crashes", `containers: [{name: app, image: podlet:v1_crashonstart}]`))
	// The bed's first wait is 1 s: starts come at 0 s, at once, after 1 s and
	// after 2 s more.
	seen := map[int32]time.Time{}
	waits := map[int32]string{}
	eventually(t, 30*time.Second, func() error {
		p, err := cluster.CoreV1().Pods(ns).Get(t.Context(), "crashes", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, s := range p.Status.ContainerStatuses {
			if ended := s.LastTerminationState.Terminated; ended != nil {
				seen[s.RestartCount] = ended.FinishedAt.Time
				if ended.ExitCode != 1 || ended.Reason != "Error" {
					t.Fatalf("ended with %+v, want exit code 1 and reason Error", ended)
				}
			}
			if w := s.State.Waiting; w != nil && w.Reason == "CrashLoopBackOff" {
				waits[s.RestartCount] = w.Message
				if p.Status.Phase != corev1.PodRunning || isReady(p) {
					t.Fatalf("phase %s, ready %v; want Running and not ready", p.Status.Phase, isReady(p))
				}
			}
		}
		if len(waits) < 3 {
			return fmt.Errorf("waits %v, want three", waits)
		}
		return nil
	})
	for restarts, wait := range map[int32]string{1: "back-off 1s ", 2: "back-off 2s ", 3: "back-off 4s "} {
		if !strings.HasPrefix(waits[restarts], wait) {
			t.Errorf("after %d restarts: %q, want %q", restarts, waits[restarts], wait)
		}
	}
	// Times in the API are whole seconds.
	if gap := seen[3].Sub(seen[1]); gap < 2*time.Second {
		t.Errorf("two restarts took %v, want 1 s and 2 s of back-off", gap)
	}
}

func TestAutoscalerScales(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata: {name: busy, namespace: %[1]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: podlet
        # A fifth of a processor: busy for a while, then asleep.
        command: [sh, -c, "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 0.05; done"]
        resources: {requests: {cpu: 10m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: busy, namespace: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: busy}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
`, ns))
	eventually(t, 60*time.Second, func() error {
		h, err := cluster.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(t.Context(), "busy", metav1.GetOptions{})
		if err == nil && h.Status.CurrentReplicas != 2 {
			err = fmt.Errorf("autoscaler's status: %+v", h.Status)
		}
		return err
	})
	available(t, ns, "busy")
}
