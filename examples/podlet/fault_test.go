package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFaultsInTag(t *testing.T) {
	for name, tt := range map[string]struct {
		tag   string
		fault fault
		start startFault
		err   string
	}{
		"a plain tag is healthy":               {tag: "v2"},
		"hyphens and dots belong to a version": {tag: "1.2.3-rc.1"},
		"words follow the first underscore":    {tag: "v3_errors-20_latency-300ms_slow-10", fault: fault{Errors: 20, Latency: duration(300 * time.Millisecond), Slow: 10}},
		"a share may have a fraction":          {tag: "v3_errors-0.5_code-503_above-40", fault: fault{Errors: .5, Code: 503, Above: 40}},
		"flags take no value":                  {tag: "v3_notready_notlive", fault: fault{NotReady: true, NotLive: true}},
		"faults of the start":                  {tag: "v3_crashonstart_wrongport_slowstart-5s", start: startFault{CrashOnStart: true, WrongPort: true, SlowStart: 5 * time.Second}},
		"an unknown word is refused":           {tag: "v3_error-20", err: `tag "v3_error-20": fault "error-20": found "error", expected errors`},
		"a flag with a value is refused":       {tag: "v3_notready-no", err: `found value "no", expected none`},
		"a share above 100 is refused":         {tag: "v3_errors-101", err: "expected a percentage"},
		"NaN is no share":                      {tag: "v3_errors-NaN", err: "expected a percentage"},
		"a good status is no fault":            {tag: "v3_code-200", err: "expected a status from 500 to 599"},
		"a missing value is refused":           {tag: "v3_errors", err: "invalid syntax"},
		"a negative start is refused":          {tag: "v3_slowstart--1s", err: "expected 0s or more"},
	} {
		t.Run(name, func(t *testing.T) {
			f, s, err := faultsInTag(tt.tag)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("faultsInTag(%q) error = %v; want one with %q", tt.tag, err, tt.err)
				}
				return
			}
			if err != nil || f != tt.fault || s != tt.start {
				t.Errorf("faultsInTag(%q) = %+v, %+v, %v; want %+v, %+v", tt.tag, f, s, err, tt.fault, tt.start)
			}
		})
	}
}

// sequence gives the values in turn, so that shares are exact.
func sequence(values ...float64) func() float64 {
	i := 0
	return func() float64 { i++; return values[(i-1)%len(values)] }
}

func TestInjectorShares(t *testing.T) {
	in := newInjector(fault{Errors: 20, Latency: duration(time.Second), Slow: 50})
	in.random = sequence(.1, .19, .9, .20) // slow, error, not slow, no error
	want := []blow{{delay: time.Second, code: 500}, {}, {delay: time.Second, code: 500}}
	for i, w := range want {
		if got := in.next(); got != w {
			t.Errorf("request %d: next() = %+v; want %+v", i, got, w)
		}
	}
}

func TestInjectorCrashesAfterServing(t *testing.T) {
	in := newInjector(fault{Crash: 2})
	for i, want := range []bool{false, false, true} {
		if got := in.next().crash; got != want {
			t.Errorf("request %d: crash = %v; want %v", i+1, got, want)
		}
	}
	in.set(fault{Crash: 1})
	if in.next().crash {
		t.Error("the first request after a new fault was set: crash = true; want a fresh count")
	}
}

func TestInjectorAboveRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInjector(fault{Errors: 100, Above: 50})
		bad := func(n int, every time.Duration) (count int) {
			for range n {
				if in.next().code != 0 {
					count++
				}
				time.Sleep(every)
			}
			return count
		}
		if n := bad(200, 25*time.Millisecond); n != 0 {
			t.Errorf("at 40 requests/s: %d bad of 200; want none", n)
		}
		if n := bad(200, 10*time.Millisecond); n < 140 {
			t.Errorf("at 100 requests/s: %d bad of 200; want all after the first second", n)
		}
		time.Sleep(3 * time.Second)
		if n := bad(40, 25*time.Millisecond); n != 0 {
			t.Errorf("back at 40 requests/s: %d bad of 40; want none", n)
		}
	})
}
