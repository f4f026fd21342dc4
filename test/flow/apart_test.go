package flow_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// A Service of a running service's that would select the new version's pods too sends it users as soon as these are ready,
// past the weights: the rollout is refused, with what to change.
func TestAServiceThatWouldSelectTheNewPodsIsNotRolledOutBeside(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		selector string
		input    fields
		refused  bool
	}{
		"by the label that all have":    {"app=checkout", nil, true},
		"by one of its own":             {"app=legacy", nil, false},
		"by one more":                   {"app=checkout,tier=web", nil, false},
		"where readiness alone decides": {"app=checkout", fields{"strategy": "replace"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.cluster.Place("shop", workload.Version{Name: "checkout", Deployment: "legacy", Replicas: 3, Selector: tt.selector})
			s.router.Define(route, weights{"checkout": 100})
			s.play(map[string]float64{"checkout": 0, "checkout-1": 0})
			e := s.run(tt.input)
			if !tt.refused {
				if e.Status != asl.Succeeded {
					t.Errorf("path %s (%s)", e.path, e.cause)
				}
				return
			}
			if e.path != "Prepare Refused" || !strings.Contains(e.cause, "Service checkout, which the route names, selects the new version's pods too (app=checkout)") {
				t.Errorf("path %s (%s)", e.path, e.cause)
			}
			if versions, _ := s.cluster.Versions(t.Context(), service); len(versions) > 0 || s.record().Epoch > 0 {
				t.Errorf("versions %v, record %+v; want nothing changed", versions, s.record())
			}
		})
	}
}

// A person has the route name the Service that all versions share. What serves behind it is no leftover.
func TestARouteOverTheSharedServiceIsRefused(t *testing.T) {
	t.Parallel()
	shared := `apiVersion: v1
kind: Service
metadata: {name: "${MICROSERVICE_NAME}", namespace: "${KUBERNETES_NAMESPACE}"}
spec:
  selector: {app: "${MICROSERVICE_NAME}"}
  ports: [{port: 8080}]
---
`
	with := func(image string) fields {
		return fields{"container_image": image, "config_file": base64.StdEncoding.EncodeToString([]byte(shared + enginetest.Template))}
	}
	s := newScene(t)
	s.play(healthyUpTo(2))
	if e := s.run(with("podlet:1")); e.Status != asl.Succeeded {
		t.Fatalf("first deployment: %s (%s)", e.path, e.cause)
	}
	s.router.Define(route, weights{"checkout": 100})
	if e := s.run(with("podlet:2")); e.path != "Prepare Refused" || !strings.Contains(e.cause, "it names Service checkout, which leads to checkout-1 past any weights") {
		t.Errorf("path %s (%s)", e.path, e.cause)
	}
	if st, ok := s.cluster.Status("shop", "checkout-1", s.clock.Now()); !ok || st.Ready == 0 {
		t.Errorf("checkout-1: %+v, exists %v; want it to serve", st, ok)
	}
	s.router.Define(route, weights{"checkout-1": 100})
	if e := s.run(with("podlet:2")); e.Status != asl.Succeeded {
		t.Errorf("when the route names it: path %s (%s)", e.path, e.cause)
	}
	s.settled("checkout-2")
}
