package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

const (
	// tries is how often a question is asked. Repeating is safe: it only reads.
	tries = 3
	// pause is the wait before the second try; each further one is twice as long.
	pause = 250 * time.Millisecond
	// patience is the longest wait that a source may ask for.
	patience = 5 * time.Second
	// largest is how much of an answer is read, in bytes.
	largest = 8 << 20
)

// ask sends a question until it is answered or refused, or the tries are over.
func (m *Meter) ask(ctx context.Context, path string, form url.Values) (data, error) {
	wait := pause
	for try := 1; ; try++ {
		d, after, err := m.once(ctx, path, form)
		if err == nil {
			return d, nil
		}
		if try == tries || fault.Of(err) != fault.Transient || ctx.Err() != nil {
			return data{}, err
		}
		if sleepErr := m.options.Clock.Sleep(ctx, max(wait, after)); sleepErr != nil {
			return data{}, err
		}
		wait *= 2
	}
}

// once sends the question one time. After is how long the source asks to wait.
func (m *Meter) once(ctx context.Context, path string, form url.Values) (d data, after time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.options.Timeout)
	defer cancel()
	body := []byte(form.Encode())
	u := *m.base
	u.Path += path
	// A POST, because a selector may be longer than a URL may be.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return data{}, 0, fmt.Errorf("%w: %v", fault.Invalid, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "stepcanary")
	defer func() { err = m.sent(req).redact(err) }()
	if m.options.Authorize != nil {
		if err := m.options.Authorize(req, body); err != nil {
			return data{}, 0, fmt.Errorf("authorize: %w", err)
		}
	}
	res, err := m.client.Do(req)
	if err != nil {
		return data{}, 0, m.unanswered(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, largest+1))
	switch {
	case err != nil:
		return data{}, 0, m.unanswered(err)
	case res.StatusCode != http.StatusOK:
		return data{}, retryAfter(res), refusal(res.StatusCode, answer, m.sent(req))
	case len(answer) > largest:
		return data{}, 0, fmt.Errorf("%w: the source's answer is larger than %d bytes", fault.Transient, largest)
	}
	d, err = decode(answer, m.sent(req))
	return d, 0, err
}

// unanswered names the failure of a request without the URL around it.
func (m *Meter) unanswered(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no answer from %s within %v", fault.Transient, m.base.Host, m.options.Timeout)
	}
	return fmt.Errorf("%w: no answer from %s: %v", fault.Transient, m.base.Host, err)
}

// refusal is the error for an answer that is none. The source's own words are
// in the body, where it is Prometheus that speaks.
func refusal(status int, body []byte, hidden secrets) error {
	kind := fault.Invalid
	switch {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		kind = fault.Transient
	}
	var e envelope
	words := string(body)
	if json.Unmarshal(body, &e) == nil && e.Error != "" {
		words = e.ErrorType + ": " + e.Error
	}
	return fmt.Errorf("%w: the source answered %d %s: %s", kind, status, http.StatusText(status), hidden.short(words))
}

func retryAfter(res *http.Response) time.Duration {
	n, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(min(n, 3600))*time.Second, patience)
}

// secrets are what must be in no error, in case the source, or something before
// it, sends back what it was sent.
type secrets []string

// sent are the secrets that a request carries. AWS answers a wrong signature with
// all that it was sent, the session's token among it.
func (m *Meter) sent(req *http.Request) secrets {
	return append(secrets{req.Header.Get("X-Amz-Security-Token"), req.Header.Get("Authorization")}, m.options.Secrets...)
}

// short is the beginning of a text from outside, on one line. Secrets go before it is
// cut: of one that was cut, the rest would not be found.
func (s secrets) short(text string) string {
	const most = 300
	// No rune is longer than four bytes, and of an answer there may be megabytes.
	text = secret.Redact(text, s...)
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*(most+1))], "?"))
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}

// redact takes the secrets out of an error's text.
func (s secrets) redact(err error) error {
	if err == nil {
		return nil
	}
	text := secret.Redact(err.Error(), s...)
	if text == err.Error() {
		return err
	}
	return redacted{fault.Of(err), text}
}

// A redacted error keeps its kind, and nothing else of its chain.
type redacted struct {
	kind fault.Kind
	text string
}

func (r redacted) Error() string { return r.text }
func (r redacted) Unwrap() error { return r.kind }
