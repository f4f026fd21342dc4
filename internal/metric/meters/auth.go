package meters

import (
	"fmt"
	"net/url"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

// check finds a wrong choice of credentials. A password or token is sent in the
// clear only to the engine's own address or to this machine.
func (a Auth) check(c Config) error {
	chosen := 0
	for _, set := range []bool{a.Bearer != "", a.Basic != nil, a.SigV4 != nil} {
		if set {
			chosen++
		}
	}
	if chosen > 1 {
		return fmt.Errorf("metrics.auth: %w: one of bearer, basic, sigv4 is expected", fault.Invalid)
	}
	u, err := url.Parse(c.Address)
	if err == nil && u.Scheme == "http" && !c.own && !c.AllowLoopback && (a.Bearer != "" || a.Basic != nil) {
		return fmt.Errorf("metrics.address: %w: https is expected where a secret is sent", fault.Invalid)
	}
	var ref secret.Ref
	switch {
	case a.Bearer != "":
		ref = a.Bearer
	case a.Basic != nil:
		ref = a.Basic.Password
	default:
		return nil
	}
	if err := ref.Check(); err != nil {
		return fmt.Errorf("metrics.auth: %w", err)
	}
	return nil
}
