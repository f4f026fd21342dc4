package main

import (
	"errors"
	"fmt"
	"net/url"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// silent says that nothing answers at the Step Functions API, for an error that means it; it is
// empty for every other.
func silent(err error) string {
	var send *smithyhttp.RequestSendError
	var at *url.Error
	if !errors.As(err, &send) || !errors.As(err, &at) {
		return ""
	}
	to, bad := url.Parse(at.URL)
	if bad != nil {
		return ""
	}
	if isLocal(to.Hostname()) {
		return fmt.Sprintf("nothing answers at %s://%s (%v); is 'stepcanary serve' running?", to.Scheme, to.Host, at.Err)
	}
	return fmt.Sprintf("nothing answers at %s://%s: %v", to.Scheme, to.Host, at.Err)
}
