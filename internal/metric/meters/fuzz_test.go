package meters_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric/meters"
)

// FuzzMeters puts a document's metrics together with an engine's, whatever they hold: errors are of
// one kind, what is written is read again the same, and a document at an address of its own gets
// nothing by which the engine is known.
func FuzzMeters(f *testing.F) {
	f.Add([]byte(`{"provider":"prometheus","address":"https://a.example","auth":{"bearer":"env:STEPCANARY_SECRET_A"},"ca":"x"}`), []byte(`{"address":"https://b.example","lag":"1s"}`))
	f.Add([]byte(`{"provider":"prometheus","address":"https://a.example:443/x","auth_addresses":["https://b.example"]}`), []byte(`{"address":"https://b.example/y","auth":{"sigv4":{"role":"r"}}}`))
	f.Add([]byte(`{"provider":"cloudwatch","region":"eu-west-1","queries":"alb","target_groups":{"a":"b"},"query":{"q":"x"}}`), []byte(`{"scrape_interval":0.5,"query":{"q":"y"},"load_balancer":"l"}`))
	f.Add([]byte(`{"address":"http://127.0.0.1:9090","allow_loopback":true,"auth":{"basic":{"username":"u","password":"env:STEPCANARY_SECRET_P"}}}`), []byte(`null`))
	same := cmpopts.IgnoreUnexported(meters.Config{})
	f.Fuzz(func(t *testing.T, engine, document []byte) {
		if len(engine)+len(document) > 1<<18 {
			return
		}
		defer time.AfterFunc(time.Minute, func() { panic("it does not end") }).Stop() // the input is kept then
		ours, err := meters.Parse(engine)
		if err != nil {
			invalid(t, "Parse", err)
			return
		}
		written, err := json.Marshal(ours)
		if err != nil {
			t.Fatalf("Marshal(%+v) = %v", ours, err)
		}
		read, err := meters.Parse(written)
		if diff := cmp.Diff(ours, read, same, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("Parse(%s) = %v (-want +got):\n%s", written, err, diff)
		}
		theirs, err := meters.Parse(document)
		if err != nil {
			invalid(t, "Parse", err)
			return
		}
		c, err := meters.Merge(ours, theirs)
		if err != nil {
			invalid(t, "Merge", err)
			return
		}
		if theirs.Address != "" && theirs.Address != ours.Address && (!cmp.Equal(c.Auth, theirs.Auth) || c.CA != theirs.CA) {
			t.Errorf("Merge(%s, %s) = %+v; want none of the engine's credentials", engine, document, c)
		}
		invalid(t, "Check", meters.Check(c))
		meters.Unscoped(c)
		if p, ok := c.Pace(); ok && (p.Every <= 0 || p.Lag < 0) {
			t.Errorf("Pace() of %+v = %+v", c, p)
		}
	})
}

// invalid sees that an error, where there is one, is of the kind that refuses a document.
func invalid(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil && fault.Of(err) != fault.Invalid {
		t.Errorf("%s() = %v; want %v", what, err, fault.Invalid)
	}
	if err != nil && len(err.Error()) > 1<<20 {
		t.Errorf("%s() has an error of %d bytes", what, len(err.Error()))
	}
}
