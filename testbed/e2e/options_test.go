package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/stepcanary/stepcanary/testbed/bed"
)

// TestAuthenticationWebhookAndAudit gives a bed a webhook that knows one token,
// and reads in the audit log who came with it.
func TestAuthenticationWebhookAndAudit(t *testing.T) {
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if review.Spec.Token == "the-token" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "from-the-webhook", Groups: []string{"system:masters"}}}
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer webhook.Close()
	file := filepath.Join(t.TempDir(), "webhook.yaml")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: webhook, cluster: {server: %q}}]
users: [{name: apiserver, user: {}}]
contexts: [{name: webhook, context: {cluster: webhook, user: apiserver}}]
current-context: webhook
`, webhook.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bed.Start(t.Context(), bed.Options{Programs: programs, Audit: true, AuthenticationWebhook: file})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	}()
	admin, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig("admin"))
	if err != nil {
		t.Fatal(err)
	}
	for token, allowed := range map[string]bool{"the-token": true, "another": false} {
		c := rest.AnonymousClientConfig(admin)
		c.BearerToken, c.UserAgent = token, "the-test"
		client, err := kubernetes.NewForConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); (err == nil) != allowed {
			t.Errorf("list pods with token %q: %v, want it allowed: %v", token, err, allowed)
		}
	}
	eventually(t, 10*time.Second, func() error {
		log, err := os.ReadFile(b.Path("audit.log"))
		if err != nil {
			return err
		}
		for line := range strings.SplitSeq(string(log), "\n") {
			if strings.Contains(line, `"userAgent":"the-test"`) && strings.Contains(line, `"username":"from-the-webhook"`) && strings.Contains(line, `"verb":"list"`) {
				if strings.Contains(string(log), "the-token") {
					return fmt.Errorf("the audit log has the token in it")
				}
				return nil
			}
		}
		return fmt.Errorf("no line of the audit log tells of the test's request, in %d bytes", len(log))
	})
}

func TestBadOptionsAreRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		options bed.Options
		want    string
	}{
		"a directory that is in use":         {bed.Options{Dir: full}, "is not empty"},
		"no images":                          {bed.Options{Images: "/no/such/images"}, "/no/such/images"},
		"no webhook file":                    {bed.Options{AuthenticationWebhook: "/no/such/file"}, "/no/such/file"},
		"a negative back-off":                {bed.Options{CrashBackOff: -1}, "below 0"},
		"no programs":                        {bed.Options{Programs: full}, "build.sh"},
		"own network, outside of one":        {bed.Options{OwnNetwork: true}, "network namespace"},
		"own network with loopback services": {bed.Options{OwnNetwork: true, Mesh: true}, "App Mesh"},
	} {
		if tt.options.Programs == "" {
			tt.options.Programs = programs
		}
		b, err := bed.Start(t.Context(), tt.options)
		if err == nil {
			_ = b.Stop()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}
