//go:build awse2e

package aws

import (
	"encoding/json"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// What the policies name, and the secret's value.
const (
	workspace   = "/workspaces/ws-1"
	secretARN   = "arn:aws:secretsmanager:" + region + ":" + account + ":secret:prometheus-AbCdEf"
	secretValue = "value-of-the-secret"
)

// monitoring answers GetMetricData with silence, in CloudWatch's protocol, Smithy RPC v2 CBOR.
func (c *cloud) monitoring(w http.ResponseWriter, r *http.Request) {
	p, body, ok := c.signed(w, r)
	if !ok || !c.admit(w, p, "cloudwatch:"+r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:], "*") {
		return
	}
	v, err := cbor.Decode(body)
	if err != nil {
		deny(w, http.StatusBadRequest, err)
		return
	}
	results := cbor.List{}
	queries, _ := v.(cbor.Map)["MetricDataQueries"].(cbor.List)
	for _, q := range queries {
		results = append(results, cbor.Map{
			"Id": q.(cbor.Map)["Id"], "StatusCode": cbor.String("Complete"), "Timestamps": cbor.List{}, "Values": cbor.List{},
		})
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	_, _ = w.Write(cbor.Encode(cbor.Map{"MetricDataResults": results}))
}

// secrets answers GetSecretValue.
func (c *cloud) secrets(w http.ResponseWriter, r *http.Request) {
	p, body, ok := c.signed(w, r)
	if !ok {
		return
	}
	var call struct{ SecretId string }
	if err := json.Unmarshal(body, &call); err != nil {
		deny(w, http.StatusBadRequest, err)
		return
	}
	if !c.admit(w, p, strings.Replace(r.Header.Get("X-Amz-Target"), ".", ":", 1), call.SecretId) {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]string{"ARN": call.SecretId, "Name": "prometheus", "SecretString": secretValue})
}

// metrics is the bed's Prometheus twice: as a workspace of Amazon Managed Prometheus to those who sign,
// and elsewhere to those who send the secret.
func (c *cloud) metrics(w http.ResponseWriter, r *http.Request) {
	path, managed := strings.CutPrefix(r.URL.Path, workspace)
	if managed {
		// What IAM calls the two ways to query; it calls everything else by other names.
		action := map[string]string{"/api/v1/query": "aps:QueryMetrics", "/api/v1/query_range": "aps:QueryMetrics"}[path]
		p, _, ok := c.signed(w, r)
		if !ok || !c.admit(w, p, action, "arn:aws:aps:"+region+":"+account+":"+strings.Replace(workspace[1:], "workspaces", "workspace", 1)) {
			return
		}
		r.Header.Del("Authorization")
	} else if r.Header.Get("Authorization") != "Bearer "+secretValue {
		http.Error(w, "who asks?", http.StatusUnauthorized)
		return
	}
	r.URL.Path = path
	proxy := &httputil.ReverseProxy{Rewrite: func(out *httputil.ProxyRequest) { out.SetURL(c.prometheus) }}
	proxy.ServeHTTP(w, r)
}
