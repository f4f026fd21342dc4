// Package queries says what to ask for, apart from whom to ask: which counters
// a gateway or a mesh keeps, how the series of one version are told from those
// of another, and what an error is. The drivers beside it know the sources.
//
// A set selects exactly: a version x-1 never gets the counts of x-12, and a
// service yelb-ui never those of yelb-ui-admin.
package queries

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// DefaultPrometheus and DefaultCloudWatch are the sets used where none is named. CloudWatch's is what the
// pipeline before us counted, whose files run unchanged.
const (
	DefaultPrometheus = "traefik"
	DefaultCloudWatch = "ancestor"
)

// A Matcher is one condition on a label, as PromQL writes it.
type Matcher struct {
	Label string
	// Op is =, !=, =~ or !~. Patterns are anchored at both ends.
	Op    string
	Value string
}

// String writes the condition in PromQL.
func (m Matcher) String() string { return m.Label + m.Op + quote(m.Value) }

// A Prometheus is a set for sources that speak PromQL.
type Prometheus struct {
	Name string
	// Requests is the counter of requests, one series for each status at least.
	Requests string
	// Failed tells the series that count errors.
	Failed Matcher
	// Buckets is the histogram of response times, empty where there is none.
	Buckets string
	// Unit is what one unit of the histogram's bounds is in seconds.
	Unit float64
	// Together says that both versions' counters are read in one scrape, of the
	// gateway. Otherwise each pod is scraped at a moment of its own.
	Together bool
	// Where is a sentence for people on where the requests are counted.
	Where string

	by      string
	shared  func(metric.Subject) []Matcher
	pattern func(s metric.Subject, version string) string
}

// OpenPrometheus gives the set of this name, the default for an empty one. The
// error of an unknown name, of kind fault.Invalid, lists those that are known.
func OpenPrometheus(name string) (Prometheus, error) {
	if name == "" {
		name = DefaultPrometheus
	}
	set, ok := prometheusSets[name]
	if !ok {
		return Prometheus{}, unknown(name, "prometheus", slices.Sorted(maps.Keys(prometheusSets)))
	}
	set.Name = name
	return set, nil
}

func unknown(name, provider string, known []string) error {
	return fmt.Errorf("queries %q: %w: provider %s knows %s", name, fault.Invalid, provider, strings.Join(known, ", "))
}

// Select is the PromQL selector of a family's series for both versions.
func (p Prometheus) Select(family string, s metric.Subject) string {
	patterns := make([]string, 0, 2)
	for _, version := range []string{s.Canary, s.Stable} {
		if version != "" {
			patterns = append(patterns, p.pattern(s, version))
		}
	}
	all := append(p.shared(s), Matcher{p.by, "=~", strings.Join(patterns, "|")})
	parts := make([]string, len(all))
	for i, m := range all {
		parts[i] = m.String()
	}
	return family + "{" + strings.Join(parts, ",") + "}"
}

// A Series is a test of the labels of one series.
type Series func(labels map[string]string) bool

// Version tells the series of one version among those that Select asked for.
func (p Prometheus) Version(s metric.Subject, version string) Series {
	if version == "" {
		return func(map[string]string) bool { return false }
	}
	return matches(Matcher{p.by, "=~", p.pattern(s, version)})
}

// Errors tells the series that count errors.
func (p Prometheus) Errors() Series { return matches(p.Failed) }

func matches(m Matcher) Series {
	wanted := m.Op == "=" || m.Op == "=~"
	if m.Op == "=" || m.Op == "!=" {
		return func(labels map[string]string) bool { return (labels[m.Label] == m.Value) == wanted }
	}
	re := regexp.MustCompile("^(?s:" + m.Value + ")$")
	return func(labels map[string]string) bool { return re.MatchString(labels[m.Label]) == wanted }
}

// Check tells whether the subject's names can be asked for. Errors are of kind
// fault.Invalid.
func Check(s metric.Subject) error {
	for _, n := range []struct{ what, name string }{
		{"namespace", s.Namespace}, {"service", s.Service}, {"route", s.Route}, {"canary", s.Canary},
	} {
		if !isName(n.name) {
			return fmt.Errorf("%s %q: %w: a Kubernetes name is expected", n.what, n.name, fault.Invalid)
		}
	}
	if s.Stable != "" && !isName(s.Stable) {
		return fmt.Errorf("stable %q: %w: a Kubernetes name is expected", s.Stable, fault.Invalid)
	}
	if s.Stable == s.Canary {
		return fmt.Errorf("stable %q: %w: it is the canary's name too", s.Stable, fault.Invalid)
	}
	return nil
}

// dns is the form of Kubernetes' names (RFC 1123 subdomains).
var dns = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

func isName(s string) bool { return dns.MatchString(s) }

// quote writes a PromQL string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
