package egress_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/egress"
	"github.com/stepcanary/stepcanary/internal/fault"
)

func TestCheck(t *testing.T) {
	all := egress.Policy{Private: true, Loopback: true}
	for address, allowed := range map[string][3]bool{ // by nothing, by private, by all
		"93.184.216.34":            {true, true, true},
		"2606:2800:220:1::1":       {true, true, true},
		"10.0.0.7":                 {false, true, true},
		"172.31.255.1":             {false, true, true},
		"192.168.1.1":              {false, true, true},
		"fd12:3456::1":             {false, true, true},
		"100.64.0.1":               {false, true, true},
		"100.127.255.254":          {false, true, true},
		"::ffff:100.64.0.1":        {false, true, true},
		"198.19.0.1":               {false, true, true},
		"100.63.255.255":           {true, true, true},
		"100.128.0.1":              {true, true, true},
		"198.20.0.1":               {true, true, true},
		"127.0.0.1":                {false, false, true},
		"127.8.8.8":                {false, false, true},
		"::1":                      {false, false, true},
		"::ffff:127.0.0.1":         {false, false, true},
		"169.254.169.254":          {false, false, false},
		"169.254.170.2":            {false, false, false},
		"::ffff:169.254.169.254":   {false, false, false},
		"64:ff9b::a9fe:a9fe":       {false, false, false},
		"2002:a9fe:a9fe::1":        {false, false, false},
		"::169.254.169.254":        {false, false, false},
		"fd00:ec2::254":            {false, false, false},
		"fd00:ec2::23":             {false, false, false},
		"fe80::1":                  {false, false, false},
		"fe80::1%eth0":             {false, false, false},
		"100.100.100.200":          {false, false, false},
		"::ffff:100.100.100.200":   {false, false, false},
		"168.63.129.16":            {false, false, false},
		"192.0.0.192":              {false, false, false},
		"192.0.0.8":                {false, false, false},
		"240.0.0.1":                {false, false, false},
		"255.255.255.255":          {false, false, false},
		"192.88.99.1":              {false, false, false},
		"192.0.2.1":                {false, false, false},
		"198.51.100.1":             {false, false, false},
		"203.0.113.1":              {false, false, false},
		"2001:db8::1":              {false, false, false},
		"3fff::1":                  {false, false, false},
		"100::1":                   {false, false, false},
		"fec0::1":                  {false, false, false},
		"fd20:ce::254":             {false, false, false},
		"fd20:ce::255":             {false, true, true},
		"::ffff:0:169.254.169.254": {false, false, false},
		"fec0::1%eth0":             {false, false, false},
		"fd00:ec2::254%eth0":       {false, false, false},
		"0.0.0.0":                  {false, false, false},
		"0.1.2.3":                  {false, false, false},
		"::":                       {false, false, false},
		"224.0.0.1":                {false, false, false},
		"ff02::1":                  {false, false, false},
	} {
		for i, p := range []egress.Policy{{}, {Private: true}, all} {
			if err := p.Check(netip.MustParseAddr(address)); (err == nil) != allowed[i] || err != nil && fault.Of(err) != fault.Invalid {
				t.Errorf("%+v.Check(%s) = %v; want allowed %v", p, address, err, allowed[i])
			}
		}
	}
}

func TestTransportChecksTheResolvedAddress(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	// A name, not an address: the check comes after it was resolved.
	url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	get := func(p egress.Policy) error {
		res, err := (&http.Client{Transport: p.Transport()}).Get(url)
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	if err := get(egress.Policy{Private: true}); err == nil || fault.Of(err) != fault.Invalid {
		t.Errorf("Get(%s) without loopback = %v; want %v", url, err, fault.Invalid)
	}
	if err := get(egress.Policy{Loopback: true}); err != nil {
		t.Errorf("Get(%s) with loopback = %v", url, err)
	}
}

func TestTransportUsesNoProxy(t *testing.T) {
	if p := (egress.Policy{}).Transport().Proxy; p != nil {
		t.Error("the transport may use a proxy, which would connect to what is forbidden")
	}
}

func TestATransportWaitsForNothingWithoutEnd(t *testing.T) {
	tr := (egress.Policy{}).Transport()
	for name, d := range map[string]time.Duration{
		"the TLS handshake": tr.TLSHandshakeTimeout, "a response's header": tr.ResponseHeaderTimeout, "the next request of a connection": tr.IdleConnTimeout,
	} {
		if d < time.Second || d > time.Minute {
			t.Errorf("the transport waits for %s for %v; want a second to a minute", name, d)
		}
	}
	if n := tr.MaxResponseHeaderBytes; n < 1<<10 || n > 1<<20 {
		t.Errorf("the transport takes %d bytes of headers; want a bound", n)
	}
}
