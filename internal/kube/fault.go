package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Fault names the operation and gives an error of the API server its kind. It is
// the one place where the server's answers are told apart; the server's own words
// stay in the error.
func Fault(operation string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.As(err, new(fault.Kind)) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, kindOf(err), err)
}

func kindOf(err error) fault.Kind {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return kindOfTransport(err)
	}
	switch code := status.Status().Code; {
	case code == http.StatusNotFound:
		return fault.NotFound
	case code == http.StatusConflict:
		return fault.Conflict
	case code == http.StatusInternalServerError && mistyped(status.Status().Message):
		return fault.Invalid
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		return fault.Transient
	case code >= 400:
		return fault.Invalid
	}
	return fault.Internal
}

// mistyped tells that an object does not fit its schema. A server-side apply answers that with 500,
// not 422: the words alone tell it from a server in trouble.
// Source: k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go.
func mistyped(message string) bool {
	return strings.Contains(message, "failed to create typed patch object")
}

// kindOfTransport judges an error that came instead of an answer.
func kindOfTransport(err error) fault.Kind {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Invalid
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fault.Invalid
	}
	_, isNet := errors.AsType[net.Error](err)
	_, isURL := errors.AsType[*url.Error](err)
	if isNet || isURL || errors.Is(err, context.DeadlineExceeded) {
		return fault.Transient
	}
	return fault.Internal
}
