package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestEnvironmentAndVolumes(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: %[1]s}
data: {colour: green, file.txt: from the config map}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: %[1]s}
stringData: {password: tell-nobody}
`, ns))
	apply(t, pod(ns, "env", `restartPolicy: Never
containers:
- name: app
  image: podlet:v7
  command: [sh, -c]
  args:
  - echo "$COLOUR $PASSWORD $SETTING_colour $NAME $VERSION $CPU $(GREETING) $POD_IP=$ADDRESS" && cat etc/app/file.txt "$TESTBED_ROOT/etc/hidden/pw"
    && cat etc/pod/labels && test -s var/run/secrets/kubernetes.io/serviceaccount/token && test -z "$TESTBED_E2E_OUTSIDE" && test ! -e etc/app/colour
  env:
  - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
  - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
  - {name: MISSING, valueFrom: {secretKeyRef: {name: hidden, key: none, optional: true}}}
  - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
  - {name: GREETING, value: hello-$(NAME)}
  envFrom: [{configMapRef: {name: settings}, prefix: SETTING_}]
  resources: {requests: {cpu: 250m}}
  volumeMounts:
  - {name: settings, mountPath: /etc/app}
  - {name: hidden, mountPath: /etc/hidden}
  - {name: pod, mountPath: /etc/pod}
