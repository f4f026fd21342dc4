// Package routers opens a router by the name that deploy.json gives it.
package routers

import (
	"fmt"

	"github.com/stepcanary/stepcanary/internal/fault"
	"github.com/stepcanary/stepcanary/internal/kube"
	"github.com/stepcanary/stepcanary/internal/traffic"
	"github.com/stepcanary/stepcanary/internal/traffic/appmesh"
	"github.com/stepcanary/stepcanary/internal/traffic/gatewayapi"
)

// The kinds of routers, as deploy.json names them.
const (
	GatewayAPI = "gateway-api"
	AppMesh    = "app-mesh"
)

// Open gives the router of that kind. An unknown kind is an error: a guess would
// move somebody's traffic.
func Open(kind string, c *kube.Client) (traffic.Router, error) {
	switch kind {
	case GatewayAPI:
		return gatewayapi.New(c), nil
	case AppMesh:
		return appmesh.New(c), nil
	}
	return nil, fmt.Errorf("router %q: %w: %q or %q is expected", kind, fault.Invalid, GatewayAPI, AppMesh)
}
