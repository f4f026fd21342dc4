package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// contentType is that of AWS JSON 1.0. A web page cannot send it to another
// origin without asking first, and nobody here says yes.
const contentType = "application/x-amz-json-1.0"

// maxRequest is more than any request needs: a definition, escaped.
const maxRequest = 8 << 20

// API offers an engine as the Step Functions API: AWS JSON 1.0 over HTTP, POST
// to "/", the operation in X-Amz-Target.
//
// Signatures are not checked: whoever reaches the port may do everything.
// Requests that a browser was led to make are refused, by their Origin or by a
// Host that is no loopback one.
func API(e *Engine) http.Handler { return &api{e: e} }

// Server serves the API for as long as a client may take: no operation waits for anything. A connection is kept for longer
// than the SDKs keep one, so that none is closed on a request.
func Server(e *Engine) *http.Server {
	return &http.Server{
		Handler: API(e), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
	}
}

type api struct{ e *Engine }

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", a.e.o.NewUUID())
	status, answer := a.answer(w, r)
	body, err := json.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure","message":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// apiError is an error's body.
type apiError struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

func (a *api) answer(w http.ResponseWriter, r *http.Request) (int, any) {
	if why := a.refused(r); why != "" {
		return http.StatusForbidden, apiError{"AccessDeniedException", why}
	}
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return http.StatusNotFound, apiError{"UnknownOperationException", fmt.Sprintf("expected POST /, found %s %s", r.Method, r.URL.Path)}
	}
	if t := r.Header.Get("Content-Type"); t != contentType {
		return http.StatusBadRequest, apiError{"SerializationException", fmt.Sprintf("expected Content-Type %s, found %q", contentType, t)}
	}
	name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
	op := operations[name]
	if !ok || op == nil {
		return http.StatusBadRequest, apiError{"UnknownOperationException", fmt.Sprintf("the operation %q is not supported", r.Header.Get("X-Amz-Target"))}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return http.StatusRequestEntityTooLarge, apiError{"ValidationException", fmt.Sprintf("the request has more than %d bytes, or broke off", maxRequest)}
	}
	out, err := op(a.e, body)
	var f *Fault
	switch {
	case errors.As(err, &f):
		return http.StatusBadRequest, apiError{string(f.Kind), f.Message}
	case err != nil:
		a.e.o.Log("answer "+name, err)
		return http.StatusInternalServerError, apiError{"InternalFailure", err.Error()}
	}
	return http.StatusOK, out
}

// refused says why a request may come from a web page that has no business
// here. Command-line tools and SDKs send no Origin.
func (a *api) refused(r *http.Request) string {
	if !isLoopback(hostOf(r.Host)) {
		return fmt.Sprintf("the Host %q is not one of this server's", r.Host)
	}
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		if err != nil || u.Host != r.Host {
			return fmt.Sprintf("the Origin %q is another site", o)
		}
	}
	if s := r.Header.Get("Sec-Fetch-Site"); s == "cross-site" || s == "same-site" {
		return "the request comes from another site"
	}
	return ""
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Listen opens a port for the API. Anybody who reaches it may start and stop
// executions, so an address that other machines reach is refused.
func Listen(address string) (net.Listener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	if !at.IP.IsLoopback() {
		return nil, fmt.Errorf("listen on %q: a loopback address is expected, such as 127.0.0.1:8083: whoever reaches the API can roll services out", address)
	}
	l, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	return l, nil
}
