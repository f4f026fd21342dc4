package kube

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// EKS tells where a cluster is and makes tokens for it. Package eks has the one
// that asks AWS; it stands apart so that a program with a kubeconfig alone does not
// carry the AWS SDK.
type EKS interface {
	// Describe gives the endpoint's URL and the certificate authority in PEM.
	Describe(ctx context.Context, cluster string) (endpoint string, ca []byte, err error)
	// Token gives a bearer token and when it ends.
	Token(ctx context.Context, cluster string) (token string, expires time.Time, err error)
}

// fromEKS looks the cluster up and signs each request with a token of its own
// making. A token is made when a request first needs one, and again a minute
// before it ends.
func fromEKS(ctx context.Context, c Config) (*rest.Config, error) {
	endpoint, ca, err := c.EKS.Describe(ctx, c.Cluster)
	if err != nil {
		return nil, err
	}
	if endpoint == "" || len(ca) == 0 {
		return nil, fmt.Errorf("%w: EKS gives no endpoint or no certificate for it; is it still being created?", fault.Transient)
	}
	config := &rest.Config{Host: endpoint, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &tokens{next: next, eks: c.EKS, cluster: c.Cluster}
	})
	return config, nil
}

// tokens adds the token to each request. It stands in the transport and not in the
// configuration, so that nothing prints it with the configuration.
type tokens struct {
	next    http.RoundTripper
	eks     EKS
	cluster string

	mu      sync.Mutex
	token   string
	expires time.Time
}

// RoundTrip is for net/http. A token that has served before and is refused now is replaced once: it may
// have ended earlier than this machine's clock says.
func (t *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		token, fresh, err := t.get(r.Context())
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := t.next.RoundTrip(r)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
		_ = resp.Body.Close()
		t.forget(token)
		if fresh || r.Body != nil && r.GetBody == nil {
			return nil, t.refused()
		}
		if r.Body == nil {
			continue
		}
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
}

// refused says what an API server does not.
func (t *tokens) refused() error {
	return fmt.Errorf("%w: cluster %q does not know who asks: 401 Unauthorized. Its access entries lack this function's role, "+
		"or have that of a role which was made anew since; or the token was made for another cluster, was signed with wrong credentials, or has expired",
		fault.Invalid, t.cluster)
}

// forget drops a token that the server refused, so that the next request makes one
// with the credentials of then.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token, t.expires = "", time.Time{}
	}
}

// WrappedRoundTripper lets client-go see through.
func (t *tokens) WrappedRoundTripper() http.RoundTripper { return t.next }

// get gives a token, and whether it was made just now.
func (t *tokens) get(ctx context.Context) (token string, fresh bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().Before(t.expires.Add(-time.Minute)) {
		return t.token, false, nil
	}
	token, expires, err := t.eks.Token(ctx, t.cluster)
	if err != nil {
		return "", false, err
	}
	// By the wall clock alone: the other one may stand still while a function is frozen.
	t.token, t.expires = token, expires.Round(0)
	return token, true, nil
}
