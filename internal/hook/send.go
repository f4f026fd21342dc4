package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

const (
	// largest is how much of an answer is read, in bytes.
	largest = 64 << 10
	// pause is the wait before the second try; each further one is twice as long.
	pause = 500 * time.Millisecond
)

// A letter is one request, ready to be sent, as often as it takes.
type letter struct {
	endpoint Endpoint
	url      *url.URL
	key      string
	delivery string
	body     []byte
}

// letter looks up what the endpoint names.
func (c *Client) letter(ctx context.Context, e Endpoint, delivery string, body []byte) (letter, error) {
	if err := c.check(e); err != nil {
		return letter{}, err
	}
	l := letter{endpoint: e, delivery: delivery, body: body}
	text := e.URL
	var err error
	if e.URLFrom != "" {
		if text, err = e.URLFrom.Resolve(ctx); err != nil {
			return letter{}, fmt.Errorf("url_from: %w", err)
		}
	}
	if l.url, err = c.parse(text); err != nil {
		return letter{}, err
	}
	if e.Secret != "" {
		if l.key, err = e.Secret.Resolve(ctx); err != nil {
			return letter{}, fmt.Errorf("secret: %w", err)
		}
	}
	return l, nil
}

// send posts the letter until it is answered with a status below 300 or
// refused, or the tries are over. Repeating is safe, because a receiver knows a
// repetition by its delivery.
func (c *Client) send(ctx context.Context, l letter) ([]byte, error) {
	wait := pause
	for try := 0; ; try++ {
		answer, err := c.post(ctx, l)
		if err == nil {
			return answer, nil
		}
		if try == l.endpoint.retries() || fault.Of(err) != fault.Transient || ctx.Err() != nil {
			return nil, err
		}
		if c.options.Clock.Sleep(ctx, wait) != nil {
			return nil, err
		}
		wait *= 2
	}
}

func (c *Client) post(ctx context.Context, l letter) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.endpoint.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url.String(), bytes.NewReader(l.body))
	if err != nil {
		return nil, fmt.Errorf("%w: the request cannot be made", fault.Invalid)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "stepcanary")
	req.Header.Set(DeliveryHeader, l.delivery)
	if l.key != "" {
		req.Header.Set(SignatureHeader, Sign(l.key, c.options.Clock.Now(), l.body))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, l.unanswered(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, largest+1))
	switch {
	case err != nil:
		return nil, l.unanswered(err)
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout:
		return nil, fmt.Errorf("%w: %s answered %d", fault.Transient, l.url.Host, res.StatusCode)
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, fmt.Errorf("%w: %s answered %d", fault.Invalid, l.url.Host, res.StatusCode)
	case len(answer) > largest:
		return nil, fmt.Errorf("%w: %s answered more than %d bytes", fault.Invalid, l.url.Host, largest)
	}
	return answer, nil
}

// unanswered names the failure of a request. A URL's path may be a secret, and
// the standard library puts it into its errors.
func (l letter) unanswered(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var kind fault.Kind
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer from %s within %v", fault.Transient, l.url.Host, l.endpoint.timeout())
	case errors.As(err, &kind):
		// Refused before it was sent, or for where it would have gone.
		return fmt.Errorf("%s: %s: %w", l.url.Host, l.conceal(err.Error()), kind)
	}
	return fmt.Errorf("%w: no answer from %s: %s", fault.Transient, l.url.Host, l.conceal(err.Error()))
}

// conceal takes what is secret out of an error's text.
func (l letter) conceal(text string) string {
	return secret.Redact(text, l.key, l.url.String(), l.url.RequestURI(), l.url.EscapedPath(), l.url.Path, l.url.RawQuery)
}

// line is a gate's own words as they are told: without what is secret, then on one line
// and not too long. The path of a URL that stands in deploy.json stays, because it
// may be a word, or a part of a link.
func (l letter) line(text string) string {
	if l.endpoint.URLFrom == "" {
		return line(secret.Redact(text, l.key, l.url.String()))
	}
	return line(l.conceal(text))
}
