package eks_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/kube/eks"
)

var _ kube.EKS = (*eks.Clusters)(nil)

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func settings(endpoint string) aws.Config {
	cfg := aws.Config{
		Region:           "eu-west-1",
		Credentials:      credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, "session"),
		RetryMaxAttempts: 1,
	}
	if endpoint != "" {
		cfg.BaseEndpoint = &endpoint
	}
	return cfg
}

// The signature is computed again from the secret, as STS does, over a request
// with the cluster's name in a signed header.
func TestTokenIsSignedForTheClusterAlone(t *testing.T) {
	raw, expires, err := eks.New(settings("")).Token(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(expires); left > 14*time.Minute || left < 13*time.Minute {
		t.Errorf("token ends in %v; want just under 14 minutes", left)
	}
	encoded, ok := strings.CutPrefix(raw, "k8s-aws-v1.")
	if !ok {
		t.Fatalf("token does not begin with k8s-aws-v1.")
	}
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.Parse(string(b))
	if err != nil {
		t.Fatal(err)
	}
	q := got.Query()
	if got.Host != "sts.eu-west-1.amazonaws.com" || q.Get("Action") != "GetCallerIdentity" || q.Get("X-Amz-SignedHeaders") != "host;x-k8s-aws-id" {
		t.Errorf("token asks %s for %s with headers %s", got.Host, q.Get("Action"), q.Get("X-Amz-SignedHeaders"))
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	if err != nil {
		t.Fatal(err)
	}
	for cluster, same := range map[string]bool{"demo": true, "other": false} {
		if want := sign(t, cluster, at); (want == q.Get("X-Amz-Signature")) != same {
			t.Errorf("signature for cluster %q is the token's: %v; want %v", cluster, !same, same)
		}
	}
}

func sign(t *testing.T, cluster string, at time.Time) string {
	r, err := http.NewRequest(http.MethodGet, "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("x-k8s-aws-id", cluster)
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of no body
	cred := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: secret, SessionToken: "session"}
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), cred, r, empty, "sts", "eu-west-1", at)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("X-Amz-Signature")
}

func TestDescribe(t *testing.T) {
	cluster := func(fields map[string]any) any { return map[string]any{"cluster": fields} }
	ca := base64.StdEncoding.EncodeToString([]byte("PEM"))
	for name, tt := range map[string]struct {
		status int
		code   string
		body   any
		want   error
	}{
		"a cluster": {200, "", cluster(map[string]any{"endpoint": "https://x", "status": "ACTIVE",
			"certificateAuthority": map[string]any{"data": ca}}), nil},
		"one that is being made":  {200, "", cluster(map[string]any{"status": "CREATING"}), fault.Transient},
		"a broken certificate":    {200, "", cluster(map[string]any{"endpoint": "https://x", "certificateAuthority": map[string]any{"data": "%"}}), fault.Invalid},
		"none of that name":       {404, "ResourceNotFoundException", map[string]any{"message": "no"}, fault.NotFound},
		"no right":                {403, "AccessDeniedException", map[string]any{"message": "no"}, fault.Invalid},
		"throttled":               {429, "ThrottlingException", map[string]any{"message": "slow"}, fault.Transient},
		"a failure of the server": {500, "ServerException", map[string]any{"message": "boom"}, fault.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/clusters/demo" {
					t.Errorf("request for %s", r.URL.Path)
				}
				w.Header().Set("X-Amzn-Errortype", tt.code)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tt.status)
				_ = json.NewEncoder(w).Encode(tt.body)
			}))
			defer server.Close()
			endpoint, pem, err := eks.New(settings(server.URL)).Describe(t.Context(), "demo")
			if !errors.Is(err, tt.want) {
				t.Fatalf("Describe() = %v; want %v", err, tt.want)
			}
			if err == nil && (endpoint != "https://x" || string(pem) != "PEM") {
				t.Errorf("Describe() = %q, %q", endpoint, pem)
			}
		})
	}
}

func TestNoCredentialsIsAClearError(t *testing.T) {
	_, _, err := eks.New(aws.Config{Region: "eu-west-1"}).Token(t.Context(), "demo")
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("Token() = %v; want %v about credentials", err, fault.Invalid)
	}
}
