package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// judge makes a judgement of what the state holds.
func (p Policy) judge(s State, grid []float64) Judgement {
	j := Judgement{
		Canary: Total{Requests: s.Canary.Requests, Errors: s.Canary.Errors},
		Stable: Total{Requests: s.Stable.Requests, Errors: s.Stable.Errors},
		From:   s.From, To: s.Until, Missing: p.missing(s),
	}
	if s.From.IsZero() {
		j.To = j.From
	}
	j.Measures = append(p.compared(s, grid), p.checked(s)...)
	worst := 0
	j.Hold, worst = p.held(s)
	if j.Hold && j.Measures[worst].Verdict == Healthy {
		j.Measures[worst].Verdict = Inconclusive
	}
	j.Verdict = combine(j.Measures)
	if m, ok := p.share(s); ok {
		j.Measures = append(j.Measures, m)
		j.Verdict = j.Verdict.and(m.Verdict)
	}
	if p.countsRequests() && s.Silent || s.From.IsZero() {
		j.Verdict = j.Verdict.and(Inconclusive)
	}
	if s.Failed != nil {
		j.Verdict = Unhealthy
	}
	for i, c := range s.Checks {
		l := p.Limits[i]
		j.Exhausted = j.Exhausted || !l.Advisory && l.InconclusiveAllowed > 0 && c.Inconclusive > l.InconclusiveAllowed
	}
	p.setPace(&j, s, grid)
	j.Detectable = p.detectable(s, grid)
	j.Reason = sentence(p.reason(j, s))
	slices.SortStableFunc(j.Measures, func(a, b Measure) int { return rank(a) - rank(b) })
	return j
}

// combine is healthy only where at least one required measure is and no other
// says anything else.
func combine(measures []Measure) Verdict {
	v, required := Healthy, false
	for _, m := range measures {
		if !m.Advisory {
			v, required = v.and(m.Verdict), true
		}
	}
	if !required {
		return Inconclusive
	}
	return v
}

// rank puts the worst first and what only advises last.
func rank(m Measure) int {
	r := map[Verdict]int{Unhealthy: 0, Inconclusive: 1, Healthy: 2}[m.Verdict]
	if m.Advisory {
		r += 3
	}
	return r
}

func (p Policy) setPace(j *Judgement, s State, grid []float64) {
	elapsed := s.elapsed()
	proven := p.proven(s, grid)
	j.Enough = s.Failed == nil && !s.From.IsZero() && elapsed >= p.Pace.MinDwell && proven
	if !proven && elapsed >= p.Pace.Cap {
		j.Overdue = true
		j.Verdict = j.Verdict.and(Inconclusive)
	}
}

// checked has one measure for each limit.
func (p Policy) checked(s State) []Measure {
	out := make([]Measure, 0, len(p.Limits))
	for i, l := range p.Limits {
		m := Measure{Name: l.Name, Bound: l.Bound, Advisory: l.Advisory, Note: l.Name + " was not checked yet"}
		if i < len(s.Checks) && !s.Checks[i].At.IsZero() {
			m = s.Checks[i].Last
		}
		out = append(out, m)
	}
	return out
}

// countsRequests is false for a policy that goes by values alone.
func (p Policy) countsRequests() bool {
	return p.Comparison.Enabled || slices.ContainsFunc(p.Limits, func(l Limit) bool { return l.Kind != Value && !l.Advisory })
}

// missing is the share of the step's time without data.
func (p Policy) missing(s State) float64 {
	known := s.Seen
	if p.Comparison.Enabled {
		known = s.Compared
	}
	if s.elapsed() <= 0 {
		return 0
	}
	return max(0, 1-float64(known)/float64(s.elapsed()))
}

// ShareOfRequests is the name of the measure of the router: did the canary get the share of
// requests that its weight says. It counts no errors.
const ShareOfRequests = "share of requests"

