package gateway

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stepcanary/stepcanary/testbed/layout"
	"github.com/stepcanary/stepcanary/testbed/manifest"
)

// crds are the Gateway API's custom resource definitions, standard channel.
//
//go:embed crds
var crds embed.FS

// Names of what Install makes.
const (
	// Namespace and Name are those of the Gateway for routes to attach to.
	Namespace = "testbed"
	Name      = "web"
	// Class is the GatewayClass and IngressClass the IngressClass.
	Class        = "traefik"
	IngressClass = "nginx"
)

// Install makes the Gateway API known to the bed's API server, and a Gateway
// that routes of every namespace may attach to.
func Install(ctx context.Context, l *layout.Layout, api *manifest.Applier) error {
	files, err := fs.Glob(crds, "crds/*.yaml")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("this program was built without the Gateway API's definitions; testbed/build.sh puts them in")
	}
	for _, file := range files {
		definitions, err := crds.ReadFile(file)
		if err != nil {
			return err
		}
		if err := api.Apply(ctx, definitions); err != nil {
			return fmt.Errorf("apply %s: %w", file, err)
		}
	}
	if err := api.AwaitCRDs(ctx); err != nil {
		return err
	}
	return api.Apply(ctx, fmt.Appendf(nil, objects, Namespace, Class, Name, l.GatewayPort, IngressClass))
}

const objects = `apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: %[2]s}
spec: {controllerName: traefik.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: %[3]s, namespace: %[1]s}
spec:
  gatewayClassName: %[2]s
  listeners:
  - {name: web, protocol: HTTP, port: %[4]d, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: %[5]s}
spec: {controller: k8s.io/ingress-nginx}
`

// Programmed reports whether Traefik serves the Gateway.
func Programmed(ctx context.Context, api *manifest.Applier) bool {
	return api.Condition(ctx, schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}, Namespace, Name, "Programmed")
}
