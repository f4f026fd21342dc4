// Package routers opens a router by the name that deploy.json gives it.
package routers

import (
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
)

// Open opens the router called kind. An unknown name is an error: a guess would
// move somebody's traffic.
func Open(kind string, c *kube.Client) (traffic.Router, error) {
	switch kind {
	case "gateway-api":
		return gatewayapi.New(c), nil
	}
	return nil, fmt.Errorf("router %q: %w: gateway-api is expected", kind, fault.Invalid)
}
