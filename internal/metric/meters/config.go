// Package meters opens the meter that a configuration names. It is the one place
// that knows all drivers, and where credentials are looked up.
package meters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"strconv"
	"time"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/secret"
)

// A Config is the metrics block of a deploy.json, or the engine's defaults for
// it (STEPCANARY_METRICS), which has a few fields more. Merge puts the two
// together.
type Config struct {
	// Provider is prometheus or cloudwatch.
	Provider string `json:"provider,omitempty"`
	// Address is the base URL of a Prometheus API.
	Address string `json:"address,omitempty"`
	// Region is CloudWatch's, or the one for which requests are signed.
	Region string `json:"region,omitempty"`
	// Namespace replaces the CloudWatch namespace of the queries.
	Namespace string `json:"namespace,omitempty"`
	// Queries names the set of queries.
	Queries string `json:"queries,omitempty"`
	Auth    Auth   `json:"auth,omitzero"`
	// Query has the user's own queries by name. The flow asks them; a meter does not.
	Query map[string]string `json:"query,omitempty"`
	// ScrapeInterval is how often Prometheus reads its targets (15s), and Lag how
	// long a number takes to be complete (a quarter of ScrapeInterval and at most 1s
	// for Prometheus, 15s where requests are signed, 2m for CloudWatch).
	ScrapeInterval Duration `json:"scrape_interval,omitempty"`
	Lag            Duration `json:"lag,omitempty"`
	// CA is a PEM bundle of the certificate authorities to trust for Address.
	CA string `json:"ca,omitempty"`
	// LoadBalancer and TargetGroups, by version, are dimensions of the queries alb.
	LoadBalancer string            `json:"load_balancer,omitempty"`
	TargetGroups map[string]string `json:"target_groups,omitempty"`
	// AllowLoopback lets a document name an address on this machine. Only the
	// engine's configuration may say so.
	AllowLoopback bool `json:"allow_loopback,omitempty"`
	// AuthAddresses are addresses beside the engine's own to which a document may have a secret
	// sent that it names, or signed requests; scheme, host and port count. Signed ones go to Amazon
	// Managed Prometheus without. Only the engine's configuration may say so.
	AuthAddresses []string `json:"auth_addresses,omitempty"`

	// own says that the address is the engine's.
	own bool
}

// Auth is how the source knows us: at most one of the three.
type Auth struct {
	Bearer secret.Ref `json:"bearer,omitempty"`
	Basic  *Basic     `json:"basic,omitempty"`
	SigV4  *SigV4     `json:"sigv4,omitempty"`
}

// Basic is HTTP basic authentication.
type Basic struct {
	Username string     `json:"username"`
	Password secret.Ref `json:"password"`
}

// SigV4 is AWS request signing, by the name of a service (aps) and as a role to
// assume first, if one is named.
type SigV4 struct {
	Service string `json:"service,omitempty"`
	Role    string `json:"role,omitempty"`
}

// A Duration is written as seconds or as a string such as "90s".
type Duration time.Duration

// UnmarshalJSON reads seconds or a string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b) + "s"
	} else if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	parsed, err := time.ParseDuration(text)
	if err != nil || parsed < 0 {
		return fmt.Errorf("duration %s: seconds, or a string such as \"90s\", are expected", b)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalJSON writes a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Parse reads a configuration. Nothing, or null, is the empty one. Unknown
// fields are errors of kind fault.Invalid, like everything that is no JSON.
func Parse(data []byte) (Config, error) {
	var c Config
	if len(bytes.TrimSpace(data)) == 0 {
		return c, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	if err == nil {
		if _, extra := d.Token(); extra != io.EOF {
			err = fmt.Errorf("found more after the configuration's end")
		}
	}
	if err != nil {
		return Config{}, fmt.Errorf("metrics: %w: %v", fault.Invalid, err)
	}
	for _, a := range c.AuthAddresses {
		if origin(a) == "" {
			return Config{}, fmt.Errorf("metrics.auth_addresses: found %q: %w: a URL such as https://prometheus.example is expected", a, fault.Invalid)
		}
	}
	return c, nil
}

// Merge fills the fields that a document leaves out from the engine's defaults.
// A document with a provider of its own gets nothing from those of another one,
// and one with an address of its own gets neither the engine's credentials nor
// its certificate authorities: they would be sent to whomever it names. For the
// same reason one that asks for credentials itself is refused, unless the address
// is the engine's, among its AuthAddresses or, for a signature, AWS's own.
func Merge(engine, document Config) (Config, error) {
	if document.AllowLoopback {
		return Config{}, fmt.Errorf("metrics.allow_loopback: %w: it is the engine's to say", fault.Invalid)
	}
	if len(document.AuthAddresses) > 0 {
		return Config{}, fmt.Errorf("metrics.auth_addresses: %w: it is the engine's to say", fault.Invalid)
	}
	if err := document.mayName(engine); err != nil {
		return Config{}, err
	}
	c := document
	c.AllowLoopback = engine.AllowLoopback
	if c.Provider != "" && engine.Provider != "" && c.Provider != engine.Provider {
		return c, nil
	}
	if c.Address == "" || c.Address == engine.Address {
		c.Address, c.own = engine.Address, true
		if c.Auth == (Auth{}) {
			c.Auth = engine.Auth
		}
		fill(&c.CA, engine.CA)
	}
	fill(&c.Provider, engine.Provider)
	fill(&c.Region, engine.Region)
	fill(&c.Namespace, engine.Namespace)
	fill(&c.Queries, engine.Queries)
	fill(&c.ScrapeInterval, engine.ScrapeInterval)
	fill(&c.Lag, engine.Lag)
	fill(&c.LoadBalancer, engine.LoadBalancer)
	c.Query = join(engine.Query, document.Query)
	c.TargetGroups = join(engine.TargetGroups, document.TargetGroups)
	return c, nil
}

// fill sets what is empty.
func fill[T comparable](value *T, standard T) {
	var empty T
	if *value == empty {
		*value = standard
	}
}

func join(engine, document map[string]string) map[string]string {
	if len(engine) == 0 {
		return document
	}
	all := maps.Clone(engine)
	maps.Copy(all, document)
	return all
}
