package load

import (
	"errors"
	"maps"
	"math"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// An Answer is what one request got.
type Answer struct {
	At      time.Duration // since the start of the run, when it was due
	Took    time.Duration // from then to the end of its body
	Host    string
	Version string // header X-Version; empty where nobody said
	Status  int    // 0 where no answer came
	Err     error
}

// Bad is true where a user would have noticed: no answer, an incomplete one, or
// a status of 400 or more. A 404 counts, since it is what a lost route gives.
func (a Answer) Bad() bool { return a.Err != nil || a.Status >= 400 }

// A Result is what the users saw. Times in its JSON are in milliseconds.
type Result struct {
	Start    time.Time          `json:"start"`
	Elapsed  Millis             `json:"elapsedMs"`
	Sent     int                `json:"sent"`
	Failed   int                `json:"failed"`           // sent, and Bad
	Dropped  int                `json:"dropped"`          // due, but not sent: InFlight were under way
	Versions map[string]*Counts `json:"versions"`         // by X-Version; "" is nobody's answer
	Hosts    map[string]*Counts `json:"hosts"`            // by Host header
	Errors   map[string]int     `json:"errors,omitempty"` // requests without an answer, by cause
	FirstBad *Bad               `json:"firstBad,omitempty"`
	LastBad  *Bad               `json:"lastBad,omitempty"`
	Series   []Bucket           `json:"series"`
}

// Counts are the answers of one version or host.
type Counts struct {
	Requests int         `json:"requests"`
	Failed   int         `json:"failed"`
	Status   map[int]int `json:"status"` // 0: no answer
	Latency  Latency     `json:"latencyMs"`

	took []time.Duration
}

// Latency holds exact percentiles, of failed requests too.
type Latency struct {
	P50 Millis `json:"p50"`
	P90 Millis `json:"p90"`
	P99 Millis `json:"p99"`
	Max Millis `json:"max"`
}

// Bad is a failed request: when it was due and what it got.
type Bad struct {
	At      Millis `json:"atMs"` // since Result.Start
	Version string `json:"version"`
	Status  int    `json:"status"`
	Error   string `json:"error,omitempty"`
}

// A Bucket is one interval of the run, by when requests were due.
type Bucket struct {
	At       Millis         `json:"atMs"` // its start, since Result.Start
	Sent     int            `json:"sent"`
	Failed   int            `json:"failed"`
	Dropped  int            `json:"dropped,omitempty"`
	Versions map[string]int `json:"versions,omitempty"`
}

// Millis is a time in milliseconds, to the microsecond.
type Millis float64

func millis(d time.Duration) Millis {
	return Millis(float64(d.Round(time.Microsecond).Microseconds()) / 1000)
}

// Duration is the same time as Go has it.
func (m Millis) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// Share is the version's part of all answered requests, 0 to 1.
func (r Result) Share(version string) float64 {
	c := r.Versions[version]
	if c == nil || r.Sent == 0 {
		return 0
	}
	return float64(c.Requests) / float64(r.Sent)
}

// A tally collects answers.
type tally struct {
	width   time.Duration
	observe func(Answer)

	mu sync.Mutex
	r  Result
}

func newTally(start time.Time, width time.Duration, observe func(Answer)) *tally {
	return &tally{width: width, observe: observe, r: Result{Start: start,
		Versions: map[string]*Counts{}, Hosts: map[string]*Counts{}, Errors: map[string]int{}}}
}

func (t *tally) add(a Answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Sent++
	b := t.bucket(a.At)
	b.Sent++
	if b.Versions == nil {
		b.Versions = map[string]int{}
	}
	b.Versions[a.Version]++
	count(t.r.Versions, a.Version, a)
	count(t.r.Hosts, a.Host, a)
	if a.Bad() {
		t.r.Failed++
		b.Failed++
		t.bad(a)
	}
	if t.observe != nil {
		t.observe(a)
	}
}

func (t *tally) drop(due time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Dropped++
	t.bucket(due.Sub(t.r.Start)).Dropped++
}

func (t *tally) bucket(at time.Duration) *Bucket {
	i := int(at / t.width)
	for len(t.r.Series) <= i {
		t.r.Series = append(t.r.Series, Bucket{At: millis(time.Duration(len(t.r.Series)) * t.width)})
	}
	return &t.r.Series[i]
}

func (t *tally) bad(a Answer) {
	b := &Bad{At: millis(a.At), Version: a.Version, Status: a.Status}
	if a.Err != nil {
		b.Error = cause(a.Err)
		t.r.Errors[b.Error]++
	}
	if t.r.FirstBad == nil || b.At < t.r.FirstBad.At {
		t.r.FirstBad = b
	}
	if t.r.LastBad == nil || b.At >= t.r.LastBad.At {
		t.r.LastBad = b
	}
}

func count(in map[string]*Counts, key string, a Answer) {
	c := in[key]
	if c == nil {
		c = &Counts{Status: map[int]int{}}
		in[key] = c
	}
	c.Requests++
	c.Status[a.Status]++
	c.took = append(c.took, a.Took)
	if a.Bad() {
		c.Failed++
	}
}

// cause names an error without its address, so that equal causes add up.
func cause(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset"
	case strings.HasSuffix(err.Error(), "EOF"):
		return "connection closed"
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err.Error()
}

func (t *tally) result(elapsed time.Duration) Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.r.Elapsed = millis(elapsed)
	for _, in := range []map[string]*Counts{t.r.Versions, t.r.Hosts} {
		for c := range maps.Values(in) {
			slices.Sort(c.took)
			c.Latency = Latency{P50: quantile(c.took, .5), P90: quantile(c.took, .9), P99: quantile(c.took, .99), Max: quantile(c.took, 1)}
		}
	}
	return t.r
}

// quantile is the smallest value that at least share q of the sorted values do not exceed.
func quantile(sorted []time.Duration, q float64) Millis {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return millis(sorted[min(max(i, 0), len(sorted)-1)])
}
