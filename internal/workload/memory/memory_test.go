package memory_test

import (
	"testing"
	"time"

	"github.com/stepcanary/stepcanary/internal/clock"
	"github.com/stepcanary/stepcanary/internal/memory"
	"github.com/stepcanary/stepcanary/internal/workload"
	cluster "github.com/stepcanary/stepcanary/internal/workload/memory"
	"github.com/stepcanary/stepcanary/internal/workload/workloadtest"
)

var service = workload.Service{Namespace: "shop", Name: "checkout"}

func TestCluster(t *testing.T) {
	workloadtest.Run(t, func(t *testing.T) workloadtest.Subject {
		c := cluster.New(memory.New(clock.Real{}))
		behave := func(s cluster.Script) func(*testing.T, string) {
			return func(_ *testing.T, name string) { c.Behave(service.Namespace, name, s) }
		}
		return workloadtest.Subject{
			Cluster: c,
			Service: service,
			Place:   func(_ *testing.T, v workload.Version) { c.Place(service.Namespace, v) },
			Answer:  func(_ *testing.T, name string) { c.Answer(service.Namespace, name, "Pod pets-0") },
			Ready: func(_ *testing.T, name string, ready bool) {
				s := cluster.Script{}
				if !ready {
					s.Outages = []cluster.Outage{{}}
				}
				c.Behave(service.Namespace, name, s)
			},
			CannotPull: behave(cluster.Script{PullFails: true}),
			Crash:      behave(cluster.Script{CrashAfter: time.Nanosecond}),
			Refuse:     func(_ *testing.T, words string) { c.Refuse(service.Namespace, "Deployment", words) },
			Delete:     func(_ *testing.T, name string) { c.Delete(service.Namespace, name) },
		}
	})
}

// Each line of a timeline is a status and when it came, in virtual time.
func TestTimelines(t *testing.T) {
	type seen struct {
		at time.Duration
		workload.Status
	}
	start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		script cluster.Script
		want   []seen
	}{
		"pods take their time, then an autoscaler grows them": {
			cluster.Script{ReadyAfter: 3 * time.Second, Scales: []cluster.Scale{{After: time.Minute, Replicas: 4}}},
			[]seen{
				{0, workload.Status{Desired: 2}},
				{3 * time.Second, workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
				{60 * time.Second, workload.Status{Desired: 4, Ready: 2, Endpoints: 2}},
				{63 * time.Second, workload.Status{Desired: 4, Ready: 4, Endpoints: 4}},
			},
		},
		"pods die for a while": {
			cluster.Script{Outages: []cluster.Outage{{After: 10 * time.Second, For: 5 * time.Second}}},
			[]seen{
				{0, workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
				{10 * time.Second, workload.Status{Desired: 2, Problem: "no pod is ready, after 2 were"}},
				{15 * time.Second, workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
			},
		},
		"a crash loop after two minutes": {
			cluster.Script{CrashAfter: 2 * time.Minute},
			[]seen{
				{0, workload.Status{Desired: 2, Ready: 2, Endpoints: 2}},
				{2 * time.Minute, workload.Status{Desired: 2, Fatal: true,
					Problem: "CrashLoopBackOff: container app: exit code 1, restarted 2 times"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := clock.NewVirtual(start)
			c := cluster.New(memory.New(v))
			c.Behave("shop", "checkout-1", tt.script)
			o := workload.Ownership{Service: service, Version: 1, Execution: "arn"}
			if err := c.Apply(t.Context(), workloadtest.Objects(service, 1), o); err != nil {
				t.Fatal(err)
			}
			f, err := c.Follow(t.Context(), service, workload.Version{Name: "checkout-1", Deployment: "checkout-1"})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				st, err := f.Next(t.Context(), time.Hour)
				if got := (seen{v.Now().Sub(start), st}); err != nil || got != want {
					t.Errorf("Next() = %+v, %v; want %+v", got, err, want)
				}
			}
		})
	}
}
