//go:build awse2e

// Package aws holds the engine's AWS side together end to end: the functions' own binaries, the state
// machine, the real aws-iam-authenticator and a real Kubernetes API server. Only what AWS alone can
// offer stands in: STS, EKS and the credentials of roles.
package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

// A principal is a role with its access key, as Lambda gives it to a function.
type principal struct{ key, secret, function string }

func (p principal) role() string {
	return "arn:aws:iam::" + account + ":role/stepcanary-" + region + "-" + p.function
}

func (p principal) session() string {
	return "arn:aws:sts::" + account + ":assumed-role/stepcanary-" + region + "-" + p.function + "/stepcanary-" + p.function
}

// A cloud stands in for AWS's endpoints and writes down which function called which action.
type cloud struct {
	principals map[string]principal // by access key
	// endpoint and ca are the Kubernetes API server's, which every cluster has.
	endpoint string
	ca       []byte
	clusters []string
	// states is the local engine's URL.
	states *url.URL

	mu    sync.Mutex
	calls map[string]map[string]int // function, action
	noted []string
}

func (c *cloud) record(function, action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[function] == nil {
		c.calls[function] = map[string]int{}
	}
	c.calls[function][action]++
}

var credential = regexp.MustCompile(`Credential=([^/]+)/([0-9]{8})/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})`)

// verify recomputes a request's signature and gives who signed it.
func (c *cloud) verify(r *http.Request, body []byte) (principal, error) {
	m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return principal{}, fmt.Errorf("MissingAuthenticationToken")
	}
	p, known := c.principals[m[1]]
	if !known {
		return p, fmt.Errorf("UnrecognizedClientException: the security token included in the request is invalid")
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil || m[3] != region {
		return p, fmt.Errorf("SignatureDoesNotMatch: date or region")
	}
	again, err := http.NewRequest(r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return p, err
	}
	for _, h := range strings.Split(m[5], ";") {
		if h != "host" && h != "content-length" {
			again.Header[http.CanonicalHeaderKey(h)] = r.Header.Values(h)
		}
	}
	again.ContentLength = r.ContentLength
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: p.key, SecretAccessKey: p.secret},
		again, hex.EncodeToString(sum[:]), m[4], m[3], at)
	if err != nil {
		return p, err
	}
	if !strings.HasSuffix(again.Header.Get("Authorization"), "Signature="+m[6]) {
		return p, fmt.Errorf("SignatureDoesNotMatch: the request signature does not match")
	}
	return p, nil
}

// eks answers DescribeCluster.
func (c *cloud) eks(w http.ResponseWriter, r *http.Request) {
	p, err := c.verify(r, nil)
	if err != nil {
		deny(w, http.StatusForbidden, err)
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/clusters/")
	if !ok || r.Method != http.MethodGet {
		deny(w, http.StatusNotFound, fmt.Errorf("UnknownOperationException: %s %s", r.Method, r.URL.Path))
		return
	}
	c.record(p.function, "eks:DescribeCluster")
	if !slices.Contains(c.clusters, name) {
		deny(w, http.StatusNotFound, fmt.Errorf("ResourceNotFoundException: No cluster found for name: %s.", name))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"cluster": map[string]any{
		"name": name, "status": "ACTIVE", "endpoint": c.endpoint,
		"certificateAuthority": map[string]any{"data": base64.StdEncoding.EncodeToString(c.ca)},
	}})
}

// stepFunctions checks and passes on calls to the local engine.
func (c *cloud) stepFunctions(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		deny(w, http.StatusBadRequest, err)
		return
	}
	p, err := c.verify(r, body)
	if err != nil {
		deny(w, http.StatusForbidden, err)
		return
	}
	c.record(p.function, "states:"+strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions."))
	r.Body = io.NopCloser(bytes.NewReader(body))
	proxy := httputil.NewSingleHostReverseProxy(c.states)
	director := proxy.Director
	proxy.Director = func(out *http.Request) { director(out); out.Host = c.states.Host }
	proxy.ServeHTTP(w, r)
}

func deny(w http.ResponseWriter, status int, err error) {
	kind, message, _ := strings.Cut(err.Error(), ": ")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": message})
}

// sts answers a presigned GetCallerIdentity, after it has recomputed the signature.
func (c *cloud) sts(w http.ResponseWriter, r *http.Request) {
	p, err := c.verifyPresigned(r)
	c.mu.Lock()
	c.noted = append(c.noted, fmt.Sprintf("%s: %v", r.URL.Query().Get("X-Amz-Credential"), err))
	c.mu.Unlock()
	if err != nil {
		deny(w, http.StatusForbidden, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"GetCallerIdentityResponse": map[string]any{
		"GetCallerIdentityResult": map[string]any{"Account": account, "Arn": p.session(), "UserId": "AROA:stepcanary-" + p.function},
		"ResponseMetadata":        map[string]any{"RequestId": "0"},
	}})
}

func (c *cloud) verifyPresigned(r *http.Request) (principal, error) {
	q := r.URL.Query()
	scope := strings.Split(q.Get("X-Amz-Credential"), "/")
	if len(scope) != 5 || q.Get("Action") != "GetCallerIdentity" || scope[2] != region || scope[3] != "sts" {
		return principal{}, fmt.Errorf("InvalidClientTokenId: credential %q", scope)
	}
	p, known := c.principals[scope[0]]
	if !known {
		return p, fmt.Errorf("InvalidClientTokenId: the security token included in the request is invalid")
	}
	at, err := time.Parse("20060102T150405Z", q.Get("X-Amz-Date"))
	if err != nil || time.Since(at) > 15*time.Minute {
		return p, fmt.Errorf("SignatureDoesNotMatch: Signature expired")
	}
	want := q.Get("X-Amz-Signature")
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		q.Del(name)
	}
	again, err := http.NewRequest(http.MethodGet, "https://"+r.Host+"/?"+q.Encode(), nil)
	if err != nil {
		return p, err
	}
	again.Header.Set("x-k8s-aws-id", r.Header.Get("x-k8s-aws-id"))
	empty := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: p.key, SecretAccessKey: p.secret},
		again, hex.EncodeToString(empty[:]), "sts", region, at)
	if err != nil {
		return p, err
	}
	u, err := url.Parse(signed)
	if err != nil || u.Query().Get("X-Amz-Signature") != want {
		return p, fmt.Errorf("SignatureDoesNotMatch: the request signature we calculated does not match")
	}
	return p, nil
}
