package flow_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

// BenchmarkRollouts runs many rollouts at once, each of a service of its own: a first deployment of
// everything. It prints the time of one rollout, the processors' part of it, which a busy machine
// does not change, and the memory that one holds in the middle of its first step: a rollout at its
// lightest. BenchmarkLateRollouts has one at its heaviest.
//
//	go test ./test/flow -run '^$' -bench Rollouts -benchtime 1x
func BenchmarkRollouts(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				many(b, n)
			}
		})
	}
}

func many(b *testing.B, n int) {
	b.StopTimer()
	s := newScene(b)
	runtime.GC()
	var before, within runtime.MemStats
	runtime.ReadMemStats(&before)
	b.StartTimer()
	began, worked := time.Now(), work(b)
	arns := make([]string, n)
	s.hold() // otherwise the first would have ended before the last begins
	for i := range arns {
		name := fmt.Sprintf("s%d", i)
		s.meter.Play(service.Namespace, name, meter.Steady(100, map[string]float64{name + "-1": 0}))
		arn, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: name, Input: inputOf(name)})
		if err != nil {
			b.Fatal(err)
		}
		arns[i] = arn
	}
	s.clock.AfterFunc(30*time.Second, func() { // all of them hold
		runtime.GC()
		runtime.ReadMemStats(&within)
	})
	s.release()
	for _, arn := range arns {
		if err := s.engine.Wait(b.Context(), arn); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(began)
	worked = work(b) - worked
	b.StopTimer()
	for _, arn := range arns {
		if d, err := s.engine.Describe(arn); err != nil || d.Status != asl.Succeeded {
			b.Fatalf("%s: %s %v", arn, d.Status, err)
		}
	}
	b.ReportMetric(float64(took.Microseconds())/float64(n), "us/rollout")
	b.ReportMetric(float64(worked.Microseconds())/float64(n), "cpu-us/rollout")
	b.ReportMetric(float64(int64(within.HeapAlloc)-int64(before.HeapAlloc))/float64(n)/1024, "KiB/rollout")
	b.StartTimer()
}

// BenchmarkLateRollouts runs many rollouts of four steps over a version that serves, and prints what
// one holds in its last step, its whole history with it: all of the heap, and who allocated it. The world is
// the simulation's, which a real cluster and a real metrics source have elsewhere; the engine is its store and
// what runs; a step is a function in the middle of its look, as an invocation of a Lambda is.
//
//	go test ./test/flow -run '^$' -bench LateRollouts -benchtime 1x
func BenchmarkLateRollouts(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				late(b, n)
			}
		})
	}
}

func late(b *testing.B, n int) {
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1 // every byte is told by who allocated it, so that time says nothing here
	s := newScene(b)
	before := holds()
	s.hold()
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		old := name + "-old"
		s.cluster.Place(service.Namespace, workload.Version{Name: old, Deployment: old, Replicas: 2})
		s.router.Define(traffic.Target{Namespace: service.Namespace, Route: name}, weights{old: 100})
		s.meter.Play(service.Namespace, name, meter.Steady(100, map[string]float64{old: 0, name + "-1": 0}))
		if _, _, err := s.engine.Start(local.StartInput{MachineARN: s.machine, Name: name, Input: inputOf(name)}); err != nil {
			b.Fatal(err)
		}
	}
	var within map[string]int64
	var last int
	s.clock.AfterFunc(220*time.Second, func() {
		within = holds()
		for i := range n {
			if st, _ := s.router.Read(b.Context(), traffic.Target{Namespace: service.Namespace, Route: fmt.Sprintf("s%d", i)}); st.Weights[fmt.Sprintf("s%d-1", i)] == 100 {
				last++
			}
		}
	})
	s.rest()
	if last != n {
		b.Fatalf("%d of %d rollouts were in their last step", last, n)
	}
	all := int64(0)
	for _, who := range []string{"world", "engine", "step", "other"} {
		held := within[who] - before[who]
		all += held
		b.ReportMetric(float64(held)/float64(n)/1024, who+"-KiB/rollout")
	}
	b.ReportMetric(float64(all)/float64(n)/1024, "KiB/rollout")
	b.ReportMetric(0, "ns/op")
}

// holds is what is on the heap, by who allocated it: the innermost of our packages.
func holds() map[string]int64 {
	runtime.GC()
	runtime.GC() // the profile is one collection behind
	n, _ := runtime.MemProfile(nil, false)
	records := make([]runtime.MemProfileRecord, n+1000)
	n, _ = runtime.MemProfile(records, false)
	out := map[string]int64{}
	for _, r := range records[:n] {
		out[whose(r.Stack())] += r.InUseBytes()
	}
	return out
}

func whose(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		_, path, ours := strings.Cut(f.Function, "stepcanary/internal/")
		pkg, _, _ := strings.Cut(path, ".")
		switch {
		case !ours:
		case strings.HasPrefix(pkg, "memory") || strings.HasSuffix(pkg, "/memory"):
			return "world"
		case pkg == "local" || pkg == "asl":
			return "engine"
		case pkg != "clock":
			return "step"
		}
		if !more {
			return "other"
		}
	}
}

// work is what the processors have done for this process so far.
func work(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func inputOf(name string) string {
	var doc fields
	_ = json.Unmarshal([]byte(input(nil)), &doc)
	doc["microservice_name"] = name
	out, _ := json.Marshal(doc)
	return string(out)
}
