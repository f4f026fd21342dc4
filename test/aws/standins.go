//go:build awse2e

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
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	// localMachine is the local engine's name for the state machine.
	localMachine = "arn:aws:states:us-east-1:000000000000:stateMachine:stepcanary"
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
	// states is the local engine's URL, prometheus the bed's.
	states, prometheus *url.URL
	// rights are those of all principals.
	rights rights
	// late is how long after the present STS believes to be.
	late atomic.Int64

	mu    sync.Mutex
	calls map[string]map[string]int // function, action
}

func (c *cloud) record(function, action string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[function] == nil {
		c.calls[function] = map[string]int{}
	}
	c.calls[function][action]++
}

// admit writes the call down, and lets the role do it where its policy says so, as IAM would.
func (c *cloud) admit(w http.ResponseWriter, p principal, action, resource string) bool {
	c.record(p.function, action)
	if c.rights.allow(p.function, action, resource) {
		return true
	}
	deny(w, http.StatusForbidden, fmt.Errorf("AccessDeniedException: User: %s is not authorized to perform: %s on resource: %s", p.session(), action, resource))
	return false
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

// signed gives who signed the request, and its body, which can be read again. Without a good signature
// it has answered.
func (c *cloud) signed(w http.ResponseWriter, r *http.Request) (p principal, body []byte, ok bool) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		p, err = c.verify(r, body)
	}
	if err != nil {
		deny(w, http.StatusForbidden, err)
		return p, nil, false
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return p, body, true
}

// eks answers DescribeCluster.
func (c *cloud) eks(w http.ResponseWriter, r *http.Request) {
	p, _, ok := c.signed(w, r)
	if !ok {
		return
	}
	name, ok := strings.CutPrefix(r.URL.Path, "/clusters/")
	if !ok || r.Method != http.MethodGet {
		deny(w, http.StatusNotFound, fmt.Errorf("UnknownOperationException: %s %s", r.Method, r.URL.Path))
		return
	}
	if !c.admit(w, p, "eks:DescribeCluster", "arn:aws:eks:"+region+":"+account+":cluster/"+name) {
		return
	}
	if !slices.Contains(c.clusters, name) {
		deny(w, http.StatusNotFound, fmt.Errorf("ResourceNotFoundException: No cluster found for name: %s", name))
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
	p, body, ok := c.signed(w, r)
	if !ok || !c.admit(w, p, "states:"+strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions."), machineOrExecution(body)) {
		return
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(out *httputil.ProxyRequest) { out.SetURL(c.states) }}
	proxy.ServeHTTP(w, r)
}

// machineOrExecution is what a call is about, under the account and region of the policies; the local
// engine has others. A token belongs to the state machine.
func machineOrExecution(body []byte) string {
	var call struct{ StateMachineArn, ExecutionArn string }
	_ = json.Unmarshal(body, &call)
	about := call.StateMachineArn + call.ExecutionArn
	if about == "" {
		about = localMachine
	}
	return strings.Replace(about, ":us-east-1:000000000000:", ":"+region+":"+account+":", 1)
}

func deny(w http.ResponseWriter, status int, err error) {
	kind, message, _ := strings.Cut(err.Error(), ": ")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-ErrorType", kind)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": message})
}
