package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// kubectlPath is kubectl, built as build.sh builds it when nobody did yet.
var kubectlPath = sync.OnceValues(func() (string, error) {
	path := filepath.Join(programs, "kubectl")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if out, err := exec.Command("../build.sh", "--only-kubectl", shared.Dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build kubectl: %w\n%s", err, out)
	}
	return filepath.Join(shared.Dir, "kubectl"), nil
})

// kubectl runs kubectl as a user would.
func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path, err := kubectlPath()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig("admin"), "HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestKubectl(t *testing.T) {
	ns := namespace(t)
	for _, step := range []struct {
		args  string
		stdin string
		want  []string // in what it prints
	}{
		{args: "config current-context", want: []string{"testbed"}},
		{args: "version", want: []string{"Server Version: v1.36"}},
		{args: "apply -f -", stdin: deployment(ns, "app", "podlet:v1", 2), want: []string{"deployment.apps/app created", "service/app created"}},
		{args: "-n NS rollout status deployment/app --timeout=30s", want: []string{"successfully rolled out"}},
		{args: "get nodes", want: []string{"testbed", "Ready", "v1.36"}},
		{args: "-n NS get deployments,replicasets,pods,services,endpointslices -o wide", want: []string{"2/2", "1/1", "Running", "127."}},
		{args: "-n NS describe deployment app", want: []string{"podlet:v1", "2 available", "ScalingReplicaSet"}},
		{args: "-n NS describe pods", want: []string{"Ready", "True", "Started", "http-get http://:http/readyz"}},
		{args: "-n NS logs deployment/app", want: []string{"podlet v1 web listening on"}},
		{args: "-n NS events", want: []string{"Scheduled", "Started", "SuccessfulCreate"}},
		{args: "-n NS set image deployment/app app=podlet:v2", want: []string{"image updated"}},
		{args: "-n NS rollout status deployment/app --timeout=30s", want: []string{"successfully rolled out"}},
		{args: "-n NS rollout history deployment/app", want: []string{"REVISION", "2"}},
		{args: "-n NS rollout undo deployment/app", want: []string{"rolled back"}},
		{args: "-n NS rollout status deployment/app --timeout=30s", want: []string{"successfully rolled out"}},
		{args: "-n NS get deployment app -o jsonpath={.spec.template.spec.containers[0].image}", want: []string{"podlet:v1"}},
		{args: "-n NS scale deployment/app --replicas=1", want: []string{"scaled"}},
		{args: "-n NS wait --for=jsonpath={.status.readyReplicas}=1 deployment/app --timeout=30s", want: []string{"condition met"}},
		{args: "-n NS delete deployment app --timeout=60s", want: []string{"deleted"}},
	} {
		args := strings.Fields(strings.ReplaceAll(step.args, "NS", ns))
		out := kubectl(t, step.stdin, args...)
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl %s printed\n%s\nwant %q in it", strings.Join(args, " "), out, want)
			}
		}
	}
}

func TestKubectlTop(t *testing.T) {
	ns := namespace(t)
	apply(t, deployment(ns, "app", "podlet:v1", 1))
	available(t, ns, "app")
	eventually(t, 20*time.Second, func() error {
		metrics, err := cluster.Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/" + ns + "/pods").DoRaw(t.Context())
		if err == nil && !strings.Contains(string(metrics), `"memory"`) {
			err = fmt.Errorf("metrics %s, want the pod's", metrics)
		}
		return err
	})
	if out := kubectl(t, "", "-n", ns, "top", "pods"); !strings.Contains(out, "app-") || !strings.Contains(out, "Mi") {
		t.Errorf("kubectl top pods printed\n%s\nwant the pod with its memory", out)
	}
}
