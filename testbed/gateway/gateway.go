// Package gateway sets the bed's gateway up: Traefik, built unmodified from its
// Go module, honouring Gateway API routes and ingress-nginx annotations.
package gateway

import (
	"fmt"

	"github.com/stepcanary/stepcanary/testbed/layout"
)

// Throttle is how long Traefik waits for further changes before it puts one in
// force.
const Throttle = "50ms"

// Arguments are Traefik's command line for the bed.
func Arguments(l *layout.Layout) []string {
	return []string{
		"--global.checknewversion=false",
		"--global.sendanonymoususage=false",
		"--log.level=INFO", "--log.nocolor=true",
		"--entrypoints.web.address=" + l.HostPort(l.GatewayPort),
		// An open connection to a client must not keep Traefik from ending.
		"--entrypoints.web.transport.lifecycle.gracetimeout=1s",
		"--entrypoints.metrics.address=" + l.HostPort(l.GatewayMetrics),
		"--ping=true", "--ping.entrypoint=metrics",
		"--metrics.prometheus=true",
		"--metrics.prometheus.entrypoint=metrics",
		"--metrics.prometheus.addserviceslabels=true",
		"--metrics.prometheus.addrouterslabels=false",
		"--metrics.prometheus.addentrypointslabels=false",
		"--metrics.prometheus.buckets=0.005,0.01,0.025,0.05,0.1,0.25,0.3,0.5,1,1.2,2.5,5,10",
		"--providers.providersthrottleduration=" + Throttle,
		"--providers.kubernetesgateway=true",
		"--providers.kubernetesgateway.qps=-1",
		"--providers.kubernetesgateway.statusaddress.ip=" + l.Address(),
		"--providers.kubernetesingressnginx=true",
	}
}

// Environment tells Traefik's providers where the API server is.
func Environment(l *layout.Layout) []string {
	return []string{"KUBECONFIG=" + l.Kubeconfig("gateway")}
}

// PingURL answers 200 once Traefik runs.
func PingURL(l *layout.Layout) string {
	return fmt.Sprintf("http://%s/ping", l.HostPort(l.GatewayMetrics))
}
