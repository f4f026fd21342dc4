//go:build awse2e

package aws

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// prepareEvent is what the state machine would send to prepare.
func prepareEvent(t *testing.T, folder, cluster string) []byte {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var doc map[string]any
	if err := json.Unmarshal(read("deploy.json"), &doc); err != nil {
		t.Fatal(err)
	}
	doc["cluster_name"] = cluster
	doc["config_file"] = read("kubernetes_template.yml") // base64 by encoding/json
	event, err := json.Marshal(map[string]any{
		"execution": "arn:aws:states:us-east-1:000000000000:execution:stepcanary:refused", "state": "Prepare", "input": doc,
		"started": "2026-01-01T00:00:00Z",
	})
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// refusals calls the real binary with credentials that must not work.
func (w *world) refusals(t *testing.T, folder string) {
	for name, tt := range map[string]struct {
		alter   func(principal) principal
		cluster string
		want    string
	}{
		"a wrong secret":                {func(p principal) principal { p.secret = "wrong"; return p }, "demo", "SignatureDoesNotMatch"},
		"an unknown key":                {func(p principal) principal { p.key = "AKIDUNKNOWN"; return p }, "demo", "UnrecognizedClientException"},
		"a token for another cluster":   {func(p principal) principal { return p }, "second", `cluster \"second\" does not know who asks: 401`},
		"a cluster that does not exist": {func(p principal) principal { return p }, "foreign", "No cluster found for name: foreign"},
		"a cluster without a policy":    {func(p principal) principal { return p }, "prod", "not authorized to perform: eks:DescribeCluster on resource: arn:aws:eks:eu-west-1:111122223333:cluster/prod"},
	} {
		t.Run("refused: "+name, func(t *testing.T) { w.refused(t, tt.alter, prepareEvent(t, folder, tt.cluster), tt.want) })
	}
	t.Run("refused: a token that expired on its way", func(t *testing.T) {
		w.cloud.late.Store(int64(16 * time.Minute))
		defer w.cloud.late.Store(0)
		w.refused(t, func(p principal) principal { return p }, prepareEvent(t, folder, "demo"), `cluster \"demo\" does not know who asks: 401`)
	})
	t.Run("refused: a token of twenty minutes ago", w.oldToken)
}

func (w *world) refused(t *testing.T, alter func(principal) principal, event []byte, want string) {
	t.Helper()
	result, refusal := w.host(t, alter).Invoke(context.Background(), "prepare", event)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if !result.Failed || !strings.Contains(string(result.Payload), want) {
		t.Errorf("answer %s, want an error with %q", result.Payload, want)
	}
	for _, secret := range []string{"secret-of", "k8s-aws-v1."} {
		if strings.Contains(string(result.Payload), secret) {
			t.Errorf("the error holds a secret: %s", result.Payload)
		}
	}
}

// dated is the cluster with a token that a role signed some time ago.
type dated struct {
	cloud *cloud
	ago   time.Duration
}

func (d dated) Describe(context.Context, string) (string, []byte, error) {
	return d.cloud.endpoint, d.cloud.ca, nil
}

func (d dated) Token(_ context.Context, cluster string) (string, time.Time, error) {
	for _, p := range d.cloud.principals {
		if p.function == "prepare" {
			signed, err := p.presign(cluster, time.Now().Add(-d.ago))
			return "k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(signed)), time.Now().Add(time.Hour), err
		}
	}
	return "", time.Time{}, fmt.Errorf("no role for prepare")
}

// oldToken shows a token to the API server that was good once. The same way a new one is let in.
func (w *world) oldToken(t *testing.T) {
	for ago, want := range map[time.Duration]string{time.Second: "", 20 * time.Minute: `cluster "demo" does not know who asks: 401`} {
		client, err := kube.Open(t.Context(), kube.Config{Cluster: "demo", EKS: dated{w.cloud, ago}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = kube.NewCluster(client).Versions(t.Context(), workload.Service{Namespace: "default", Name: "podlet"})
		if (err == nil) != (want == "") || !strings.Contains(fmt.Sprint(err), want) && want != "" {
			t.Errorf("a token of %v ago: %v; want an error with %q", ago, err, want)
		}
	}
}
