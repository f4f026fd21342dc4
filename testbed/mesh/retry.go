package mesh

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
)

// maxReplay is the largest request body that is kept for a retry; one that is
// larger, or of unknown length, is sent once, as by Envoy with a full buffer.
const maxReplay = 1 << 20

// replayable prepares the request to be sent more than once. It is nil where that cannot be.
func replayable(r *http.Request, times int) (func() io.ReadCloser, error) {
	switch {
	case times == 0:
		return nil, nil
	case r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0:
		return func() io.ReadCloser { return http.NoBody }, nil
	case r.ContentLength < 0 || r.ContentLength > maxReplay:
		return nil, nil
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	again := func() io.ReadCloser { return io.NopCloser(bytes.NewReader(b)) }
	r.Body = again()
	return again, nil
}

// wants reports whether the policy names what happened to an attempt.
func (p retry) wants(resp *http.Response, err error) bool {
	if err == nil {
		return slices.Contains(p.codes, resp.StatusCode)
	}
	// What the caller would see is Envoy's own 503 or 504.
	return p.connect || slices.Contains(p.codes, http.StatusServiceUnavailable)
}

// said is an answer of the proxy's own.
func said(r *http.Request, code int, text string) *http.Response {
	return &http.Response{StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header:        http.Header{"Content-Type": {"text/plain"}, "Server": {"mesh-stand-in"}},
		ContentLength: int64(len(text)), Body: io.NopCloser(strings.NewReader(text))}
}
