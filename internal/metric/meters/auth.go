package meters

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

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
	if err == nil && u.Scheme == "http" && !c.own && !c.AllowLoopback && a.sends() {
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

// sends tells whether a secret goes out as it is. A signature (SigV4) is good for the one host alone.
func (a Auth) sends() bool { return a.Bearer != "" || a.Basic != nil }

// mayName finds a document that has a secret of the engine sent to an address that the engine's
// configuration does not know: whoever may write deploy.json could read it there.
func (c Config) mayName(engine Config) error {
	if !c.Auth.sends() || c.Address == "" {
		return nil
	}
	if o := origin(c.Address); o != "" && (o == origin(engine.Address) || slices.ContainsFunc(engine.AuthAddresses, func(a string) bool { return o == origin(a) })) {
		return nil
	}
	return fmt.Errorf("metrics.auth beside metrics.address: %w: a secret is sent to the engine's own address alone, and to auth_addresses of the engine's metrics settings", fault.Invalid)
}

// origin is the part of an address that says who answers: scheme, host and port. It is empty where
// the address has none.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || u.Hostname() == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
