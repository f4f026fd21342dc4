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

// SigV4 signs requests for Amazon Managed Service for Prometheus, at the time
// that now tells.
func SigV4(credentials aws.CredentialsProvider, region string, now func() time.Time) Authorize {
	signer := v4.NewSigner()
	return func(req *http.Request, body []byte) error {
		c, err := credentials.Retrieve(req.Context())
		if err != nil {
			return fmt.Errorf("%w: AWS credentials: %v", fault.Transient, err)
		}
		sum := sha256.Sum256(body)
		if err := signer.SignHTTP(req.Context(), c, req, hex.EncodeToString(sum[:]), "aps", region, now()); err != nil {
			return fmt.Errorf("%w: sign: %v", fault.Invalid, err)
		}
		return nil
	}
}
