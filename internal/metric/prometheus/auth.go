package prometheus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// An Authorize puts credentials on a request with this body. It is called again
// for each try.
type Authorize func(req *http.Request, body []byte) error

// Bearer sends a token (RFC 6750).
func Bearer(token string) Authorize {
	return func(req *http.Request, _ []byte) error {
		req.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// Basic sends a user and a password (RFC 7617).
func Basic(user, password string) Authorize {
	return func(req *http.Request, _ []byte) error {
		req.SetBasicAuth(user, password)
		return nil
	}
}

// BasicSecrets are the forms in which Basic sends the password.
func BasicSecrets(user, password string) []string {
	return []string{password, base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
}

// A Signer signs requests with AWS Signature Version 4.
type Signer struct {
	Credentials aws.CredentialsProvider
	Region      string
	// Service is the signing name, aps if empty: Amazon Managed Service for Prometheus.
	Service string
	Now     func() time.Time
}

// Authorize signs a request and its body.
func (s Signer) Authorize(req *http.Request, body []byte) error {
	c, err := s.Credentials.Retrieve(req.Context())
	if err != nil {
		return fmt.Errorf("%w: AWS credentials: %v", fault.Transient, err)
	}
	service := s.Service
	if service == "" {
		service = "aps"
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(req.Context(), c, req, hex.EncodeToString(sum[:]), service, s.Region, s.Now()); err != nil {
		return fmt.Errorf("%w: sign: %v", fault.Invalid, err)
	}
	return nil
}
