package flow_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/engine/enginetest"
)

// Input that cannot be rolled out ends before the lock is taken: nothing was changed, and the cause says where it is wrong.
// The rule on ended executions has nothing to add: for hours it read the same document again, and an alarm went off.
func TestBadInputIsRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		input fields
		cause string
	}{
		"no image":                 {fields{"container_image": nil}, "container_image: found nothing"},
		"no template":              {fields{"config_file": nil}, "config_file: found nothing"},
		"an unknown field":         {fields{"percentage_stepp": 10}, `did you mean \"percentage_step\"?`},
		"a step of nothing":        {fields{"percentage_step": 0}, "percentage_step: found 0"},
		"a namespace that is none": {fields{"kubernetes_namespace": "Shop"}, "kubernetes_namespace: found"},
		"nobody's service":         {fields{"microservice_name": nil}, "microservice_name: found nothing"},
		"a misspelt field of the template": {
			fields{"config_file": base64.StdEncoding.EncodeToString([]byte(strings.Replace(enginetest.Template, "spec:", "spc:", 1)))},
			`did you mean \"spec\"?`,
		},
		"a foreign template": {
			fields{"kubernetes_namespace": "kube-system", "config_file": "a2luZDogQ2x1c3RlclJvbGUK"},
			"seen in the whole cluster",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.first()
			before := s.record()
			e := s.run(tt.input)
			if e.Status != asl.Failed || e.path != "Prepare Refused" || !strings.Contains(e.cause, tt.cause) {
				t.Errorf("%s by %s (%s); want Prepare Refused because of %s", e.Status, e.path, e.cause, tt.cause)
			}
			if after := s.record(); after.Revision != before.Revision {
				t.Errorf("the record was written: %+v", after)
			}
			ended := s.clock.Now()
			if s.rest(); s.clock.Now() != ended {
				t.Errorf("the rule on ended executions was at work for %v; want it to have nothing to do", s.clock.Now().Sub(ended))
			}
			s.settled("checkout-1")
		})
	}
}
