package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepcanary/stepcanary/internal/lambdahost"
)

// starts is how often a function is started; the median counts.
const starts = 7

// A measurement is what a function costs before it does anything.
type measurement struct {
	init time.Duration
	// rss is the resident memory in bytes.
	rss int64
}

func measure(name, binary string) (measurement, error) {
	var inits []time.Duration
	var rss []int64
	for range starts {
		one, err := startOnce(name, binary)
		if err != nil {
			return measurement{}, fmt.Errorf("measure %s: %w", name, err)
		}
		inits, rss = append(inits, one.init), append(rss, one.rss)
	}
	slices.Sort(inits)
	slices.Sort(rss)
	return measurement{init: inits[starts/2], rss: rss[starts/2]}, nil
}

func startOnce(name, binary string) (measurement, error) {
	host := lambdahost.New(lambdahost.Options{
		Binary: func(string) string { return binary },
		Env: func(string) []string {
			return []string{
				"AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none", "AWS_EC2_METADATA_DISABLED=true",
				"STEPCANARY_STATE_MACHINE=arn:aws:states:eu-west-1:000000000000:stateMachine:stepcanary",
			}
		},
		Log: os.Stderr,
	})
	defer host.Close()
	started, err := host.Warm(context.Background(), name)
	if err != nil {
		return measurement{}, err
	}
	rss, err := resident(started.PID)
	return measurement{init: started.Init, rss: rss}, err
}

// resident reads a process's memory from /proc.
func resident(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
