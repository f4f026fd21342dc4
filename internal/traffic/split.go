package traffic

import (
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
)

// Validate refuses a target that cannot be written: what names no service has no fence.
func (t Target) Validate() error {
	if t.Service == "" {
		return fmt.Errorf("route %s/%s: %w: no service is named", t.Namespace, t.Route, fault.Invalid)
	}
	return nil
}

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
// with other weights is somebody else's, and not what was waited for. A back end
// that the route does not name gets nothing, which is what a zero asks for. Where the
// route gives both nothing, a zero is in force, and whoever went back by it has to look
// whether stable has anything: users may be where somebody else sent them.
func (s Split) Judge(st State) State {
	canary, hasCanary := st.Weights[s.Canary]
	stable, hasStable := st.Weights[s.Stable]
	switch {
	case !hasCanary && !hasStable:
		st.InForce, st.Why = false, fmt.Sprintf("the route names neither %q nor %q", s.Stable, s.Canary)
	case s.Weight > 0 && canary+stable == 0:
		st.InForce, st.Why = false, fmt.Sprintf("the route has all its weight on others, and %q is to get %d %%", s.Canary, s.Weight)
	case canary != s.Weight:
		st.InForce, st.Why = false, fmt.Sprintf("the route gives %s %d %%, and %d %% is wanted", s.Canary, canary, s.Weight)
	}
	return st
}
