package step

import (
	"time"

	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/secret"
	"github.com/stepcanary/stepcanary/internal/spec"
)

// gatesOf gives the gates of deploy.json.
func gatesOf(doc spec.Spec) []Gate {
	var out []Gate
	for _, w := range doc.Webhooks {
		out = append(out, Gate{
			Gate: hook.Gate{
				Endpoint: hook.Endpoint{
					Name: w.Name, URL: w.URL, URLFrom: secret.Ref(w.URLFrom), Secret: secret.Ref(w.Secret),
					Timeout: time.Duration(w.Timeout).Seconds(), Retries: &w.Retries,
				},
				Phase: hook.Phase(w.Phase), Metadata: w.Metadata,
			},
			Limit: w.Limit,
		})
	}
	return out
}

// receiversOf gives those whom deploy.json wants told.
func receiversOf(doc spec.Spec) []hook.Receiver {
	var out []hook.Receiver
	for _, n := range doc.Notifications {
		r := hook.Receiver{
			Endpoint: hook.Endpoint{Name: n.Name, URL: n.URL, URLFrom: secret.Ref(n.URLFrom), Secret: secret.Ref(n.Secret)},
			Format:   n.Format,
		}
		for _, on := range n.On {
			r.On = append(r.On, hook.Occasion(on))
		}
		out = append(out, r)
	}
	return out
}

// reachable holds gates and receivers against the engine's own rules, before anything is changed.
// Errors are of kind fault.Invalid.
func reachable(open HookOpener, ro Rollout) error {
	if len(ro.Gates) == 0 && len(ro.Receivers) == 0 {
		return nil
	}
	c, err := open.client()
	if err != nil {
		return err
	}
	for _, g := range ro.Gates {
		if err := c.CheckGate(g.Gate); err != nil {
			return err
		}
	}
	for _, r := range ro.Receivers {
		if err := c.CheckReceiver(r); err != nil {
			return err
		}
	}
	return nil
}
