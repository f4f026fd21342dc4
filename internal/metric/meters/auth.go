package meters

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

// check finds a wrong choice of credentials. They are sent in the clear only to
// the engine's own address or to this machine.
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
	if err == nil && u.Scheme == "http" && !c.own && !c.AllowLoopback && a != (Auth{}) {
		return fmt.Errorf("metrics.address: %w: https is expected beside metrics.auth", fault.Invalid)
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

// mayName finds a document that has a secret of the engine, or its session's token beside a
// signature, sent to an address that the engine's configuration does not know: whoever may write
// deploy.json could read it there. AWS itself may see what is signed.
func (c Config) mayName(engine Config) error {
	if c.Auth == (Auth{}) || c.Address == "" {
		return nil
	}
	o := origin(c.Address)
	if o != "" && (o == origin(engine.Address) || slices.ContainsFunc(engine.AuthAddresses, func(a string) bool { return o == origin(a) })) {
		return nil
	}
	if c.Auth.SigV4 != nil && workspaces.MatchString(o) {
		return nil
	}
	return fmt.Errorf("metrics.address beside metrics.auth: found %q: %w: the engine's own address, one of auth_addresses of its metrics settings "+
		"or, for sigv4, https://aps-workspaces.REGION.amazonaws.com is expected", o, fault.Invalid)
}

// workspaces is the origin of Amazon Managed Prometheus in a region, which is told apart from the
// names that AWS gives to anybody: aps-workspaces.s3.amazonaws.com is a bucket.
var workspaces = regexp.MustCompile(`^https://aps-workspaces(?:-fips)?\.([a-z]+(?:-[a-z]+)+-[0-9]+)` +
	`\.(?:amazonaws\.com|api\.aws|amazonaws\.com\.cn|api\.amazonwebservices\.com\.cn):443$`)

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
