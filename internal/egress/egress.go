// Package egress decides which addresses a URL that somebody else wrote may
// lead to. A name is checked where it matters, after it was resolved and right
// before the connection is made, so that a name that answers differently the
// second time gains nothing.
//
// Refused always: link-local addresses, which is where clouds keep the
// credentials of a machine, multicast, the unspecified address, and what no host
// has; and the credential addresses outside of these ranges.
package egress

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// A Policy says what is allowed beyond public addresses.
type Policy struct {
	// Private allows the addresses of private networks (RFC 1918, RFC 4193), and those that
	// clouds hand out as private ones beside them (RFC 6598, RFC 2544).
	Private bool
	// Loopback allows this machine's own addresses, private ones being another matter.
	Loopback bool
}

// shared are ranges that are no RFC's private ones, and are in use in VPCs: pods of EKS have them
// where a VPC's own addresses are few.
var shared = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), // carriers (RFC 6598)
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks (RFC 2544)
}

// forbidden are credential addresses of clouds outside of the link-local range,
// ways to write an IPv4 address as an IPv6 one, and what is nobody's address.
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: instance metadata, pod identity
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure
	netip.MustParsePrefix("192.0.0.0/24"),       // protocol assignments (RFC 6890); Oracle Cloud: 192.0.0.192
	netip.MustParsePrefix("0.0.0.0/8"),          // this host (RFC 1122)
	netip.MustParsePrefix("240.0.0.0/4"),        // reserved (RFC 1112), and broadcast
	netip.MustParsePrefix("192.88.99.0/24"),     // 6to4 relays (RFC 7526)
	netip.MustParsePrefix("fec0::/10"),          // site-local (RFC 3879)
	netip.MustParsePrefix("100::/64"),           // discarded (RFC 6666)
	netip.MustParsePrefix("192.0.2.0/24"),       // documentation (RFC 5737)
	netip.MustParsePrefix("198.51.100.0/24"),    // documentation (RFC 5737)
	netip.MustParsePrefix("203.0.113.0/24"),     // documentation (RFC 5737)
	netip.MustParsePrefix("2001:db8::/32"),      // documentation (RFC 3849)
	netip.MustParsePrefix("3fff::/20"),          // documentation (RFC 9637)
	netip.MustParsePrefix("64:ff9b::/96"),       // NAT64 (RFC 6052)
	netip.MustParsePrefix("64:ff9b:1::/48"),     // NAT64, local (RFC 8215)
	netip.MustParsePrefix("2002::/16"),          // 6to4 (RFC 3056)
	netip.MustParsePrefix("2001::/32"),          // Teredo (RFC 4380)
	netip.MustParsePrefix("::/96"),              // IPv4-compatible (RFC 4291)
	netip.MustParsePrefix("::ffff:0:0:0/96"),    // IPv4-translated (RFC 2765)
}

// Check tells whether a connection may be made to the address. Errors are of
// kind fault.Invalid.
func (p Policy) Check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	why := ""
	switch {
	case a.IsLoopback():
		if !p.Loopback {
			why = "it is a loopback address"
		}
	case a.IsLinkLocalUnicast():
		why = "it is a link-local address"
	case a.IsUnspecified(), a.IsMulticast(), !a.IsValid():
		why = "it is no single host's address"
	case within(a, forbidden):
		why = "it is a reserved address"
	case (a.IsPrivate() || within(a, shared)) && !p.Private:
		why = "it is a private address"
	}
	if why != "" {
		return fmt.Errorf("connect to %s: %w: %s", a, fault.Invalid, why)
	}
	return nil
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Control is a net.Dialer's: it is called with the resolved address.
func (p Policy) Control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %q: %w: %v", address, fault.Invalid, err)
	}
	return p.Check(at.Addr())
}

// Transport is an HTTP transport under the policy. It uses no proxy, because a
// proxy would make the connection in its place.
func (p Policy) Transport() *http.Transport {
	d := &net.Dialer{Timeout: 5 * time.Second, Control: p.Control}
	return &http.Transport{
		DialContext:         d.DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
}
