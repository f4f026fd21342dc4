package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
)

func TestOf(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want fault.Kind
	}{
		"a bare kind":                      {fault.Refused, fault.Refused},
		"a kind below its cause":           {fmt.Errorf("lock: %w: %w", fault.Refused, errors.New("held")), fault.Refused},
		"the outermost kind wins":          {fmt.Errorf("%w: %w", fault.NotReady, fmt.Errorf("get: %w", fault.Transient)), fault.NotReady},
		"an error of nobody's is internal": {errors.New("boom"), fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fault.Of(tt.err); got != tt.want {
				t.Errorf("Of(%v) = %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}
