package flow_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/asl"
	"github.com/stepcanary/stepcanary/internal/local"
	meter "github.com/stepcanary/stepcanary/internal/metric/memory"
)

// BenchmarkRollouts runs many rollouts at once, each of a service of its own: a first deployment of
// everything. It prints the time of one rollout, the processors' part of it, which a busy machine
// does not change, and the memory that one holds in the middle of its first step.
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
