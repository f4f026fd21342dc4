package platform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/hook"
	"github.com/stepcanary/stepcanary/internal/step"
)

// HookOpener gives what opens the client that asks gates and tells receivers. There is one for each
// process, so that connections are kept.
func (s Settings) HookOpener(c clock.Clock) step.HookOpener {
	return sync.OnceValues(func() (*hook.Client, error) {
		var in struct {
			Private  bool `json:"allow_private"`
			Loopback bool `json:"allow_loopback"`
		}
		if len(s.Hooks) > 0 {
			d := json.NewDecoder(bytes.NewReader(s.Hooks))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				return nil, fmt.Errorf("read the engine's hooks settings: %w: %w", fault.Invalid, err)
			}
		}
		return hook.New(hook.Options{Egress: egress.Policy{Private: in.Private, Loopback: in.Loopback}, Clock: c}), nil
	})
}
