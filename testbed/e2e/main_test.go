package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/stepcanary/stepcanary/testbed/bed"
	"github.com/stepcanary/stepcanary/testbed/manifest"
)

// The bed that most tests share, each in a namespace of its own.
var (
	shared   *bed.Bed
	cluster  kubernetes.Interface
	config   *rest.Config
	programs string
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if host := os.Getenv(insideVariable); host != "" {
		return 0, inside(host)
	}
	programs = os.Getenv("TESTBED_PROGRAMS")
	if programs == "" {
		if programs, err = filepath.Abs("../../bin"); err != nil {
			return 1, err
		}
	}
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // a killed API server is no news here
	// Nothing of the environment outside may reach a pod.
	if err := os.Setenv("TESTBED_E2E_OUTSIDE", "must not be seen"); err != nil {
		return 1, err
	}
	shared, err = bed.Start(context.Background(), bed.Options{Programs: programs, Progress: func(part, message string) {
		fmt.Fprintf(os.Stderr, "%s: %s\n", part, message)
	}})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := shared.Stop(); err == nil {
			err = stopErr
		}
	}()
	if config, err = clientcmd.BuildConfigFromFlags("", shared.Kubeconfig("admin")); err != nil {
		return 1, err
	}
	config.QPS = -1
	if cluster, err = kubernetes.NewForConfig(config); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// namespace makes a namespace for the test and deletes it afterwards.
func namespace(t *testing.T) string {
	t.Helper()
	name := strings.Trim(strings.ToLower(strings.Map(func(r rune) rune {
		if r == '/' || r == '_' || r == '#' {
			return '-'
		}
		return r
	}, t.Name())), "-")
	name = name[:min(len(name), 40)] + fmt.Sprintf("-%d", time.Now().UnixNano()%100000)
	apply(t, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", name))
	t.Cleanup(func() {
		if err := cluster.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete namespace %s: %v", name, err)
		}
	})
	// Pods are refused until the controllers have made the service account.
	eventually(t, 10*time.Second, func() error {
		_, err := cluster.CoreV1().ServiceAccounts(name).Get(context.Background(), "default", metav1.GetOptions{})
		return err
	})
	return name
}

// apply applies a manifest; NS in it stands for nothing, the caller fills it in.
func apply(t testing.TB, text string) {
	t.Helper()
	api, err := manifest.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Apply(t.Context(), []byte(text)); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// eventually repeats f until it returns nil, and fails the test with its last
// error when that takes longer than limit.
func eventually(t testing.TB, limit time.Duration, f func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
