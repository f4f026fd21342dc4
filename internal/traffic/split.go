package traffic

import (
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Validate tells whether the split can be written: a canary, a weight from 0 to
// 100, and, where there is no stable, the whole for the canary, because a route
// whose every weight is zero answers nobody.
func (s Split) Validate() error {
	switch {
	case s.Canary == "":
		return fmt.Errorf("split: %w: no canary is named", fault.Invalid)
	case s.Canary == s.Stable:
		return fmt.Errorf("split: %w: stable and canary are both %q", fault.Invalid, s.Canary)
	case s.Weight < 0 || s.Weight > 100:
		return fmt.Errorf("split: %w: weight %d is not between 0 and 100", fault.Invalid, s.Weight)
	case s.Stable == "" && s.Weight != 100:
		return fmt.Errorf("split: %w: weight %d without a stable to get the rest", fault.Invalid, s.Weight)
	}
	return nil
}

// Judge gives st as the answer of an Await for this split: a state that is in force
// with other weights is somebody else's, and not what was waited for.
func (s Split) Judge(st State) State {
	canary, ok := st.Weights[s.Canary]
	want := s.Weight
	if s.Stable == "" {
		want = 100
	}
	switch {
	case !ok:
		st.InForce, st.Why = false, fmt.Sprintf("the route does not name %s", s.Canary)
	case canary != want:
		st.InForce, st.Why = false, fmt.Sprintf("the route gives %s %d %%, and %d %% is wanted", s.Canary, canary, want)
	}
	return st
}
