package cloudwatch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// maxBody is PutMetricData's limit on a request.
const maxBody = 1 << 20

const (
	serviceShape = "GraniteServiceVersion20100801"
	cborType     = "application/cbor"
	jsonType     = "application/x-amz-json-1.0"
)

// A codec is a protocol's way to write messages.
type codec struct {
	contentType string
	decode      func([]byte, any) error
	encode      func(any) ([]byte, error)
}

var (
	cborDecoder = must(cbor.DecOptions{ExtraReturnErrors: cbor.ExtraDecErrorUnknownField}.DecMode())
	cborCodec   = codec{cborType, cborDecoder.Unmarshal, cbor.Marshal}
	jsonCodec   = codec{jsonType, unmarshalJSON, marshalJSON}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // options that are constants of this file
	}
	return v
}

func marshalJSON(v any) ([]byte, error) { return json.Marshal(v) }

func unmarshalJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /service/"+serviceShape+"/operation/{operation}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		s.call(w, r, cborCodec, r.PathValue("operation"))
	})
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), serviceShape+".")
		if !ok {
			http.Error(w, "expected the protocol rpc-v2-cbor or awsJson1_0; this stand-in does not speak awsQuery", http.StatusNotFound)
			return
		}
		s.call(w, r, jsonCodec, operation)
	})
	mux.HandleFunc("POST /testbed/fault", func(w http.ResponseWriter, r *http.Request) {
		if err := s.injectJSON(http.MaxBytesReader(w, r.Body, 4<<10)); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("DELETE /testbed/fault", func(http.ResponseWriter, *http.Request) { s.Heal() })
	return mux
}

// call runs one operation, faults included, and writes its answer.
func (s *Server) call(w http.ResponseWriter, r *http.Request, c codec, operation string) {
	f := s.faults.next(operation)
	switch f.Kind {
	case Slow:
		select {
		case <-time.After(f.For):
		case <-r.Context().Done():
			return
		}
	case Unavail:
		http.Error(w, "<html>503 Service Unavailable</html>", http.StatusServiceUnavailable)
		return
	case Garbage:
		w.Header().Set("Content-Type", c.contentType)
		io.WriteString(w, "\xffnot the protocol") //nolint:errcheck // a client that has gone misses nothing
		return
	}
	err := signed(r)
	if err == nil {
		err = f.refusal()
	}
	var out any
	if err == nil {
		out, err = s.dispatch(r, c, operation, f)
	}
	if err != nil {
		writeError(w, c, err)
		return
	}
	write(w, c, http.StatusOK, out)
}

func (s *Server) dispatch(r *http.Request, c codec, operation string, f Fault) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	switch operation {
	case "PutMetricData":
		var in putMetricDataInput
		if err := c.decode(body, &in); err != nil {
			return nil, unreadable(err)
		}
		return struct{}{}, s.putMetricData(in)
	case "GetMetricData":
		var in getMetricDataInput
		if err := c.decode(body, &in); err != nil {
			return nil, unreadable(err)
		}
		out, err := s.getMetricData(in)
		f.spoil(&out)
		return out, err
	}
	return nil, &apiError{status: 404, code: "UnknownOperationException", message: fmt.Sprintf("operation %q is not served by this stand-in", operation)}
}

func unreadable(err error) error {
	return &apiError{status: 400, code: "SerializationException", message: err.Error()}
}

// readBody reads the request; SDKs compress larger ones of PutMetricData.
func readBody(r *http.Request) ([]byte, error) {
	var src io.Reader = http.MaxBytesReader(nil, r.Body, maxBody)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, unreadable(err)
		}
		src = io.LimitReader(z, 10*maxBody)
	}
	b, err := io.ReadAll(src)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &apiError{status: 413, code: "RequestEntityTooLarge", message: "Request size exceeded 1048576 bytes"}
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}

// signed wants the shape of Signature Version 4 for this service.
func signed(r *http.Request) error {
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 ") {
		return &apiError{status: 403, code: "MissingAuthenticationToken", message: "Request is missing Authentication Token"}
	}
	if !strings.Contains(auth, "/monitoring/aws4_request") {
		return &apiError{status: 403, code: "SignatureDoesNotMatch", message: "Credential should be scoped to correct service: 'monitoring'."}
	}
	return nil
}

func writeError(w http.ResponseWriter, c codec, err error) {
	e := &apiError{status: 500, code: "InternalServiceFault", query: "InternalServiceError", message: err.Error()}
	errors.As(err, &e)
	if e.query == "" {
		e.query = e.code
	}
	blame := "Sender"
	if e.status >= 500 {
		blame = "Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", e.query+";"+blame)
	write(w, c, e.status, map[string]string{"__type": "com.amazonaws.cloudwatch#" + e.code, "message": e.message})
}

func write(w http.ResponseWriter, c codec, status int, v any) {
	b, err := c.encode(v)
	if err != nil {
		panic(err) // our own types, all of which can be written
	}
	w.Header().Set("Content-Type", c.contentType)
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000000")
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // a client that has gone misses nothing
}
