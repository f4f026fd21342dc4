//go:build awse2e

package aws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/stepcanary/stepcanary/internal/hook"
)

// hookSecret is the key by which the functions sign for gates and receivers.
const hookSecret = "arn:aws:secretsmanager:" + region + ":" + account + ":secret:hooks-AbCdEf"

// A team runs gates, which say yes, and a receiver. It believes only what is signed by the secret.
type team struct {
	mu    sync.Mutex
	asked map[hook.Phase]int
	told  []string
	lies  []error
}

// ServeHTTP answers a question or takes a message.
func (g *team) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = hook.Verify(secretValue, r.Header.Get(hook.SignatureHeader), body, time.Now(), time.Minute)
	}
	var in struct {
		Phase   hook.Phase
		On, End string
	}
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err != nil:
		g.lies = append(g.lies, fmt.Errorf("%s: %w", r.URL.Path, err))
		http.Error(w, "who asks?", http.StatusForbidden)
	case in.Phase != "":
		g.asked[in.Phase]++
		_, _ = io.WriteString(w, `{"hookStatus": "SUCCEEDED"}`)
	default:
		g.told = append(g.told, in.On+in.End)
	}
}

// fields are those of a deploy.json that has the team asked and told.
func (g *team) fields(url string) fields {
	gate := func(phase hook.Phase) fields {
		return fields{"name": string(phase), "phase": phase, "url": url + "/gate", "secret": hookSecret}
	}
	return fields{
		"webhooks":      []fields{gate(hook.PreRollout), gate(hook.PreStep), gate(hook.PrePromotion)},
		"notifications": []fields{{"name": "team", "url": url + "/told", "secret": hookSecret}},
	}
}
