//go:build awse2e

package aws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// metricsRole is in another account and may read metrics; metricsKey is its access key.
const (
	metricsRole = "arn:aws:iam::444455556666:role/metrics"
	metricsKey  = "ASIAMETRICS"
)

// sts answers a presigned GetCallerIdentity, which is what a token is, and AssumeRole.
func (c *cloud) sts(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		c.assumeRole(w, r)
		return
	}
	p, err := c.verifyPresigned(r)
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
	if now := time.Now().Add(time.Duration(c.late.Load())); err != nil || now.Sub(at) > 15*time.Minute {
		return p, fmt.Errorf("SignatureDoesNotMatch: Signature expired: %v is earlier than 15 minutes ago", at)
	}
	again, err := p.presign(r.Header.Get("x-k8s-aws-id"), at)
	if err != nil {
		return p, err
	}
	if u, err := url.Parse(again); err != nil || u.Query().Get("X-Amz-Signature") != q.Get("X-Amz-Signature") {
		return p, fmt.Errorf("SignatureDoesNotMatch: the request signature we calculated does not match")
	}
	return p, nil
}

// presign makes the URL by which a principal tells a cluster who it is.
func (p principal) presign(cluster string, at time.Time) (string, error) {
	r, err := http.NewRequest(http.MethodGet, "https://"+stsHost+"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("x-k8s-aws-id", cluster)
	empty := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), aws.Credentials{AccessKeyID: p.key, SecretAccessKey: p.secret},
		r, hex.EncodeToString(empty[:]), "sts", region, at)
	return signed, err
}

// assumeRole gives the role that reads metrics in another account.
func (c *cloud) assumeRole(w http.ResponseWriter, r *http.Request) {
	p, body, ok := c.signed(w, r)
	if !ok {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("Action") != "AssumeRole" {
		deny(w, http.StatusBadRequest, fmt.Errorf("InvalidAction: %s", form.Get("Action")))
		return
	}
	if !c.admit(w, p, "sts:AssumeRole", form.Get("RoleArn")) {
		return
	}
	role := c.principals[metricsKey]
	w.Header().Set("Content-Type", "text/xml")
	_, _ = fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>session</SessionToken><Expiration>%s</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>`, role.key, role.secret, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}
