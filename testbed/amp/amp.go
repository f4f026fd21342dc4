// Package amp stands in for Amazon Managed Service for Prometheus: a proxy in
// front of a Prometheus that lets requests through which are signed as AWS
// wants them, and refuses the others as AWS does.
//
// A request must be for the workspace's path, /workspaces/ID/api/v1/..., and
// carry a Signature Version 4 for the service aps, in the proxy's region, made
// with its credentials not longer than five minutes ago. The signature is
// recomputed over method, path, query, signed headers and body. See
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
// and https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-Prometheus-Compatible-Apis.html.
package amp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"
)

// Service is the name that requests are signed for.
const Service = "aps"

// maxBody bounds a request's body; queries are far shorter.
const maxBody = 1 << 20

// Options of a proxy. All are needed but Now.
type Options struct {
	// Prometheus is the base URL of what stands behind.
	Prometheus string
	// Workspace is the workspace's id, such as ws-0123.
	Workspace string
	// Region, AccessKey and SecretKey are what requests must be signed with.
	Region, AccessKey, SecretKey string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Path is the path of a workspace's Prometheus, below which its API lives.
func Path(workspace string) string { return "/workspaces/" + workspace }

// New makes the proxy.
func New(o Options) (http.Handler, error) {
	target, err := url.Parse(o.Prometheus)
	if err != nil {
		return nil, fmt.Errorf("URL of Prometheus: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	prefix := Path(o.Workspace)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Path = strings.TrimPrefix(r.Out.URL.Path, prefix)
		r.Out.URL.RawPath = ""
		r.SetURL(target)
		r.Out.Header.Del("Authorization")
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refuse(w, &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", err.Error()})
			return
		}
		var why *refusal
		if err := o.check(r, body); errors.As(err, &why) {
			refuse(w, why)
			return
		}
		if !strings.HasPrefix(r.URL.Path, prefix+"/api/v1/") {
			refuse(w, &refusal{http.StatusNotFound, "ResourceNotFoundException", "no such workspace or path"})
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}), nil
}

// A refusal is an error in the form that AWS answers with.
type refusal struct {
	status int
	kind   string // of AWS's exceptions, in the header x-amzn-ErrorType
	text   string
}

func (r *refusal) Error() string { return r.kind + ": " + r.text }

func refuse(w http.ResponseWriter, r *refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", r.kind)
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": r.text}) // a client that went away does not read it
}
