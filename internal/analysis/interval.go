package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Counts are the raw counters of one version in one interval. They are never
// rates and never extrapolated.
type Counts struct {
	// Requests that ended within the interval.
	Requests int64
	// Errors among them: answers that the service is to blame for (HTTP 5xx).
	Errors int64
	// Slow has one count for each of [Comparison.LatencyBounds]: how many
	// of the requests took longer. Nil where latency is not measured.
	Slow []int64
	// Known is false where the source had no data. That is not zero requests.
	Known bool
}

// An Interval is a closed stretch of time with what was counted in it. The
// source's lag has passed: these numbers do not change any more.
type Interval struct {
	From, To       time.Time
	Canary, Stable Counts
	// Weight is the canary's share in percent that was in force.
	Weight int
	// Values are measurements of other kinds, by the name of the [Limit] that
	// they belong to. An absent one, like NaN or an infinity, is no data.
	Values map[string]float64
}

// intervalJSON is the compact form: times in Unix milliseconds, counts as
// [requests, errors, slow...], null where nothing is known.
type intervalJSON struct {
	From   int64              `json:"f"`
	To     int64              `json:"t"`
	Canary Counts             `json:"c"`
	Stable Counts             `json:"s"`
	Weight int                `json:"w"`
	Values map[string]float64 `json:"v,omitempty"`
}

// MarshalJSON writes the compact form. Times are cut to milliseconds and
// values that JSON cannot hold are left out, which makes them no data.
func (iv Interval) MarshalJSON() ([]byte, error) {
	out := intervalJSON{
		From: iv.From.UnixMilli(), To: iv.To.UnixMilli(),
		Canary: iv.Canary, Stable: iv.Stable, Weight: iv.Weight,
	}
	for name, v := range iv.Values {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		if out.Values == nil {
			out.Values = make(map[string]float64, len(iv.Values))
		}
		out.Values[name] = v
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads the compact form.
func (iv *Interval) UnmarshalJSON(data []byte) error {
	var in intervalJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("read interval: %w", err)
	}
	*iv = Interval{
		From: time.UnixMilli(in.From).UTC(), To: time.UnixMilli(in.To).UTC(),
		Canary: in.Canary, Stable: in.Stable, Weight: in.Weight, Values: in.Values,
	}
	return nil
}

// MarshalJSON writes [requests, errors, slow...], or null for no data. It does so by itself, as
// UnmarshalJSON reads: a document has dozens of counts, and each look reads them all.
func (c Counts) MarshalJSON() ([]byte, error) {
	if !c.Known {
		return []byte("null"), nil
	}
	b := strconv.AppendInt([]byte{'['}, c.Requests, 10)
	b = strconv.AppendInt(append(b, ','), c.Errors, 10)
	for _, n := range c.Slow {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads the same form.
func (c *Counts) UnmarshalJSON(data []byte) error {
	*c = Counts{}
	if string(data) == "null" {
		return nil
	}
	inner, opens := bytes.CutPrefix(data, []byte{'['})
	inner, closes := bytes.CutSuffix(inner, []byte{']'})
	if !opens || !closes {
		return fmt.Errorf("read counts: found %s, expected [requests, errors, slow...]", data)
	}
	var row []int64
	for text := range strings.SplitSeq(string(inner), ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return fmt.Errorf("read counts: %w", err)
		}
		row = append(row, n)
	}
	if len(row) < 2 {
		return fmt.Errorf("read counts: found 1 number, expected [requests, errors, slow...]")
	}
	*c = Counts{Requests: row[0], Errors: row[1], Known: true}
	if len(row) > 2 {
		c.Slow = row[2:]
	}
	return nil
}

// usable turns counts that contradict themselves into no data: a source that
// reports more errors than requests cannot be believed in either.
func (c Counts) usable() Counts {
	if !c.Known || c.Requests < 0 || c.Errors < 0 || c.Errors > c.Requests || c.Requests > maxCount {
		return Counts{}
	}
	for _, slow := range c.Slow {
		if slow < 0 || slow > c.Requests {
			c.Slow = nil
			break
		}
	}
	return c
}

// maxCount bounds one interval's requests, so that sums stay exact in float64
// and cannot overflow: 10^12 is a billion requests a second for 1000 seconds.
const maxCount = 1_000_000_000_000

func (c Counts) plus(d Counts) Counts {
	if !d.Known {
		return c
	}
	sum := Counts{Requests: addCount(c.Requests, d.Requests), Errors: addCount(c.Errors, d.Errors), Known: true}
	if len(d.Slow) > 0 && (len(c.Slow) == len(d.Slow) || !c.Known) {
		sum.Slow = make([]int64, len(d.Slow))
		for i := range d.Slow {
			sum.Slow[i] = d.Slow[i]
			if c.Known {
				sum.Slow[i] = addCount(sum.Slow[i], c.Slow[i])
			}
		}
	}
	return sum
}

func addCount(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
