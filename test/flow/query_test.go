package flow_test

import (
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
)

// A number that the team's own query gives is asked for by the query's text and held against its bound.
func TestATeamsOwnQueryJudges(t *testing.T) {
	t.Parallel()
	const query = "sum(queue{version='${VERSION}'})"
	for name, tt := range map[string]struct {
		value  []meter.Value
		status asl.Status
		cause  string
	}{
		"within its bound": {[]meter.Value{{Value: 9}}, asl.Succeeded, ""},
		"beyond it":        {[]meter.Value{{Value: 11}}, asl.Failed, "queue"},
		"without a value":  {nil, asl.Failed, "no value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.first()
			script := meter.Steady(100, map[string]float64{"checkout-1": 0, "checkout-2": 0})
			script.Values = map[string][]meter.Value{query: tt.value}
			s.meter.Play(service.Namespace, service.Name, script)
			e := s.run(fields{
				"metrics":  fields{"provider": "prometheus", "queries": "traefik", "query": fields{"queue": query}},
				"analysis": fields{"limits": []fields{{"metric": "queue", "max": 10}}},
			})
			if e.Status != tt.status || !strings.Contains(strings.ToLower(e.cause), tt.cause) {
				t.Errorf("%s by %s (%s); want %s because of %q", e.Status, e.path, e.cause, tt.status, tt.cause)
			}
		})
	}
}
