package analysis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// percent writes a share of 0 to 1 with two or three digits that count.
func percent(share float64) string {
	p := share * 100
	switch {
	case p == 0:
		return "0 %"
	case p < 0.001:
		return "under 0.001 %"
	case p < 10:
		return strconv.FormatFloat(roundTo(p, 2), 'f', -1, 64) + " %"
	}
	return strconv.FormatFloat(roundTo(p, 3), 'f', -1, 64) + " %"
}

// roundTo keeps that many significant digits.
func roundTo(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return r
}

func number(v float64) string {
	if math.Abs(v) >= 1e6 || v != 0 && math.Abs(v) < 1e-4 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(roundTo(v, 3), 'f', -1, 64)
}

// lasted writes a time that was measured: from a second on, its fraction tells nothing.
func lasted(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	}
	return short(d)
}

// short writes a duration as it is, without its zero parts: 90s as 1m30s, 5m0s as 5m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// roughly writes a duration that is only an estimate.
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return short(d.Round(time.Second))
	case d < time.Hour:
		return short(d.Round(time.Minute))
	}
	return short(d.Round(10 * time.Minute))
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// String is the total as people say it: "3 of 200 requests (1.5 %)".
func (t Total) String() string {
	return fmt.Sprintf("%d of %s (%s)", t.Errors, count(t.Requests, "request"), percent(t.Rate()))
}

// happened is what a request did to count in a process.
func happened(process string) string {
	if process == errorsName {
		return "failed"
	}
	return "took longer than " + strings.TrimPrefix(process, slowPrefix)
}

func canaryPart(t Total) string {
	return fmt.Sprintf("%d of %s (%s) on the canary", t.Errors, count(t.Requests, "request"), percent(t.Rate()))
}

// versus puts canary and stable side by side, with the ratios of their rates
// that are left.
func versus(m Measure) string {
	return fmt.Sprintf("%s %s, %d of %d (%s) on stable: %s", canaryPart(m.Canary), happened(m.Name),
		m.Stable.Errors, m.Stable.Requests, percent(m.Stable.Rate()), span(m.Low, m.High))
}

// span says how often as much the canary fails, as far as that is known.
func span(low, high float64) string {
	switch {
	case low > 0 && high > 0:
		return fmt.Sprintf("%s to %s times as often", number(low), number(high))
	case low > 0:
		return fmt.Sprintf("more than %s times as often", number(low))
	case high > 0:
		return fmt.Sprintf("less than %s times as often", number(high))
	}
	return "too few to tell them apart"
}

// oneIn writes the odds against chance.
func oneIn(n float64) string {
	switch {
	case n < 1e6:
		return "1 in " + number(n)
	case n < 1e9:
		return "1 in " + number(n/1e6) + " million"
	}
	return "1 in more than a billion"
}

// sentence says what a limit found.
func (l Limit) sentence(m Measure, bounds []time.Duration) string {
	in := lasted(m.Window)
	side := "at most"
	if l.Kind == SuccessRate || l.AtLeast {
		side = "at least"
	}
	switch l.Kind {
	case ErrorCount:
		return fmt.Sprintf("%s on the canary in %s, allowed are %s", count(m.Canary.Errors, "failed request"), in, number(l.Bound))
	case ErrorRate:
		return fmt.Sprintf("%s failed in %s, allowed is %s", canaryPart(m.Canary), in, percent(l.Bound))
	case SuccessRate:
		return fmt.Sprintf("%s of the canary's %s in %s succeeded, wanted are %s %s",
			percent(m.Value), count(m.Canary.Requests, "request"), in, side, percent(l.Bound))
	case LatencyPercentile:
		return fmt.Sprintf("the canary's p%s over %s is %s, allowed is %s",
			number(l.Percentile), in, latency(m.Value, bounds), short(seconds(l.Bound)))
	case SlowRatio:
		return fmt.Sprintf("%s of the canary's %s in %s took longer than %s, allowed is %s",
			percent(m.Value), count(m.Canary.Requests, "request"), in, short(l.Above), percent(l.Bound))
	}
	return fmt.Sprintf("%s is %s, wanted is %s %s", l.Name, number(m.Value), side, number(l.Bound))
}

func latency(s float64, bounds []time.Duration) string {
	if n := len(bounds); n > 0 && s > bounds[n-1].Seconds() {
		return "more than " + short(bounds[n-1])
	}
	return short(seconds(roundTo(s, 3)))
}

func seconds(s float64) time.Duration {
	if s > 1e9 {
		s = 1e9
	}
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}
