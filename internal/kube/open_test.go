package kube_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: home, cluster: {server: "https://127.0.0.1:1"}}
- {name: "arn:aws:eks:eu-west-1:123456789012:cluster/shop", cluster: {server: "https://127.0.0.1:2"}}
- {name: "till.eu-west-1.eksctl.io", cluster: {server: "https://127.0.0.1:3"}}
users: [{name: me, user: {token: not-to-be-seen}}]
contexts:
- {name: work, context: {cluster: home, user: me}}
- {name: "arn:aws:eks:eu-west-1:123456789012:cluster/shop", context: {cluster: "arn:aws:eks:eu-west-1:123456789012:cluster/shop", user: me}}
- {name: "me@till", context: {cluster: "till.eu-west-1.eksctl.io", user: me}}
- {name: blue, context: {cluster: twin, user: me}}
- {name: twin, context: {cluster: home, user: me}}
current-context: %s
`

func TestTheContextIsTheOneThatTheClusterNameMeans(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster, context, current string
		want                      []string // in the error; none for no error
	}{
		"a context's name":                   {cluster: "work"},
		"a cluster's name":                   {cluster: "till.eu-west-1.eksctl.io"},
		"an EKS cluster by the AWS CLI":      {cluster: "shop"},
		"an EKS cluster by eksctl":           {cluster: "till"},
		"a context that was chosen":          {cluster: "whatever", context: "work"},
		"two ways, the current one counts":   {cluster: "twin", current: "twin"},
		"two ways, and none is current":      {cluster: "twin", current: "work", want: []string{"several contexts", `"blue"`, `"twin"`}},
		"no such cluster":                    {cluster: "prod", current: "work", want: []string{`"prod"`, `context "work" (cluster "home")`, "me@till"}},
		"a part of a name is not the name":   {cluster: "sho", want: []string{`"sho"`}},
		"no such context":                    {cluster: "work", context: "play", want: []string{`no context "play"`, `"work"`}},
		"no name does not mean any cluster":  {cluster: "", current: "work", want: []string{"no context or cluster is named"}},
		"a context that leads to no cluster": {cluster: "blue", want: []string{`context "blue"`}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config")
			if err := os.WriteFile(path, fmt.Appendf(nil, kubeconfig, tt.current), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := kube.Open(t.Context(), kube.Config{Cluster: tt.cluster, Context: tt.context, Kubeconfig: path})
			if len(tt.want) == 0 {
				if err != nil {
					t.Errorf("Open() = %v", err)
				}
				return
			}
			if !errors.Is(err, fault.Invalid) {
				t.Fatalf("Open() = %v; want %v", err, fault.Invalid)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open() = %v; want it to say %s", err, want)
				}
			}
			if strings.Contains(err.Error(), "not-to-be-seen") {
				t.Errorf("Open() = %v: it shows a token", err)
			}
		})
	}
}

func TestOpenWithoutAWayIsAnError(t *testing.T) {
	for name, c := range map[string]kube.Config{
		"neither kubeconfig nor EKS": {Cluster: "shop"},
		"a file that is not there":   {Cluster: "shop", Kubeconfig: "/nonexistent/config"},
	} {
		if _, err := kube.Open(t.Context(), c); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: Open() = %v; want %v", name, err, fault.Invalid)
		}
	}
}

// account is an EKS of one cluster.
type account struct {
	server *httptest.Server
	life   time.Duration
	made   atomic.Int32
	fails  error
}

func (a *account) Describe(_ context.Context, cluster string) (string, []byte, error) {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	return a.server.URL, ca, a.fails
}

func (a *account) Token(context.Context, string) (string, time.Time, error) {
	return fmt.Sprintf("token-%d", a.made.Add(1)), time.Now().Add(a.life), nil
}

func TestEKSTokensAreMadeOnceAndAgainWhenTheyEnd(t *testing.T) {
	var authorization, agent, ended string
	var sent []string
	refuse := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization, agent = r.Header.Get("Authorization"), r.UserAgent()
		w.Header().Set("Content-Type", "application/json")
		if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPost {
			if len(sent) == 0 {
				ended = authorization
			}
			sent = append(sent, fmt.Sprint(authorization != ended, strings.Contains(string(body), "on tour")))
		}
		if refuse || authorization == ended {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","message":"Unauthorized","code":401}`)
			return
		}
		fmt.Fprint(w, `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{},"items":[]}`)
	}))
	defer server.Close()
	service := workload.Service{Namespace: "shop", Name: "checkout"}
	open := func(a *account) *kube.Cluster {
		c, err := kube.Open(t.Context(), kube.Config{Cluster: "demo", EKS: a, Version: "1.2.3"})
		if err != nil {
			t.Fatal(err)
		}
		return kube.NewCluster(c)
	}
	ask := func(c *kube.Cluster) error { _, err := c.Versions(t.Context(), service); return err }

	long := &account{server: server, life: 14 * time.Minute}
	c := open(long)
	for range 3 {
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	if long.made.Load() != 1 || authorization != "Bearer token-1" || agent != "stepcanary/1.2.3" {
		t.Errorf("3 requests made %d tokens, the last with %q by %q; want 1 token", long.made.Load(), authorization, agent)
	}
	refuse = true
	err := ask(c)
	if !errors.Is(err, fault.Invalid) || fault.Of(err) != fault.Invalid || strings.Contains(err.Error(), "token-") {
		t.Errorf("Versions() refused by the server = %v; want %v without the token", err, fault.Invalid)
	}
	for _, want := range []string{`cluster "demo"`, "access entries", "expired"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Versions() refused by the server = %v; want it to say %s", err, want)
		}
	}
	refuse = false
	made := long.made.Load()
	if err := ask(c); err != nil || long.made.Load() != made+1 {
		t.Errorf("Versions() after a refusal = %v with %d tokens; want another one", err, long.made.Load()-made)
	}
	// A token that ended before its time is replaced at once.
	ended = authorization
	if err := ask(c); err != nil || long.made.Load() != made+2 {
		t.Errorf("Versions() with a token that has ended = %v with %d tokens; want another one", err, long.made.Load()-made)
	}
	if err := c.Tell(t.Context(), service, workload.Note{On: "checkout-1", Reason: "Tour", Message: "on tour"}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"false true", "true true"}, sent); diff != "" {
		t.Errorf("with the new token, with the body (-want +got):\n%s", diff)
	}

	// A token with less than a minute left is not sent any more.
	short := &account{server: server, life: 50 * time.Second}
	c = open(short)
	for range 2 {
		if err := ask(c); err != nil {
			t.Fatal(err)
		}
	}
	if short.made.Load() != 2 {
		t.Errorf("2 requests with tokens of 50 s made %d tokens; want 2", short.made.Load())
	}

	if _, err := kube.Open(t.Context(), kube.Config{Cluster: "demo", EKS: &account{server: server, fails: fault.NotFound}}); !errors.Is(err, fault.NotFound) {
		t.Errorf("Open() of no cluster = %v; want %v", err, fault.NotFound)
	}
}
