package memory

import (
	"cmp"
	"slices"
	"time"
)

// A Script says what the users of a service do and what they meet. Its times
// are counted from the moment the meter was made, and every list is in force
// from each entry's From until the next one's.
type Script struct {
	// Load is how many requests reach the route.
	Load []Load
	// Versions is what each version answers, by its name. A version that is not
	// here has never been counted: no data.
	Versions map[string][]Phase
	// Values are the answers to the user's own queries, by the query's text.
	Values map[string][]Value
	// Down are the spans of time in which the source does not answer.
	Down []Span
	// Seed draws the counts at random around what is expected; zero gives exactly
	// what is expected, with fractions carried on from one interval to the next.
	Seed uint64
}

// A Load is a rate of requests.
type Load struct {
	From time.Duration
	RPS  float64
}

// A Phase is how a version behaves for a while.
type Phase struct {
	From time.Duration
	// ErrorRate is the share of requests that fail, 0 to 1.
	ErrorRate float64
	// Latency is how long answers take: shares of requests by their time. What is
	// left of 1 takes no time.
	Latency []Latency
	// Silent says that the source has no data of the version.
	Silent bool
}

// A Latency is a share of requests, 0 to 1, and the seconds they take.
type Latency struct {
	Share   float64
	Seconds float64
}

// A Value is the answer to a query. Anything but a finite number is no data.
type Value struct {
	From  time.Duration
	Value float64
}

// A Span is a stretch of time, without end where To is zero.
type Span struct {
	From, To time.Duration
}

func (s Span) holds(at time.Duration) bool { return at >= s.From && (s.To == 0 || at < s.To) }

// Steady is the script of a constant load on versions that fail at a constant
// rate, 0 to 1.
func Steady(rps float64, errorRates map[string]float64) Script {
	s := Script{Load: []Load{{RPS: rps}}, Versions: map[string][]Phase{}}
	for version, rate := range errorRates {
		s.Versions[version] = []Phase{{ErrorRate: rate}}
	}
	return s
}

// slow is the share of requests that take longer than the bound, in seconds.
func (p Phase) slow(bound float64) float64 {
	share := 0.0
	for _, l := range p.Latency {
		if l.Seconds > bound {
			share += l.Share
		}
	}
	return share
}

// sorted is a copy of the script with every list in order of time.
func (s Script) sorted() Script {
	s.Load = slices.Clone(s.Load)
	slices.SortStableFunc(s.Load, func(a, b Load) int { return cmp.Compare(a.From, b.From) })
	versions, values := s.Versions, s.Values
	s.Versions = make(map[string][]Phase, len(versions))
	for name, phases := range versions {
		phases = slices.Clone(phases)
		slices.SortStableFunc(phases, func(a, b Phase) int { return cmp.Compare(a.From, b.From) })
		s.Versions[name] = phases
	}
	s.Values = make(map[string][]Value, len(values))
	for query, list := range values {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b Value) int { return cmp.Compare(a.From, b.From) })
		s.Values[query] = list
	}
	return s
}

// at gives the last entry of a sorted list that began by t, and whether there is one.
func at[E any](list []E, t time.Duration, from func(E) time.Duration) (E, bool) {
	var found E
	ok := false
	for _, e := range list {
		if from(e) > t {
			break
		}
		found, ok = e, true
	}
	return found, ok
}

func (l Load) from() time.Duration  { return l.From }
func (p Phase) from() time.Duration { return p.From }
func (v Value) from() time.Duration { return v.From }
