package spec

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A Webhook is a gate that is asked before a rollout goes on.
type Webhook struct {
	Name    string    `json:"name"`
	Phase   string    `json:"phase"`
	URL     string    `json:"url,omitempty"`
	URLFrom SecretRef `json:"url_from,omitempty"`
	Secret  SecretRef `json:"secret,omitempty"`
	// Timeout is that of one try, Limit that of all questions at one place.
	Timeout  rollout.Duration  `json:"timeout"`
	Retries  int               `json:"retries"`
	Limit    rollout.Duration  `json:"limit"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Phases of a webhook.
const (
	BeforeRollout   = "pre-rollout"
	BeforeStep      = "step"
	BeforePromotion = "pre-promotion"
)

// A Notification is somebody who is told.
type Notification struct {
	Name    string    `json:"name"`
	URL     string    `json:"url,omitempty"`
	URLFrom SecretRef `json:"url_from,omitempty"`
	Secret  SecretRef `json:"secret,omitempty"`
	Format  string    `json:"format"`
	// On is start, hold and end where the document says nothing.
	On []string `json:"on,omitempty"`
}

// longestAnswer is the longest timeout of a try: a look at a step has to end.
const longestAnswer = 30 * time.Second

func (c *checks) webhooks() {
	var names []string
	for i, w := range c.spec.Webhooks {
		at := place{"webhooks", strconv.Itoa(i)}
		names = c.unique(names, w.Name, at)
		c.address(at, w.URL)
		if w.Phase == BeforeStep && len(c.spec.steps()) == 1 {
			c.add("another phase: a rollout of one step has no later weight to ask before", at.with("phase")...)
		}
		if w.Timeout <= 0 || time.Duration(w.Timeout) > longestAnswer {
			c.add("a time above 0, at most "+longestAnswer.String(), at.with("timeout")...)
		}
		if w.Limit <= 0 {
			c.add("a time above 0", at.with("limit")...)
		}
	}
}

func (c *checks) notifications() {
	var names []string
	for i, n := range c.spec.Notifications {
		at := place{"notifications", strconv.Itoa(i)}
		names = c.unique(names, n.Name, at)
		c.address(at, n.URL)
	}
}

func (c *checks) unique(names []string, name string, at place) []string {
	if slices.Contains(names, name) {
		c.add("a name of its own for each", at.with("name")...)
	}
	return append(names, name)
}

// address checks where a request goes, as far as that can be told without the engine's own
// configuration: it may forbid more, and is asked before a rollout starts.
func (c *checks) address(at place, text string) {
	given := c.has(at.with("url")...)
	if given == c.has(at.with("url_from")...) {
		node, _ := find(c.docs[0], at)
		found := "neither url nor url_from"
		if given {
			found = "url and url_from"
		}
		c.problems = append(c.problems, c.at(node, at.with("url").String(), found, "one of the two"))
		return
	}
	if !given {
		return
	}
	if want := addressProblem(text); want != "" {
		node, _ := find(c.docs[0], at.with("url"))
		c.problems = append(c.problems, c.at(node, at.with("url").String(), notShown, want))
	}
}

// addressProblem says what is expected instead of a URL, which may be a secret; nothing where it
// is good.
func addressProblem(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "an https URL without user and fragment"
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && !(err == nil && addr.IsLoopback()) {
		return "https: http goes to this machine only, where the engine allows it"
	}
	if err == nil && (egress.Policy{Private: true, Loopback: true}).Check(addr) != nil {
		return "another address: link-local ones and those of credentials are not asked"
	}
	return ""
}
