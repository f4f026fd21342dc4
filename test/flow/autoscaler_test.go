package flow_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
)

// An autoscaler comes and goes with its version, and the canary begins as large as stable is, within
// what the autoscaler allows.
func TestAnAutoscalerComesAndGoesWithItsVersion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stable, canary int
		rates          map[string]float64
		serves         string
	}{
		"as large as stable":      {7, 7, map[string]float64{"checkout-1": 0, "checkout-2": 0}, "checkout-2"},
		"no larger than allowed":  {12, 9, map[string]float64{"checkout-1": 0, "checkout-2": 0}, "checkout-2"},
		"no smaller than allowed": {1, 3, map[string]float64{"checkout-1": 0, "checkout-2": 1}, "checkout-1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := deployed(t, tt.rates)
			s.cluster.Scale("shop", "checkout-1", tt.stable)
			seen := 0
			s.atShift(1, func() {
				if !s.cluster.Has("shop", "HorizontalPodAutoscaler", "checkout-2") || s.cluster.Has("shop", "HorizontalPodAutoscaler", "checkout-1") {
					t.Error("want an autoscaler of checkout-2 alone")
				}
				st, _ := s.cluster.Status("shop", "checkout-2", s.clock.Now())
				seen = st.Desired
			})
			text := strings.Replace(enginetest.Template, "image: ${CONTAINER_IMAGE}", "image: ${CONTAINER_IMAGE}\n        resources: {requests: {cpu: 100m}}", 1)
			e := s.run(fields{
				"autoscaler":  fields{"min": 3, "max": 9, "cpu": 60},
				"config_file": base64.StdEncoding.EncodeToString([]byte(text)),
			})
			if seen != tt.canary {
				t.Errorf("the canary began with %d pods; want %d (%s)", seen, tt.canary, e.cause)
			}
			if has := s.cluster.Has("shop", "HorizontalPodAutoscaler", "checkout-2"); has != (tt.serves == "checkout-2") {
				t.Errorf("after the end there is an autoscaler of checkout-2: %v", has)
			}
			s.settled(tt.serves)
		})
	}
}
