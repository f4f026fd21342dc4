package memory_test

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/metric"
	"github.com/stepcanary/stepcanary/internal/metric/memory"
	"github.com/stepcanary/stepcanary/internal/metric/metrictest"
	"github.com/stepcanary/stepcanary/internal/rollout"
)

func TestMeter(t *testing.T) {
	metrictest.Run(t, func(t *testing.T, m metrictest.Model) metric.Meter {
		const lag = 10 * time.Second
		v := clock.NewVirtual(metrictest.Start)
		meter := memory.New(v, memory.Options{Pace: metric.Pace{Every: time.Second, Lag: lag}})
		s := memory.Script{Versions: map[string][]memory.Phase{}}
		for i := range m.Intervals() {
			from := time.Duration(i) * metrictest.Every
			weights, all := map[string]rollout.Weight{}, int64(0)
			for version, row := range m.Versions {
				c := row[i]
				weights[version] = rollout.Weight(c.Requests)
				all += c.Requests
				per := func(n int64) float64 { return float64(n) / float64(max(c.Requests, 1)) }
				p := memory.Phase{From: from, Silent: !c.Known, ErrorRate: per(c.Errors)}
				if c.Known {
					p.Latency = []memory.Latency{{Share: per(c.Slow[0] - c.Slow[1]), Seconds: 0.5}, {Share: per(c.Slow[1]), Seconds: 2}}
				}
				s.Versions[version] = append(s.Versions[version], p)
			}
			s.Load = append(s.Load, memory.Load{From: from, RPS: float64(all) / metrictest.Every.Seconds()})
			meter.Shift("shop", "checkout", weights)
			if err := v.Sleep(t.Context(), metrictest.Every); err != nil {
				t.Fatal(err)
			}
		}
		meter.Play("shop", "checkout", s)
		if err := v.Sleep(t.Context(), m.Now(lag).Sub(v.Now())); err != nil {
			t.Fatal(err)
		}
		return meter
	})
}
