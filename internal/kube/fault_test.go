package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// plain opens the API at a URL without any authentication.
func plain(t *testing.T, url string) *kube.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, clusters: [{name: x, cluster: {server: %q}}], contexts: [{name: x, context: {cluster: x}}]}`, url)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := kube.Open(t.Context(), kube.Config{Cluster: "x", Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheServersAnswersHaveTheirKinds(t *testing.T) {
	service := workload.Service{Namespace: "shop", Name: "checkout"}
	for code, want := range map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Invalid, 403: fault.Invalid, 404: fault.NotFound, 409: fault.Conflict,
		422: fault.Invalid, 500: fault.Transient, 502: fault.Transient, 503: fault.Transient, 504: fault.Transient,
	} {
		for _, body := range []string{
			fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the server's own words","code":%d}`, code),
			"<html>a proxy's answer</html>",
		} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(code)
				fmt.Fprint(w, body)
			}))
			_, err := kube.NewCluster(plain(t, server.URL)).Versions(t.Context(), service)
			if fault.Of(err) != want {
				t.Errorf("answer %d %s: error %v has kind %v; want %v", code, body, err, fault.Of(err), want)
			}
			if strings.HasPrefix(body, "{") && !strings.Contains(err.Error(), "the server's own words") {
				t.Errorf("answer %d: error %v does not say what the server said", code, err)
			}
			server.Close()
		}
	}
}

// A template that does not fit the schema never will: it must not be tried six times.
func TestATemplateThatDoesNotFitItsSchemaIsInvalid(t *testing.T) {
	answer := func(message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: 500, Message: message}}
	}
	for message, want := range map[string]fault.Kind{
		"failed to create typed patch object (default/podlet-2; apps/v1, Kind=Deployment): .spec.replica: field not declared in schema":                 fault.Invalid,
		`failed to create typed patch object (default/podlet-2; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string`: fault.Invalid,
		"etcdserver: request timed out":                                           fault.Transient,
		"an error on the server (\"\") has prevented the request from succeeding": fault.Transient,
	} {
		if err := kube.Fault("apply Deployment podlet-2", answer(message)); fault.Of(err) != want || !strings.Contains(err.Error(), message) {
			t.Errorf("%q: %v has kind %v; want %v", message, err, fault.Of(err), want)
		}
	}
}

func TestNoAnswerIsTransient(t *testing.T) {
	service := workload.Service{Namespace: "shop", Name: "checkout"}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	for name, url := range map[string]string{"nobody listens": closed.URL, "nobody answers": silent.URL} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if _, err := kube.NewCluster(plain(t, url)).Versions(ctx, service); !errors.Is(err, fault.Transient) {
			t.Errorf("%s: Versions() = %v; want %v", name, err, fault.Transient)
		}
		cancel()
	}
	strange := httptest.NewTLSServer(http.NotFoundHandler())
	defer strange.Close()
	if _, err := kube.NewCluster(plain(t, strange.URL)).Versions(t.Context(), service); !errors.Is(err, fault.Invalid) {
		t.Errorf("a certificate that nobody vouches for: Versions() = %v; want %v", err, fault.Invalid)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kube.NewCluster(plain(t, closed.URL)).Versions(ctx, service); !errors.Is(err, context.Canceled) || errors.Is(err, fault.Transient) {
		t.Errorf("the caller gave up: Versions() = %v; want the context's end", err)
	}
}

func TestFaultKeepsAKindThatIsThere(t *testing.T) {
	err := kube.Fault("do it", fmt.Errorf("inside: %w", fault.Fenced))
	if fault.Of(err) != fault.Fenced || !strings.HasPrefix(err.Error(), "do it: ") {
		t.Errorf("Fault() = %v of kind %v", err, fault.Of(err))
	}
	if err := kube.Fault("do it", nil); err != nil {
		t.Errorf("Fault(nil) = %v", err)
	}
}
