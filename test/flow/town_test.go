package flow_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/hook"
)

// A call is one request to a gate or a receiver.
type call struct {
	// After is the time since the town was opened.
	After    time.Duration
	Delivery string
	Body     string
}

// A town is where gates and receivers live, by the host of their URL.
type town struct {
	scene  *scene
	opened time.Time
	// answer gives what the n-th call to a host gets, counted from 0.
	answer func(r *http.Request, n int) (status int, body string, err error)

	mu    sync.Mutex
	calls map[string][]call
}

// RoundTrip answers a request without a network.
func (w *town) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	n := len(w.calls[r.URL.Host])
	w.calls[r.URL.Host] = append(w.calls[r.URL.Host], call{w.scene.clock.Now().Sub(w.opened), r.Header.Get(hook.DeliveryHeader), string(body)})
	w.mu.Unlock()
	status, text, err := w.answer(r, n)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func (w *town) to(host string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call(nil), w.calls[host]...)
}

// inTown is a service whose version 1 serves, with both versions healthy and a town beside it.
func inTown(t *testing.T, answer func(r *http.Request, n int) (int, string, error)) (*scene, *town) {
	t.Helper()
	s := newScene(t)
	w := &town{scene: s, answer: answer, calls: map[string][]call{}}
	s.Web = w
	s.first()
	s.play(map[string]float64{"checkout-1": 0, "checkout-2": 0})
	w.opened = s.clock.Now()
	return s, w
}
