package traffic

import (
	"context"
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

// A Matcher is a Router that can also send chosen requests to the canary whatever
// the weights say. A router that cannot is not one, so that a plan with match
// rules is refused where it is validated.
type Matcher interface {
	Router

	// Match sends the requests that fulfil any of the matches to the canary, under the
	// same fence rule as Shift. No match takes the rule away, and one without a condition is
	// fault.Invalid. Shift leaves the rule alone; Settle takes it away in its own write. The rules
	// of other services stay.
	Match(ctx context.Context, t Target, s Split, matches []Match, f rollout.Fence) error
}

// A Match is fulfilled by a request that fulfils all of its conditions.
type Match struct {
	Headers []Header `json:"headers,omitempty"`
	Cookies []Header `json:"cookies,omitempty"`
}

// Validate refuses a match that every request fulfils: it would be a weight of 100.
func (m Match) Validate() error {
	if len(m.Headers)+len(m.Cookies) == 0 {
		return fmt.Errorf("%w: no condition; it would be fulfilled by every request", fault.Invalid)
	}
	return nil
}

// A Header is a condition on a header's, or a cookie's, value.
type Header struct {
	Name string `json:"name"`
	// Value is what it must be, exactly.
	Value string `json:"value,omitempty"`
	// Regex is, instead of Value, an expression that it must match as a whole.
	Regex string `json:"regex,omitempty"`
}
