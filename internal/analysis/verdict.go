package analysis

import "fmt"

// A Verdict is the answer to "how is the canary?". Its zero value is
// Inconclusive, so that what nobody judged never passes.
type Verdict int

const (
	// Inconclusive means that the evidence does not tell: no data, too little
	// of it, a silent metrics source, or a router that does not do as told.
	Inconclusive Verdict = iota
	// Healthy means that there is data and nothing in it speaks against going on.
	Healthy
	// Unhealthy means that the canary has to be rolled back.
	Unhealthy
)

var verdictNames = [...]string{Inconclusive: "inconclusive", Healthy: "healthy", Unhealthy: "unhealthy"}

// String is the verdict's name in documents and on screens.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return fmt.Sprintf("verdict(%d)", int(v))
	}
	return verdictNames[v]
}

// MarshalText writes the name. A value outside the three is an error.
func (v Verdict) MarshalText() ([]byte, error) {
	if v < 0 || int(v) >= len(verdictNames) {
		return nil, fmt.Errorf("verdict %d is not one of inconclusive, healthy, unhealthy", int(v))
	}
	return []byte(verdictNames[v]), nil
}

// UnmarshalText reads the name.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, name := range verdictNames {
		if string(text) == name {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q is not one of inconclusive, healthy, unhealthy", text)
}

// and combines the verdicts of two required measures: one unhealthy decides,
// then one that cannot tell, and only then is the whole healthy.
func (v Verdict) and(w Verdict) Verdict {
	switch {
	case v == Unhealthy || w == Unhealthy:
		return Unhealthy
	case v == Healthy && w == Healthy:
		return Healthy
	}
	return Inconclusive
}
