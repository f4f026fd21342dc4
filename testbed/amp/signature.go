package amp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// maxSkew is how old or how far ahead a signature may be.
const maxSkew = 5 * time.Minute

const amzTime = "20060102T150405Z"

// authorization takes the header apart.
var authorization = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$`)

// check says why AWS would refuse the request, as a *refusal; nil when it
// would not.
func (o *Options) check(r *http.Request, body []byte) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &refusal{http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	m := authorization.FindStringSubmatch(header)
	if m == nil {
		return &refusal{http.StatusForbidden, "IncompleteSignatureException", "Authorization header is not a Signature Version 4"}
	}
	accessKey, date, region, service, signed := m[1], m[2], m[3], m[4], strings.Split(m[5], ";")
	at, err := time.Parse(amzTime, r.Header.Get("X-Amz-Date"))
	switch {
	case err != nil:
		return &refusal{http.StatusForbidden, "IncompleteSignatureException", "Date must be in ISO-8601 'basic format'"}
	case !slices.Contains(signed, "host") || !slices.Contains(signed, "x-amz-date"):
		return &refusal{http.StatusForbidden, "IncompleteSignatureException", "'host' and 'x-amz-date' must be signed headers"}
	case accessKey != o.AccessKey:
		return &refusal{http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid."}
	case service != Service:
		return &refusal{http.StatusForbidden, "InvalidSignatureException", "Credential should be scoped to correct service: '" + Service + "'."}
	case region != o.Region:
		return &refusal{http.StatusForbidden, "InvalidSignatureException", "Credential should be scoped to a valid region."}
	case date != at.Format("20060102"):
		return &refusal{http.StatusForbidden, "InvalidSignatureException", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"}
	case o.Now().Sub(at).Abs() > maxSkew:
		return &refusal{http.StatusForbidden, "InvalidSignatureException", "Signature expired"}
	}
	want, err := o.sign(r, body, signed, at)
	if err != nil {
		return &refusal{http.StatusForbidden, "InvalidSignatureException", err.Error()}
	}
	if !hmac.Equal([]byte(signature(want)), []byte(m[6])) {
		return &refusal{http.StatusForbidden, "InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."}
	}
	return nil
}

// sign gives the Authorization header that the request should have. Only what
// the client says it signed goes in, so that headers which were added on the
// way do not count.
func (o *Options) sign(r *http.Request, body []byte, signed []string, at time.Time) (string, error) {
	target := *r.URL
	target.Scheme, target.Host = "http", r.Host
	again := &http.Request{Method: r.Method, URL: &target, Host: r.Host, Header: http.Header{}, ContentLength: -1}
	for _, name := range signed {
		switch name {
		case "host", "x-amz-date":
		case "content-length":
			again.ContentLength = int64(len(body))
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header.Values(name)
		}
	}
	sum := sha256.Sum256(body)
	credentials := aws.Credentials{AccessKeyID: o.AccessKey, SecretAccessKey: o.SecretKey}
	if err := v4.NewSigner().SignHTTP(context.Background(), credentials, again, hex.EncodeToString(sum[:]), Service, o.Region, at); err != nil {
		return "", err
	}
	return again.Header.Get("Authorization"), nil
}

// signature is the last part of an Authorization header.
func signature(header string) string { return header[strings.LastIndexByte(header, '=')+1:] }
