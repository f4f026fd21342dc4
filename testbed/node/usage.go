package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// sampleEvery is the window over which processor use is averaged.
const sampleEvery = time.Second

// ticksPerSecond is the unit of times in /proc (USER_HZ), which Linux fixes to
// 100 on all architectures that Go supports.
const ticksPerSecond = 100

// A sample is what a container's process had used at some time.
type sample struct {
	pid  int
	at   time.Time
	cpu  time.Duration
	used corev1.ResourceList // since the sample before; nil for a first one
}

// sampleAll measures every container once a sampleEvery until ctx ends.
func (n *Node) sampleAll(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, sampleEvery) {
		n.mu.Lock()
		var containers []*container
		for _, p := range n.pods {
			containers = append(containers, p.all()...)
		}
		n.mu.Unlock()
		for _, c := range containers {
			c.sample()
		}
	}
}

// sample measures the container's process.
func (c *container) sample() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proc == nil {
		c.usage = sample{}
		return
	}
	pid := c.proc.pid()
	cpu, memory, err := usage(pid)
	if err != nil {
		return // it is just ending
	}
	next := sample{pid: pid, at: time.Now(), cpu: cpu}
	if c.usage.pid == pid {
		rate := float64(cpu-c.usage.cpu) / float64(next.at.Sub(c.usage.at))
		next.used = corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewMilliQuantity(int64(rate*1000), resource.DecimalSI),
			corev1.ResourceMemory: *resource.NewQuantity(memory, resource.BinarySI),
		}
	}
	c.usage = next
}

// usage is the processor time that a process and its ended children have used,
// and its resident memory in bytes. The fields of /proc/PID/stat are in
// proc_pid_stat(5); those counted here follow the name in parentheses.
func usage(pid int) (cpu time.Duration, memory int64, err error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const utime, cstime, rss = 11, 14, 21
	if len(fields) <= rss {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields after the name", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[utime : cstime+1] {
		t, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		ticks += t
	}
	pages, err := strconv.ParseInt(string(fields[rss]), 10, 64)
	return time.Duration(ticks) * (time.Second / ticksPerSecond), pages * int64(os.Getpagesize()), err
}
