package queries

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/metric"
)

// Fill puts the subject's names and the window into a query of the user's, in
// place of ${CLUSTER}, ${NAMESPACE}, ${SERVICE}, ${ROUTE}, ${VERSION} (the
// canary), ${STABLE} and ${WINDOW} (whole seconds, such as 60s). Names are
// checked, not quoted: nothing but a name gets in, so that a label's value or a
// pattern stays what the user wrote. A placeholder that is unknown, or without a
// value, is an error of kind fault.Invalid.
func Fill(query string, s metric.Subject, w metric.Window) (string, error) {
	values := map[string]string{
		"CLUSTER": s.Cluster, "NAMESPACE": s.Namespace, "SERVICE": s.Service, "ROUTE": s.Route,
		"VERSION": s.Canary, "STABLE": s.Stable,
		"WINDOW": strconv.Itoa(int(math.Ceil(w.To.Sub(w.From).Seconds()))) + "s",
	}
	var out strings.Builder
	for rest := query; ; {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		key, next, closed := strings.Cut(after, "}")
		value, ok := values[key]
		switch {
		case !closed:
			return "", fmt.Errorf("query %q: %w: ${ without }", query, fault.Invalid)
		case !ok:
			known := slices.Sorted(maps.Keys(values))
			return "", fmt.Errorf("query %q: %w: ${%s} is not one of %s", query, fault.Invalid, key, strings.Join(known, ", "))
		case !isName(value) && (key != "CLUSTER" || !isCluster(value)):
			return "", fmt.Errorf("query %q: %w: ${%s} stands for %q, which is no name", query, fault.Invalid, key, value)
		}
		out.WriteString(value)
		rest = next
	}
}

// isCluster tells a name of an EKS cluster: letters, digits, hyphens and
// underscores, 100 at most.
func isCluster(s string) bool {
	ok := func(r rune) bool {
		return r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool { return !ok(r) })
}