// share is the measure of the router; false where there is nothing to measure.
func (p Policy) share(s State) (Measure, bool) {
	if p.SampleRatio.Off || s.Router.All == 0 {
		return Measure{}, false
	}
	log := s.Router.evidence()
	all := float64(s.Router.All)
	m := Measure{
		Name: ShareOfRequests, Verdict: Healthy, Window: s.elapsed(),
		Canary: Total{Requests: s.Router.Canary}, Stable: Total{Requests: s.Router.All - s.Router.Canary},
		Value: float64(s.Router.Canary) / all, Bound: s.Router.Expected / all,
		Bad: finiteExp(log), P: min(1, finiteExp(-log)),
	}
	m.Note = fmt.Sprintf("the canary got %s of %s where the weight is %s", percent(m.Value), count(s.Router.All, "request"), percent(m.Bound))
	if log >= math.Log(p.SampleRatio.At) {
		m.Verdict = Inconclusive
		m.Note = "the router does not do as told: " + m.Note + ", so nothing is said about the canary"
	}
	return m, true
}

// reason says why, the most pressing first.
func (p Policy) reason(j Judgement, s State) string {
	switch {
	case s.Failed != nil:
		return s.Failed.Reason
	case s.From.IsZero():
		return "can't tell: there are no data on the canary in this step yet"
	case j.Verdict == Healthy && j.Enough:
		return p.praise(j) + p.goesOn(j, s)
	case j.Verdict == Healthy:
		return p.praise(j) + p.waiting(j, s)
	}
	for _, m := range j.Measures {
		if m.Verdict == Inconclusive && !m.Advisory && strings.HasPrefix(m.Note, "the router") {
			return m.Note
		}
	}
	for _, m := range j.Measures {
		if m.Verdict == Inconclusive && !m.Advisory {
			if j.Hold && (m.Name == errorsName || strings.HasPrefix(m.Name, slowPrefix)) {
				return "holding: " + m.Note
			}
			return m.Note
		}
	}
	switch {
	case p.countsRequests() && s.Silent:
		return "can't tell: the newest interval has no data"
	case j.Overdue:
		return p.cannotTell(j, s)
	}
	return "can't tell: nothing is set that this step could be judged by"
}

// praise is the first required measure's note.
func (p Policy) praise(j Judgement) string {
	for _, m := range j.Measures {
		if !m.Advisory && m.Note != "" {
			return m.Note
		}
	}
	return "nothing speaks against the canary"
}

// goesOn says why the step may be left though its counts do not tell the versions apart.
func (p Policy) goesOn(j Judgement, s State) string {
	if !p.Comparison.Enabled || s.Alone || len(j.Measures) == 0 || j.Measures[0].Low > 0 || j.Measures[0].High > 0 {
		return ""
	}
	if ratio := p.ratioFor(s); ratio > 0 {
		return fmt.Sprintf("; shown to stay below %s, which is good enough", percent(p.Comparison.GoodBelow*ratio/p.Comparison.GoodRatio))
	}
	kept := ""
	for _, l := range p.Limits {
		if !l.Advisory {
			kept = "its limits are kept and "
		}
	}
	return "; " + kept + "nothing speaks against the canary, which is enough at this weight"
}

func (p Policy) waiting(j Judgement, s State) string {
	if left := p.Pace.MinDwell - s.elapsed(); left > 0 {
		return fmt.Sprintf("; the step lasts %s more at least", lasted(left))
	}
	return fmt.Sprintf("; not yet proven below %s times%s", number(p.ratioFor(s)), j.Detectable.more())
}

func (p Policy) cannotTell(j Judgement, s State) string {
	out := fmt.Sprintf("can't tell after %s: canary %v, stable %v", lasted(s.elapsed()), j.Canary, j.Stable)
	if d := j.Detectable; d.Rate > 0 {
		out += fmt.Sprintf("; %s or more would have been seen (80 %%)", percent(d.Rate))
	}
	return out + j.Detectable.more()
}

func (d Detectable) more() string {
	if d.More == 0 {
		return ""
	}
	out := fmt.Sprintf("; needs about %s", count(int64(roundTo(float64(d.More), 2)), "more canary request"))
	if d.Wait > 0 {
		out += ", " + roughly(d.Wait)
	}
	return out
}

// sentence starts with a capital and ends with a stop.
func sentence(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:] + "."
}