volumes:
- {name: settings, configMap: {name: settings, items: [{key: file.txt, path: file.txt}]}}
- {name: hidden, secret: {secretName: hidden, items: [{key: password, path: pw}]}}
- {name: pod, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}`))
	p := podWhen(t, ns, "env", "ended", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	got := logs(t, ns, "env", &corev1.PodLogOptions{})
	want := "green tell-nobody green env v7 250 hello-env " + p.Status.PodIP + "=" + p.Status.PodIP + "\nfrom the config maptell-nobodyapp=\"env\"\n"
	if p.Status.Phase != corev1.PodSucceeded || got != want {
		t.Errorf("phase %s, printed %q; want Succeeded, %q", p.Status.Phase, got, want)
	}
}

func TestMissingConfigMapHoldsThePodBack(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "waits", `containers:
- {name: app, image: "podlet:v1", env: [{name: A, valueFrom: {configMapKeyRef: {name: late, key: a}}}]}`))
	podWhen(t, ns, "waits", "was held back", func(p *corev1.Pod) bool { return waitingReason(p) == "CreateContainerConfigError" })
	apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: late, namespace: %s}\ndata: {a: b}\n", ns))
	ready(t, ns, "waits")
}

func TestUnknownImageBacksOff(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "unknown", `containers: [{name: app, image: "registry.example/nobody/nothing:v1"}]`))
	p := podWhen(t, ns, "unknown", "backed off", func(p *corev1.Pod) bool { return waitingReason(p) == "ImagePullBackOff" })
	if p.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, want Pending", p.Status.Phase)
	}
	eventually(t, 10*time.Second, func() error {
		if e := events(t, ns, "unknown"); !strings.Contains(e["Failed"], "nothing:v1") || e["BackOff"] == "" {
			return fmt.Errorf("events %v, want Failed with the image's name and BackOff", e)
		}
		return nil
	})
}

func TestInitContainersRunFirstAndInOrder(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "inits", `volumes: [{name: shared, emptyDir: {}}]
initContainers:
- {name: one, image: podlet, command: [sh, -c, "sleep 0.3; echo one >> work/order"], volumeMounts: [{name: shared, mountPath: /work}]}
- {name: two, image: podlet, command: [sh, -c, "echo two >> work/order"], volumeMounts: [{name: shared, mountPath: /work}]}
containers:
- {name: app, image: podlet, command: [sh, -c, "cat work/order; sleep 60"], volumeMounts: [{name: shared, mountPath: /work}]}
terminationGracePeriodSeconds: 0`))
	ready(t, ns, "inits")
	eventually(t, 10*time.Second, func() error {
		if got := logs(t, ns, "inits", &corev1.PodLogOptions{Container: "app"}); got != "one\ntwo\n" {
			return fmt.Errorf("printed %q, want one and two in order", got)
		}
		return nil
	})
}

func TestFailedInitContainerKeepsThePodFromStarting(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "init-fails", `restartPolicy: Never
initContainers: [{name: bad, image: podlet, command: [sh, -c, "exit 3"]}]
containers: [{name: app, image: podlet}]`))
	p := podWhen(t, ns, "init-fails", "failed", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodFailed })
	if s := p.Status.InitContainerStatuses[0].State.Terminated; s == nil || s.ExitCode != 3 {
		t.Errorf("init container ended with %+v, want exit code 3", s)
	}
	if s := p.Status.ContainerStatuses[0].State; s.Waiting == nil {
		t.Errorf("container's state %+v, want waiting", s)
	}
}

func TestLivenessProbeRestarts(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "unwell", `containers:
- name: app
  image: podlet
  env: [{name: FAULT, value: notlive}]
  livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 2}`))
	podWhen(t, ns, "unwell", "was restarted", func(p *corev1.Pod) bool {
		return p.Status.ContainerStatuses != nil && p.Status.ContainerStatuses[0].RestartCount > 0
	})
	if e := events(t, ns, "unwell"); !strings.Contains(e["Killing"], "liveness") || e["Unhealthy"] == "" {
		t.Errorf("events %v, want Killing for the liveness probe, and Unhealthy", e)
	}
}

func TestStartupProbeHoldsTheOthersBack(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "slow", `containers:
- name: app
  image: podlet:v1_slowstart-3s
  startupProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 20}
  livenessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, failureThreshold: 1}`))
	podWhen(t, ns, "slow", "ran unstarted", func(p *corev1.Pod) bool {
		s := p.Status.ContainerStatuses
		return s != nil && s[0].State.Running != nil && !*s[0].Started && !s[0].Ready
	})
	if p := ready(t, ns, "slow"); p.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("restarted %d times, want 0: the liveness probe was asked too early", p.Status.ContainerStatuses[0].RestartCount)
	}
}

func TestTooLargeAPodStaysPendingAndSaysWhy(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "large", `containers: [{name: app, image: podlet, resources: {requests: {cpu: "1000"}}}]`))
	apply(t, pod(ns, "elsewhere", "nodeSelector: {moon: full}", `containers: [{name: app, image: podlet}]`))
	for name, why := range map[string]string{"large": "Insufficient cpu", "elsewhere": "didn't match Pod's node affinity/selector"} {
		p := podWhen(t, ns, name, "was refused", func(p *corev1.Pod) bool { return condition(p, corev1.PodScheduled) == corev1.ConditionFalse })
		if m := p.Status.Conditions[0].Message; !strings.Contains(m, why) {
			t.Errorf("%s: %q, want %q in it", name, m, why)
		}
	}
}

func TestDeletedPodHasItsPreStopAndItsGrace(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "polite", `volumes: [{name: out, emptyDir: {}}]
terminationGracePeriodSeconds: 20
containers:
- name: app
  image: podlet
  command: [sh, -c, "trap 'echo terminated; sleep 0.5; echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done"]
  lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook > /proc/1/fd/1 2>/dev/null || true; sleep 0.4"]}}}`))
	ready(t, ns, "polite")
	follow, err := cluster.CoreV1().Pods(ns).GetLogs("polite", &corev1.PodLogOptions{Follow: true, Timestamps: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	asked := time.Now()
	if err := cluster.CoreV1().Pods(ns).Delete(t.Context(), "polite", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	terminating := podWhen(t, ns, "polite", "was terminating", func(p *corev1.Pod) bool { return p.DeletionTimestamp != nil })
	if terminating.Status.Phase != corev1.PodRunning {
		t.Errorf("phase while terminating %s, want Running", terminating.Status.Phase)
	}
	lines := readLines(t, follow)
	if len(lines) != 3 || !strings.HasSuffix(lines[1], " terminated") || !strings.HasSuffix(lines[2], " bye") {
		t.Fatalf("printed %q, want up, terminated and bye", lines)
	}
	at, err := time.Parse(time.RFC3339Nano, strings.Fields(lines[1])[0])
	if err != nil {
		t.Fatal(err)
	}
	if after := at.Sub(asked); after < 400*time.Millisecond {
		t.Errorf("SIGTERM came after %v, want it after the preStop hook's 400ms", after)
	}
}

func TestGraceThatIsOverKills(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, pod(ns, "deaf", `terminationGracePeriodSeconds: 1
containers: [{name: app, image: podlet, command: [sh, -c, "trap '' TERM; while :; do sleep 0.05; done"]}]`))
	ready(t, ns, "deaf")
	if err := cluster.CoreV1().Pods(ns).Delete(t.Context(), "deaf", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		p, err := cluster.CoreV1().Pods(ns).Get(t.Context(), "deaf", metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("pod is still there: %+v", p.Status.ContainerStatuses)
		}
		return nil
	})
}

func TestJobRunsToCompletion(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: %s}
spec:
  backoffLimit: 3
  template: {spec: {restartPolicy: Never, containers: [{name: app, image: podlet, command: [sh, -c, "echo done"]}]}}
`, ns))
	eventually(t, 30*time.Second, func() error {
		j, err := cluster.BatchV1().Jobs(ns).Get(t.Context(), "once", metav1.GetOptions{})
		if err == nil && j.Status.Succeeded != 1 {
			err = fmt.Errorf("job's status %+v", j.Status)
		}
		return err
	})
}

func waitingReason(p *corev1.Pod) string {
	for _, s := range p.Status.ContainerStatuses {
		if s.State.Waiting != nil {
			return s.State.Waiting.Reason
		}
	}
	return ""
}
