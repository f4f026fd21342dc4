package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/local"
)

// rolling is a machine with the shape of a rollout: ten steps of shift, hold
// and check, with a decision after each.
const rolling = `{"StartAt":"Prepare","States":{
	"Prepare":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"prepare","Payload.$":"$"},"ResultSelector":{"d.$":"$.Payload"},"ResultPath":"$.plan","Next":"Shift"},
	"Shift":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"shift","Payload.$":"$"},"ResultSelector":{"d.$":"$.Payload"},"ResultPath":"$.shift","TimeoutSeconds":60,
		"Retry":[{"ErrorEquals":["Canary.Transient"],"MaxAttempts":5}],"Next":"Hold"},
	"Hold":{"Type":"Wait","SecondsPath":"$.shift.d.wait","Next":"Check"},
	"Check":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"check","Payload.$":"$"},"ResultSelector":{"d.$":"$.Payload"},"ResultPath":"$.check","TimeoutSeconds":60,"Next":"Next"},
	"Next":{"Type":"Choice","Choices":[{"Variable":"$.check.d.action","StringEquals":"advance","Next":"Shift"}],"Default":"Promoted"},
	"Promoted":{"Type":"Succeed"}}}`

func rollingHandlers() map[string]local.Handler {
	type doc struct {
		Shift struct{ D struct{ Step int } }
	}
	return map[string]local.Handler{
		"prepare": reply(`{"steps":[10,20,30,40,50,60,70,80,90,100]}`),
		"shift": func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
			var d doc
			err := json.Unmarshal(in, &d)
			return json.RawMessage(fmt.Sprintf(`{"step":%d,"wait":300,"weight":%d}`, d.Shift.D.Step+1, 10*d.Shift.D.Step+10)), err
		},
		"check": func(_ context.Context, in json.RawMessage) (json.RawMessage, error) {
			var d doc
			err := json.Unmarshal(in, &d)
			action := "advance"
			if d.Shift.D.Step == 10 {
				action = "promote"
			}
			return json.RawMessage(fmt.Sprintf(`{"action":%q,"requests":%d,"errors":0,"reason":"healthy: no failed request"}`, action, 1000*d.Shift.D.Step)), err
		},
	}
}

// BenchmarkExecutionsAtOnce runs many executions in virtual time, and says how
// long one took and how much memory one held in its middle.
func BenchmarkExecutionsAtOnce(b *testing.B) {
	input := fmt.Sprintf(`{"service":"checkout","spec":%q}`, strings.Repeat("0123456789abcdef", 128))
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				heap := heapInUse()
				began, v := time.Now(), clock.NewVirtual(start)
				e, err := local.New(local.Options{Clock: v, Handlers: rollingHandlers()})
				if err != nil {
					b.Fatal(err)
				}
				m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: rolling})
				if err != nil {
					b.Fatal(err)
				}
				v.Begin()
				for i := range n {
					if _, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Name: fmt.Sprint(i), Input: input}); err != nil {
						b.Fatal(err)
					}
				}
				held := make(chan uint64, 1)
				v.AfterFunc(2900*time.Second, func() { held <- heapInUse() - heap }) // in the last hold but one
				v.End()
				if err := e.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				d, err := e.Describe(fmt.Sprintf("arn:aws:states:us-east-1:000000000000:execution:m:%d", n-1))
				if err != nil || d.Status != "SUCCEEDED" || d.Stopped.Sub(d.Started) != 3000*time.Second {
					b.Fatalf("the last execution ended %s after %v, %v; want SUCCEEDED after 50 minutes", d.Status, d.Stopped.Sub(d.Started), err)
				}
				b.ReportMetric(float64(<-held)/float64(n)/1024, "KiB/execution")
				b.ReportMetric(float64(time.Since(began).Microseconds())/1000/float64(n), "ms/execution")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkExecutionsInAFile brings executions to their first hold by the real
// clock with a file as store, and then opens another engine on that file. It
// says how much memory an execution holds beside the file, and how long the
// restart takes.
func BenchmarkExecutionsInAFile(b *testing.B) {
	input := fmt.Sprintf(`{"service":"checkout","spec":%q}`, strings.Repeat("0123456789abcdef", 128))
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				path := filepath.Join(b.TempDir(), "state")
				heap := heapInUse()
				e := openFile(b, path)
				m, err := e.CreateMachine(local.MachineInput{Name: "m", Definition: rolling})
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				var starts sync.WaitGroup
				for part := range 64 {
					starts.Go(func() {
						for i := part; i < n; i += 64 {
							if _, _, err := e.Start(local.StartInput{MachineARN: m.ARN, Name: fmt.Sprint(i), Input: input}); err != nil {
								b.Error(err)
							}
						}
					})
				}
				starts.Wait()
				for i := range n {
					awaitHold(b, e, fmt.Sprintf("arn:aws:states:us-east-1:000000000000:execution:m:%d", i))
				}
				b.ReportMetric(float64(time.Since(began).Microseconds())/1000/float64(n), "ms/execution")
				b.ReportMetric(float64(heapInUse()-heap)/float64(n)/1024, "KiB/execution")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				began = time.Now()
				e = openFile(b, path)
				b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-to-restart")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func openFile(b *testing.B, path string) *local.Engine {
	b.Helper()
	store, err := local.OpenBolt(path)
	if err != nil {
		b.Fatal(err)
	}
	e, err := local.New(local.Options{Store: store, Handlers: rollingHandlers()})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// awaitHold returns when an execution has come to its Wait state.
func awaitHold(b *testing.B, e *local.Engine, arn string) {
	b.Helper()
	for {
		last, err := e.History(arn, 0, 1, true, false)
		if err != nil {
			b.Fatal(err)
		}
		if last[0].Type == "WaitStateEntered" {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
