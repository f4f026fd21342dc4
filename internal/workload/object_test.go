package workload_test

import (
	"testing"

	"github.com/stepcanary/stepcanary/internal/workload"
)

func TestNumberOf(t *testing.T) {
	for name, want := range map[string]int{
		"checkout-7": 7, "checkout-12": 12, "checkout": 0, "checkout-": 0, "checkout-0": 0, "checkout-07": 0,
		"checkout-+7": 0, "checkout--7": 0, "checkout-7a": 0, "checkout-api-7": 0, "cart-7": 0, "checkout-99999999999999999999": 0,
	} {
		if got := workload.NumberOf("checkout", name); got != want {
			t.Errorf("NumberOf(%q) = %d; want %d", name, got, want)
		}
	}
}

// An object that belongs to one version goes with it; all else stays.
func TestVersioned(t *testing.T) {
	o := workload.Ownership{Service: workload.Service{Namespace: "shop", Name: "checkout"}, Version: 1}
	for name, want := range map[string]bool{
		"checkout-1": true, "checkout-1-settings": true, "settings-checkout-1": true, "checkout-1.shop": true,
		"checkout": false, "checkout-10": false, "checkout-11-settings": false, "xcheckout-1": false, "checkout-10-checkout-1": true,
		"checkout-settings": false, "checkout-1x": false,
	} {
		if got := o.Versioned(name); got != want {
			t.Errorf("Versioned(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestOwned(t *testing.T) {
	o := workload.Ownership{Service: workload.Service{Namespace: "shop", Name: "checkout"}, Version: 3}
	labels := func(by, service, version string) map[string]string {
		m := map[string]string{workload.LabelManagedBy: by, workload.LabelService: service}
		if version != "" {
			m[workload.LabelVersion] = version
		}
		return m
	}
	for name, tt := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"of this version":    {labels("stepcanary", "checkout", "3"), true},
		"shared by all":      {labels("stepcanary", "checkout", ""), true},
		"of another version": {labels("stepcanary", "checkout", "2"), false},
		"of another service": {labels("stepcanary", "cart", "3"), false},
		"of another manager": {labels("Helm", "checkout", "3"), false},
		"of nobody":          {nil, false},
	} {
		if got := o.Owned(tt.labels); got != tt.want {
			t.Errorf("%s: Owned(%v) = %v; want %v", name, tt.labels, got, tt.want)
		}
	}
}

func TestOfAnother(t *testing.T) {
	s := workload.Service{Namespace: "shop", Name: "checkout"}
	for name, tt := range map[string]struct {
		labels map[string]string
		want   bool
	}{
		"of this service":                     {map[string]string{workload.LabelManagedBy: "stepcanary", workload.LabelService: "checkout"}, false},
		"of another service":                  {map[string]string{workload.LabelManagedBy: "stepcanary", workload.LabelService: "cart"}, true},
		"of another manager":                  {map[string]string{workload.LabelManagedBy: "Helm", workload.LabelService: "cart"}, false},
		"whose service's label was taken off": {map[string]string{workload.LabelManagedBy: "stepcanary"}, false},
		"of nobody":                           {nil, false},
	} {
		if got := workload.OfAnother(s, tt.labels); got != tt.want {
			t.Errorf("%s: OfAnother(%v) = %v; want %v", name, tt.labels, got, tt.want)
		}
	}
}
