package routers_test

import (
	"errors"
	"testing"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/routers"
)

func TestOpen(t *testing.T) {
	for kind, matches := range map[string]bool{routers.GatewayAPI: true, routers.AppMesh: false} {
		r, err := routers.Open(kind, nil)
		if err != nil {
			t.Errorf("Open(%q) = %v", kind, err)
		}
		if _, ok := r.(traffic.Matcher); ok != matches {
			t.Errorf("Open(%q) can match: %v; want %v", kind, ok, matches)
		}
	}
	for _, kind := range []string{"", "gateway", "Gateway-API"} {
		if _, err := routers.Open(kind, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("Open(%q) = %v; want %v", kind, err, fault.Invalid)
		}
	}
}
