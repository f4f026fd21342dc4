package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A fault says how the service misbehaves towards its users. The zero value
// is a healthy service. Probes and metrics never suffer from it, unless
// NotReady or NotLive say so: a canary that only its users see failing is the
// interesting one.
type fault struct {
	Errors   float64  `json:"errors,omitempty"`   // percent of requests answered with Code
	Code     int      `json:"code,omitempty"`     // 500 to 599; 0 means 500
	Latency  duration `json:"latency,omitempty"`  // added before the answer
	Slow     float64  `json:"slow,omitempty"`     // percent of requests that Latency hits; 0 means all
	Crash    int64    `json:"crash,omitempty"`    // requests still served before the process dies; 0 means never
	Above    float64  `json:"above,omitempty"`    // requests/s above which Errors and Latency act; 0 means always
	NotReady bool     `json:"notready,omitempty"` // /readyz answers 503
	NotLive  bool     `json:"notlive,omitempty"`  // /healthz answers 503
}

// A startFault acts before the service listens, so it cannot be set at run time.
type startFault struct {
	CrashOnStart bool
	WrongPort    bool          // listens on the port above the one asked for
	SlowStart    time.Duration // listens only after this time
}

// check tells of a value out of its range.
func (f fault) check() error {
	switch {
	case !percent(f.Errors):
		return fmt.Errorf("errors: found %v, expected a percentage from 0 to 100", f.Errors)
	case !percent(f.Slow):
		return fmt.Errorf("slow: found %v, expected a percentage from 0 to 100", f.Slow)
	case f.Code != 0 && (f.Code < 500 || f.Code > 599):
		return fmt.Errorf("code: found %d, expected a status from 500 to 599", f.Code)
	case f.Latency < 0 || time.Duration(f.Latency) > time.Hour:
		return fmt.Errorf("latency: found %v, expected 0s to 1h", time.Duration(f.Latency))
	case f.Crash < 0:
		return fmt.Errorf("crash: found %d, expected a number of requests, 0 or more", f.Crash)
	case !(f.Above >= 0):
		return fmt.Errorf("above: found %v, expected a rate in requests/s, 0 or more", f.Above)
	}
	return nil
}

// suits refuses what the role cannot do: an echo has no answers to spoil.
func (f fault) suits(r role) error {
	if r.tcp && f != (fault{}) {
		return fmt.Errorf("role %s speaks plain TCP, expected only crashonstart, wrongport or slowstart", r.name)
	}
	return nil
}

// percent is false for NaN too.
func percent(v float64) bool { return v >= 0 && v <= 100 }

// faultsInTag gives the faults that a version's tag carries: what follows its
// first underscore.
func faultsInTag(tag string) (fault, startFault, error) {
	_, words, _ := strings.Cut(tag, "_")
	f, s, err := parseFaults(words)
	if err != nil {
		return f, s, fmt.Errorf("tag %q: %w", tag, err)
	}
	return f, s, nil
}

// parseFaults reads words such as "errors-20_latency-300ms". They are separated by
// underscores, commas or spaces; the first hyphen parts a word from its value.
func parseFaults(words string) (fault, startFault, error) {
	var f fault
	var s startFault
	for _, word := range strings.FieldsFunc(words, func(r rune) bool { return strings.ContainsRune("_, ", r) }) {
		if err := readFault(word, &f, &s); err != nil {
			return fault{}, startFault{}, fmt.Errorf("fault %q: %w", word, err)
		}
	}
	if s.SlowStart < 0 {
		return fault{}, startFault{}, fmt.Errorf("slowstart: found %v, expected 0s or more", s.SlowStart)
	}
	return f, s, f.check()
}

func readFault(word string, f *fault, s *startFault) (err error) {
	name, value, hasValue := strings.Cut(word, "-")
	if flag := map[string]*bool{
		"notready": &f.NotReady, "notlive": &f.NotLive,
		"crashonstart": &s.CrashOnStart, "wrongport": &s.WrongPort,
	}[name]; flag != nil {
		if hasValue {
			return fmt.Errorf("found value %q, expected none", value)
		}
		*flag = true
		return nil
	}
	switch name {
	case "errors":
		f.Errors, err = strconv.ParseFloat(value, 64)
	case "code":
		f.Code, err = strconv.Atoi(value)
	case "latency":
		err = f.Latency.UnmarshalText([]byte(value))
	case "slow":
		f.Slow, err = strconv.ParseFloat(value, 64)
	case "crash":
		f.Crash, err = strconv.ParseInt(value, 10, 64)
	case "above":
		f.Above, err = strconv.ParseFloat(value, 64)
	case "slowstart":
		s.SlowStart, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("found %q, expected errors, code, latency, slow, crash, above, notready, notlive, crashonstart, wrongport or slowstart", name)
	}
	return err
}

// A duration is written as "300ms" in JSON and in tags.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}
