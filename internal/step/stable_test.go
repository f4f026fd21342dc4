package step

import (
	"errors"
	"strings"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/record"
	"github.com/stepcanary/stepcanary/internal/rollout"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/workload"
)

func TestWhichBackEndIsTheService(t *testing.T) {
	type shares = map[string]rollout.Weight
	ro := Rollout{Service: workload.Service{Namespace: "shop", Name: "checkout"}, Route: traffic.Target{Namespace: "shop", Route: "web"}}
	for name, tt := range map[string]struct {
		weights shares
		stable  string // in the record
		want    string
		refused string // a part of the reason
	}{
		"nothing has weight":                          {shares{"checkout-1": 0}, "", "", ""},
		"the only one there is":                       {shares{"legacy": 100}, "", "legacy", ""},
		"a version of the service":                    {shares{"checkout-3": 100, "checkout-4": 0}, "", "checkout-3", ""},
		"a version beside others":                     {shares{"checkout-3": 80, "experiment": 20, "assets": 100}, "", "checkout-3", ""},
		"what the record calls stable, beside others": {shares{"legacy": 80, "experiment": 20}, "legacy", "legacy", ""},
		"the route has the say, not the record":       {shares{"checkout-2": 100, "legacy": 0}, "legacy", "checkout-2", ""},
		"a version before the service's own name":     {shares{"checkout-3": 100, "checkout": 100}, "", "checkout-3", ""},
		"the service's own name, beside others":       {shares{"checkout": 100, "assets": 100}, "", "checkout", ""},
		"two versions":                                {shares{"checkout-1": 50, "checkout-2": 50}, "checkout-1", "", "2 versions outside of any rollout"},
		"an adopted one and a version":                {shares{"legacy": 50, "checkout-2": 50}, "legacy", "", "2 versions outside of any rollout"},
		"several that nobody knows":                   {shares{"blue": 50, "green": 50}, "", "", "which of them is checkout cannot be told"},
		"names that only look like it":                {shares{"checkout-api": 50, "checkout-1-db": 50}, "", "", "cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := record.Record{Stable: workload.Version{Name: tt.stable}}
			got, err := serving(ro, rec, nil, traffic.State{Weights: tt.weights})
			if got != tt.want || errors.Is(err, fault.Refused) != (tt.refused != "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("serving(%v) = %q, %v; want %q, refused for %q", tt.weights, got, err, tt.want, tt.refused)
			}
		})
	}
}
